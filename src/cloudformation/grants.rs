//! Who may pull: the properties of `Custom::ECRPullPolicy`, which `PullAccess` of
//! `Custom::ECRImage` has as well.

use serde_json::Value;

use super::property::{Property, optional, required};
use super::reader::{Reader, list_of};
use crate::policy::{Grants, Principals, Service, Statement};

/// The properties that grant, in the order in which a reference shows them.
pub const GRANTS: &[Property] = &[PRINCIPALS, SERVICES, ORGANIZATIONS, STATEMENTS, ACTIONS];

pub(super) const PRINCIPALS: Property = optional(
    "Principals",
    "list of strings, or of maps with `Principal` and `Condition`",
    "none",
    "Accounts by their IDs; accounts, roles and users by their ARNs. A map grants on a condition, \
     written as in IAM; only there may a principal be `*`.",
);
pub(super) const SERVICES: Property = optional(
    "Services",
    "list of strings, or of maps with `Service`, `SourceArns` and `SourceAccounts`",
    "none",
    "Services of AWS, such as `lambda.amazonaws.com`. A map restricts on whose behalf they pull; \
     ARNs may have `*` and `?` in them.",
);
pub(super) const ORGANIZATIONS: Property = optional(
    "Organizations",
    "list of strings",
    "none",
    "Organizations by their IDs, or parts of them by their paths, such as \
     `o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/*`: everyone in them may pull.",
);
pub(super) const STATEMENTS: Property = optional(
    "Statements",
    "list of maps",
    "none",
    "Complete statements, as `addToResourcePolicy` of the CDK takes them, without a `Resource`. \
     Their Sids are replaced.",
);
pub(super) const ACTIONS: Property = optional(
    "Actions",
    "list of strings",
    "what a pull needs",
    "What the principals, services and organizations may do. By default \
     `ecr:BatchCheckLayerAvailability`, `ecr:BatchGetImage` and `ecr:GetDownloadUrlForLayer`; \
     the last two for Lambda.",
);

/// The members of a map in `Principals`.
pub(crate) const CONDITIONED: &[Property] = &[
    required("Principal", "string or list of strings", "Who, or `*`."),
    required("Condition", "map", "A condition as in IAM."),
];

/// The members of a map in `Services`.
pub(crate) const SERVICE: &[Property] = &[
    required("Service", "string", "The service principal."),
    optional(
        "SourceArns",
        "list of strings",
        "any",
        "On behalf of which resources.",
    ),
    optional(
        "SourceAccounts",
        "list of strings",
        "any",
        "On behalf of which accounts.",
    ),
];

/// Reads who may pull.
pub(super) fn grants(reader: &mut Reader<'_>) -> Grants {
    let who = [PRINCIPALS, SERVICES, ORGANIZATIONS, STATEMENTS];
    if !who.iter().any(|property| reader.has(property.name)) {
        let names = who.map(|property| property.name);
        let (last, others) = (names[3], names[..3].join(", "));
        reader.problem(
            last,
            format_args!("nobody is named: expected {others} or {last}"),
        );
    }
    Grants {
        principals: principals(reader),
        services: services(reader),
        organizations: reader.parse_list(ORGANIZATIONS.name),
        statements: statements(reader),
        actions: reader.parse_list(ACTIONS.name),
    }
}

fn principals(reader: &mut Reader<'_>) -> Vec<Principals> {
    let mut always = Vec::new();
    let mut groups = Vec::new();
    for (path, item) in items(reader, PRINCIPALS) {
        if let Value::Object(map) = item {
            groups.extend(reader.within(&path, map, CONDITIONED, on_condition));
            continue;
        }
        for name in names(reader, &path, item) {
            always.extend(reader.parse_text(&path, &name));
        }
    }
    if !always.is_empty() {
        groups.insert(0, Principals::always(always));
    }
    groups
}

fn on_condition(reader: &mut Reader<'_>) -> Option<Principals> {
    let names = reader.list("Principal");
    let condition = reader.object("Condition")?.clone();
    let granted = Principals::on_condition(&names, condition);
    granted
        .inspect_err(|error| reader.problem("Principal", error))
        .ok()
}

fn services(reader: &mut Reader<'_>) -> Vec<Service> {
    let mut services = Vec::new();
    for (path, item) in items(reader, SERVICES) {
        if let Value::Object(map) = item {
            services.extend(reader.within(&path, map, SERVICE, service));
            continue;
        }
        for name in names(reader, &path, item) {
            let service = Service::new(&name, Vec::new(), Vec::new());
            services.extend(service.inspect_err(|error| reader.problem(&path, error)));
        }
    }
    services
}

