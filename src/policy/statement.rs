//! Statements: one permission of a policy.

use serde_json::{Map, Value};

use super::action::READ_ACTIONS;
use super::condition::restricts;
use super::{Action, InvalidGrant};

/// The elements that a statement of a repository policy may have. It has no `Resource`: that is
/// always the repository.
const ELEMENTS: [&str; 7] = [
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Condition",
];

/// A complete statement as a user writes it, checked as far as ECR's answer would not explain it.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement(Map<String, Value>);

impl Statement {
    /// Checks a statement.
    ///
    /// # Errors
    ///
    /// Elements that are missing, unknown or not taken by ECR, and permissions for everyone
    /// without a condition.
    pub fn new(elements: Map<String, Value>) -> Result<Self, InvalidGrant> {
        let wrong = |what: String| Err(InvalidGrant::Statement(what));
        if elements.contains_key("Resource") || elements.contains_key("NotResource") {
            return wrong("it has a Resource: ECR takes none, it is always the repository".into());
        }
        let unknown = |key: &&String| !ELEMENTS.contains(&key.as_str());
        if let Some(key) = elements.keys().find(unknown) {
            return wrong(format!("it has an unknown element {key:?}"));
        }
        let allows = match elements.get("Effect").and_then(Value::as_str) {
            Some("Allow") => true,
            Some("Deny") => false,
            _ => return wrong("its Effect is neither \"Allow\" nor \"Deny\"".into()),
        };
        let principal = one_of(&elements, "Principal", "NotPrincipal")?;
        let actions = strings(one_of(&elements, "Action", "NotAction")?);
        if actions.is_empty() {
            return wrong("it names no Action".into());
        }
        for action in actions.iter().filter(|action| **action != "*") {
            action.parse::<Action>()?;
        }
        let empty = Map::new();
        let condition = match elements.get("Condition") {
            None => &empty,
            Some(Value::Object(condition)) => condition,
            Some(_) => return wrong("its Condition is no map".into()),
        };
        let anyone = elements.contains_key("NotPrincipal") || is_anyone(principal);
        if allows && anyone && !restricts(condition) {
            return Err(InvalidGrant::Anyone);
        }
        Ok(Self(elements))
    }

    /// Checks that the statement allows nothing but pulling and looking. What it denies is not
    /// looked at.
    pub(super) fn only_pulls(&self) -> Result<(), InvalidGrant> {
        if self.0.get("Effect").and_then(Value::as_str) != Some("Allow") {
            return Ok(());
        }
        for element in ["NotAction", "NotPrincipal"] {
            if self.0.contains_key(element) {
                return Err(InvalidGrant::Negated(element));
            }
        }
        let actions = self.0.get("Action").map(strings).unwrap_or_default();
        match actions.into_iter().find(|action| !is_read(action)) {
            Some(action) => Err(InvalidGrant::NoPull(action.to_owned())),
            None => Ok(()),
        }
    }

    /// The statement's own Sid, if it has one.
    pub(super) fn sid(&self) -> Option<&str> {
        self.0.get("Sid")?.as_str().filter(|sid| !sid.is_empty())
    }

    /// The statement under a Sid.
    pub(super) fn under(&self, sid: String) -> OwnedStatement {
        OwnedStatement::new(sid, self.0.clone())
    }
}

/// A statement under a Sid of its owner.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnedStatement {
    sid: String,
    statement: Value,
}

impl OwnedStatement {
    pub(super) fn new(sid: String, mut elements: Map<String, Value>) -> Self {
        elements.insert("Sid".to_owned(), sid.clone().into());
        Self {
            sid,
            statement: elements.into(),
        }
    }

    /// Its Sid.
    pub fn sid(&self) -> &str {
        &self.sid
    }

    /// All of it, its Sid included.
    pub fn as_json(&self) -> &Value {
        &self.statement
    }

    /// Returns true if it has a policy variable (`${aws:username}`), which is one only in policies
    /// of version 2012-10-17.
    pub(super) fn has_variable(&self) -> bool {
        self.statement.to_string().contains("${")
    }

    /// The roles, users and sessions that it names: what may be too new for ECR to know it.
    pub(super) fn identities(&self) -> Vec<&str> {
        let arns = aws_principals(&self.statement).into_iter();
        arns.filter(|arn| arn.starts_with("arn:") && !arn.ends_with(":root"))
            .collect()
    }
}

/// The principals in `Principal.AWS` or `NotPrincipal.AWS` of a statement.
pub(super) fn aws_principals(statement: &Value) -> Vec<&str> {
    let blocks = ["Principal", "NotPrincipal"].map(|key| &statement[key]["AWS"]);
    blocks.into_iter().flat_map(strings).collect()
}

