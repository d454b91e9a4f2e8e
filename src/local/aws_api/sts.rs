//! STS ([`AssumeRole`](https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html)).

use hyper::StatusCode;

use super::call::{Caller, Refusal, unknown_operation};
use super::options::AwsApiOptions;
use crate::local::http::{Query, Response};
use crate::local::xml::{self, element};

/// When an assumed role's credentials end: later than any use of them here.
const EXPIRATION: &str = "2099-12-31T23:59:59Z";

pub(super) fn answer(
    options: &AwsApiOptions,
    caller: &Caller,
    operation: &str,
    input: &Query,
) -> Result<Response, Refusal> {
    match operation {
        "AssumeRole" => assume_role(options, input),
        "GetCallerIdentity" => Ok(result(
            operation,
            &[
                element("Account", &caller.account),
                element(
                    "Arn",
                    &format!("arn:aws:iam::{}:user/local", caller.account),
                ),
                element("UserId", "local"),
            ],
        )),
        _ => Err(unknown_operation(operation)),
    }
}

fn assume_role(options: &AwsApiOptions, input: &Query) -> Result<Response, Refusal> {
    let role = input.get("RoleArn").unwrap_or_default();
    let session = input.get("RoleSessionName").unwrap_or_default();
    let (account, name) = parse_role(role)
        .ok_or_else(|| Refusal::new("ValidationError", format!("{role} is invalid")))?;
    let admits = match options.roles.get(role) {
        None => options.roles.is_empty(),
        Some(None) => true,
        Some(Some(external)) => input.get("ExternalId") == Some(external),
    };
    if !admits {
        let message = format!("not authorized to perform: sts:AssumeRole on resource: {role}");
        return Err(Refusal::denied(message));
    }
    let credentials = [
        element("AccessKeyId", &key_id(account)),
        element("SecretAccessKey", "local"),
        element("SessionToken", session),
        element("Expiration", EXPIRATION),
    ];
    let user = [
        element("AssumedRoleId", &format!("AROALOCAL:{session}")),
        element(
            "Arn",
            &format!("arn:aws:sts::{account}:assumed-role/{name}/{session}"),
        ),
    ];
    let inner = [
        format!("<Credentials>{}</Credentials>", credentials.concat()),
        format!("<AssumedRoleUser>{}</AssumedRoleUser>", user.concat()),
    ];
    Ok(result("AssumeRole", &inner))
}

/// The access key ID of a role in an account, which it tells.
fn key_id(account: &str) -> String {
    format!("ASIA{account}ROLE")
}

/// The account that an access key ID tells.
pub(super) fn account_of(key_id: &str) -> Option<&str> {
    key_id.strip_prefix("ASIA")?.strip_suffix("ROLE")
}

/// Account and name of a role.
fn parse_role(arn: &str) -> Option<(&str, &str)> {
    let mut parts = arn.strip_prefix("arn:")?.splitn(5, ':');
    let service = parts.nth(1)?;
    let account = parts.nth(1)?;
    let name = parts.next()?.strip_prefix("role/")?;
    let digits = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    (service == "iam" && digits).then_some((account, name))
}

fn result(operation: &str, inner: &[String]) -> Response {
    let root = format!(
        "<{operation}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <{operation}Result>{}</{operation}Result></{operation}Response>",
        inner.concat()
    );
    xml::document(StatusCode::OK, &root)
}

/// An error in AWS's query protocol.
pub(super) fn error(status: StatusCode, code: &str, message: &str) -> Response {
    let inner = [element("Code", code), element("Message", message)].concat();
    let root = format!("<ErrorResponse><Error>{inner}</Error></ErrorResponse>");
    xml::document(status, &root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_has_an_account() {
        let role = parse_role("arn:aws:iam::210987654321:role/path/Copier");
        assert_eq!(role, Some(("210987654321", "path/Copier")));
        assert_eq!(account_of(&key_id("210987654321")), Some("210987654321"));
        for wrong in ["", "Copier", "arn:aws:iam::1:role/x", "arn:aws:s3:::bucket"] {
            assert_eq!(parse_role(wrong), None, "{wrong}");
        }
        assert_eq!(account_of("AKIALOCAL"), None);
    }
}