fn service(reader: &mut Reader<'_>) -> Option<Service> {
    let name = reader.text("Service")?;
    let arns = reader.list("SourceArns");
    let accounts = reader.parse_list("SourceAccounts");
    let service = Service::new(&name, arns, accounts);
    service
        .inspect_err(|error| reader.problem("Service", error))
        .ok()
}

fn statements(reader: &mut Reader<'_>) -> Vec<Statement> {
    let mut statements = Vec::new();
    for (path, item) in items(reader, STATEMENTS) {
        let Value::Object(map) = item else {
            reader.problem(&path, "expected a statement, which is a map");
            continue;
        };
        let statement = Statement::new(map.clone());
        statements.extend(statement.inspect_err(|error| reader.problem(&path, error)));
    }
    statements
}

/// The items of a property, each with how it is called.
fn items<'a>(reader: &Reader<'a>, property: Property) -> Vec<(String, &'a Value)> {
    let items = reader.items(property.name).into_iter().enumerate();
    items
        .map(|(at, item)| (format!("{}[{at}]", property.name), item))
        .collect()
}

/// A text, or one with commas.
fn names(reader: &mut Reader<'_>, path: &str, item: &Value) -> Vec<String> {
    list_of(item).unwrap_or_else(|| {
        reader.problem(path, "expected a text or a map");
        Vec::new()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::policy::{OwnedStatement, Owner, PULL_ACTIONS};

    fn read(properties: &Value) -> Result<Grants, String> {
        let properties = properties.as_object().unwrap();
        let mut reader = Reader::new(properties, GRANTS);
        let grants = grants(&mut reader);
        reader.finish(Some(grants)).map_err(|e| e.to_string())
    }

    #[test]
    fn grants_are_read_in_every_form() {
        let project = "arn:aws:codebuild:eu-west-1:123456789012:project/app";
        let grants = read(&json!({
            "Principals": [
                "123456789012", 210_987_654_321_u64,
                {"Principal": "*", "Condition": {"StringEquals": {"aws:SourceVpc": "vpc-1"}}},
            ],
            "Services": [
                "lambda.amazonaws.com",
                {"Service": "codebuild.amazonaws.com", "SourceArns": [project],
                    "SourceAccounts": "123456789012"},
            ],
            "Organizations": "o-a1b2c3d4e5",
            "Statements": [{
                "Sid": "No", "Effect": "Deny", "Principal": "*", "Action": "ecr:PutImage",
            }],
        }));
        let own = grants.unwrap().statements(&Owner::new("", "P"), "aws");
        let own = own.unwrap();
        let statements: Vec<_> = own.iter().map(OwnedStatement::as_json).collect();
        assert_eq!(statements.len(), 6);
        assert_eq!(
            statements[0]["Principal"]["AWS"],
            json!([
                "arn:aws:iam::123456789012:root",
                "arn:aws:iam::210987654321:root"
            ])
        );
        assert_eq!(statements[0]["Action"], json!(PULL_ACTIONS));
        assert_eq!(
            statements[1]["Condition"]["StringEquals"]["aws:SourceVpc"],
            "vpc-1"
        );
        assert_eq!(
            statements[2]["Principal"]["Service"],
            "lambda.amazonaws.com"
        );
        let source = &statements[3]["Condition"]["StringEquals"];
        assert_eq!(source["aws:SourceArn"], json!([project]));
        assert_eq!(source["aws:SourceAccount"], json!(["123456789012"]));
        assert_eq!(statements[5]["Effect"], "Deny");
    }

    #[test]
    fn everything_that_is_wrong_is_told_where_it_stands() {
        let problems = read(&json!({
            "Principals": ["*", "deploy", {"Principal": "*"}, [["x"]]],
            "Services": ["lambda", {"Service": "codebuild.amazonaws.com", "SourceArn": "x"}],
            "Organizations": ["acme"],
            "Statements": ["Allow", {"Effect": "Allow"}],
            "Actions": ["pull"],
        }))
        .unwrap_err();
        for part in [
            "Principals[0]: \"*\" would let everyone",
            "Principals[1]: \"deploy\" names no principal",
            "Principals[2]: Condition is required",
            "Principals[3]: expected a text or a map",
            "Services[0]: \"lambda\" names no service",
            "Services[1]: unknown property \"SourceArn\": did you mean SourceArns?",
            "Organizations: \"acme\" names no organization",
        ] {
            assert!(problems.contains(part), "{part}: {problems}");
        }
    }

    #[test]
    fn somebody_must_be_named_but_a_list_may_be_empty() {
        let error = read(&json!({"Actions": ["ecr:BatchGetImage"]})).unwrap_err();
        assert!(error.contains("nobody is named"), "{error}");
        assert!(read(&json!({"Principals": []})).unwrap().is_empty());
    }
}