fn one_of<'a>(
    elements: &'a Map<String, Value>,
    name: &str,
    negated: &str,
) -> Result<&'a Value, InvalidGrant> {
    match (elements.get(name), elements.get(negated)) {
        (Some(value), None) | (None, Some(value)) => Ok(value),
        (Some(_), Some(_)) => Err(InvalidGrant::Statement(format!(
            "it has both {name} and {negated}"
        ))),
        (None, None) => Err(InvalidGrant::Statement(format!("it has no {name}"))),
    }
}

/// Returns true if an action only pulls or looks. One with a wildcard may be more.
pub(super) fn is_read(action: &str) -> bool {
    let mut known = READ_ACTIONS.iter();
    known.any(|known| known.eq_ignore_ascii_case(action))
}

fn is_anyone(principal: &Value) -> bool {
    principal == "*" || strings(&principal["AWS"]).contains(&"*")
}

/// The strings of a value that is one or a list of them.
fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn checked(statement: &Value) -> Result<Statement, InvalidGrant> {
        Statement::new(statement.as_object().unwrap().clone())
    }

    #[test]
    fn takes_what_ecr_takes() {
        for statement in [
            json!({"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "ecr:*"}),
            json!({"Sid": "X", "Effect": "Deny", "Principal": "*", "Action": ["*"]}),
            json!({"Effect": "Deny", "NotPrincipal": {"AWS": "123456789012"},
                "NotAction": "ecr:BatchGetImage"}),
            json!({"Effect": "Allow", "Principal": {"AWS": ["*"]}, "Action": "ecr:BatchGet*",
                "Condition": {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}}),
        ] {
            checked(&statement).unwrap();
        }
    }

    #[test]
    fn says_what_ecr_would_not_explain() {
        let account = json!({"AWS": "123456789012"});
        for (statement, part) in [
            (
                json!({"Effect": "Allow", "Principal": account, "Action": "ecr:*", "Resource": "*"}),
                "takes none",
            ),
            (
                json!({"Effect": "allow", "Principal": account, "Action": "ecr:*"}),
                "Effect",
            ),
            (
                json!({"Effect": "Allow", "Action": "ecr:*"}),
                "no Principal",
            ),
            (
                json!({"Effect": "Allow", "Principal": account}),
                "no Action",
            ),
            (
                json!({"Effect": "Allow", "Principal": account, "Action": []}),
                "no Action",
            ),
            (
                json!({"Effect": "Allow", "Principal": account, "Action": "s3:GetObject"}),
                "s3:GetObject",
            ),
            (
                json!({"Effect": "Allow", "Principal": account, "Actions": "ecr:*"}),
                "\"Actions\"",
            ),
            (
                json!({"Effect": "Allow", "Principal": account, "Action": "*", "NotAction": "*"}),
                "both",
            ),
            (
                json!({"Effect": "Allow", "Principal": account, "Action": "*", "Condition": []}),
                "Condition",
            ),
            (
                json!({"Effect": "Allow", "Principal": {"AWS": ["*"]}, "Action": "ecr:*"}),
                "everyone",
            ),
            (
                json!({"Effect": "Allow", "NotPrincipal": account, "Action": "ecr:*"}),
                "everyone",
            ),
        ] {
            let error = checked(&statement).unwrap_err().to_string();
            assert!(error.contains(part), "{statement}: {error}");
        }
    }

    #[test]
    fn only_pulling_may_be_all_that_is_allowed() {
        let account = json!({"AWS": "123456789012"});
        for (statement, pulls) in [
            (
                json!({"Effect": "Allow", "Principal": account,
                    "Action": ["ecr:BatchGetImage", "ecr:ListImages"]}),
                true,
            ),
            (
                json!({"Effect": "Deny", "Principal": "*", "NotAction": "ecr:BatchGetImage"}),
                true,
            ),
            (
                json!({"Effect": "Allow", "Principal": account, "Action": "ecr:*"}),
                false,
            ),
            (
                json!({"Effect": "Allow", "Principal": account, "Action": "*"}),
                false,
            ),
            (
                json!({"Effect": "Allow", "Principal": account, "Action": "ecr:BatchGet*"}),
                false,
            ),
            (
                json!({"Effect": "Allow", "Principal": account, "Action": "ecr:PutImage"}),
                false,
            ),
            (
                json!({"Effect": "Allow", "Principal": account, "NotAction": "ecr:PutImage"}),
                false,
            ),
            (
                json!({"Effect": "Allow", "NotPrincipal": account, "Action": "ecr:BatchGetImage",
                    "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-a1"}}}),
                false,
            ),
        ] {
            let checked = checked(&statement).unwrap();
            assert_eq!(checked.only_pulls().is_ok(), pulls, "{statement}");
        }
    }
}
