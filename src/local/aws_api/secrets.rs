//! Secrets Manager
//! ([`GetSecretValue`](https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html)).

use serde::Deserialize;
use serde_json::{Value, json};

use super::call::{Caller, Refusal, input, unknown_operation};
use super::options::AwsApiOptions;
use crate::redact::Secret;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetSecretValue {
    secret_id: String,
}

pub(super) fn answer(
    options: &AwsApiOptions,
    caller: &Caller,
    operation: &str,
    document: &Value,
) -> Result<Value, Refusal> {
    if operation != "GetSecretValue" {
        return Err(unknown_operation(operation));
    }
    let asked: GetSecretValue = input(document)?;
    let found = find(options, caller, &asked.secret_id);
    let (key, secret) = found.ok_or_else(|| {
        let message = "Secrets Manager can't find the specified secret.";
        Refusal::new("ResourceNotFoundException", message)
    })?;
    let (region, account) = (&caller.region, &caller.account);
    let arn = if key.starts_with("arn:") {
        key.to_owned()
    } else {
        format!("arn:aws:secretsmanager:{region}:{account}:secret:{key}-AbCdEf")
    };
    Ok(json!({
        "ARN": arn,
        "Name": name(key),
        "SecretString": secret.expose(),
        "VersionId": "00000000-0000-4000-8000-000000000000",
        "VersionStages": ["AWSCURRENT"],
    }))
}

/// The secret of a name or ARN, complete or without its last six characters.
fn find<'a>(
    options: &'a AwsApiOptions,
    caller: &Caller,
    id: &str,
) -> Option<(&'a str, &'a Secret)> {
    if region(id).is_some_and(|region| region != caller.region) {
        return None;
    }
    let mut secrets = options.secrets.iter();
    secrets.find_map(|(key, secret)| {
        let here = region(key).is_none_or(|region| region == caller.region);
        let same = key == id || name(key) == name(id) || name(key) == id;
        (here && same).then_some((key.as_str(), secret))
    })
}

/// The region of an ARN.
fn region(id: &str) -> Option<&str> {
    id.strip_prefix("arn:")?.split(':').nth(2)
}

/// The name in an ARN, without the characters that Secrets Manager adds; a name as it is.
fn name(id: &str) -> &str {
    let Some((_, name)) = id.split_once(":secret:") else {
        return id;
    };
    match name.rsplit_once('-') {
        Some((name, random)) if random.len() == 6 => name,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:team/hub-a1B2c3";

    #[test]
    fn finds_a_secret_in_its_region() {
        let options = AwsApiOptions {
            secrets: [(ARN, "a"), ("plain", "b")]
                .map(|(key, value)| (key.to_owned(), Secret::new(value)))
                .into(),
            ..AwsApiOptions::default()
        };
        let found = |region: &str, id: &str| {
            let caller = Caller {
                region: region.to_owned(),
                account: "123456789012".to_owned(),
            };
            find(&options, &caller, id).map(|(_, secret)| secret.expose().to_owned())
        };
        assert_eq!(found("eu-west-1", ARN).as_deref(), Some("a"));
        assert_eq!(found("eu-west-1", "team/hub").as_deref(), Some("a"));
        let partial = ARN.trim_end_matches("-a1B2c3");
        assert_eq!(found("eu-west-1", partial).as_deref(), Some("a"));
        assert_eq!(found("us-east-1", ARN), None);
        assert_eq!(found("us-east-1", "team/hub"), None);
        assert_eq!(found("us-east-1", "plain").as_deref(), Some("b"));
        assert_eq!(found("us-east-1", "other"), None);
    }
}
