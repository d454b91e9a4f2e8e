//! One form for all spellings of a statement that IAM takes for the same.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::AccountId;

/// A statement such that two which grant the same compare equal, as far as IAM's normalisation of
/// the text goes: the order of members and of lists, a list of one value, an account's ID and its
/// root's ARN, the case of actions and condition keys.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Canonical(BTreeMap<String, Element>);

/// The value of a member of a statement.
#[derive(Debug, PartialEq, Eq)]
enum Element {
    Values(BTreeSet<String>),
    Members(BTreeMap<String, Element>),
}

pub(super) fn canonical(statement: &Value) -> Canonical {
    let members = statement.as_object().into_iter().flatten();
    let elements = members.map(|(name, value)| (name.clone(), element(name, value)));
    Canonical(
        elements
            .filter(|(_, element)| !element.is_empty())
            .collect(),
    )
}

fn element(name: &str, value: &Value) -> Element {
    match name {
        "Principal" | "NotPrincipal" => principals(value),
        "Action" | "NotAction" => values(value, str::to_ascii_lowercase),
        "Condition" => members(value, |_, keys| {
            let block = members(keys, |_, compared| values(compared, str::to_owned));
            block.renamed(str::to_ascii_lowercase)
        }),
        _ => values(value, str::to_owned),
    }
}

/// `"*"` is `{"AWS": "*"}`
/// ([IAM, "All principals"](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-anonymous)).
fn principals(value: &Value) -> Element {
    match value {
        Value::Object(_) => members(value, |_, named| values(named, account)),
        _ => Element::Members(BTreeMap::from([("AWS".to_owned(), values(value, account))])),
    }
}

/// An account's root as the account's ID, which IAM takes for the same.
fn account(principal: &str) -> String {
    let root = || {
        let rest = principal.strip_prefix("arn:")?;
        let (_, rest) = rest.split_once(":iam::")?;
        rest.strip_suffix(":root")?.parse::<AccountId>().ok()
    };
    root().map_or_else(|| principal.to_owned(), |id| id.to_string())
}

fn members(value: &Value, of: impl Fn(&str, &Value) -> Element) -> Element {
    let Value::Object(map) = value else {
        return values(value, str::to_owned);
    };
    let kept = map
        .iter()
        .map(|(name, value)| (name.clone(), of(name, value)));
    Element::Members(kept.filter(|(_, element)| !element.is_empty()).collect())
}

/// One value or a list of them. Booleans and numbers are as good as their text.
fn values(value: &Value, spelling: impl Fn(&str) -> String) -> Element {
    let text = |value: &Value| match value {
        Value::String(text) => spelling(text),
        other => other.to_string(),
    };
    Element::Values(match value {
        Value::Array(list) => list.iter().map(text).collect(),
        one => BTreeSet::from([text(one)]),
    })
}

impl Element {
    fn is_empty(&self) -> bool {
        match self {
            Self::Values(values) => values.is_empty(),
            Self::Members(members) => members.is_empty(),
        }
    }

    fn renamed(self, spelling: impl Fn(&str) -> String) -> Self {
        match self {
            Self::Members(members) => {
                let renamed = members.into_iter().map(|(name, of)| (spelling(&name), of));
                Self::Members(renamed.collect())
            }
            values @ Self::Values(_) => values,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn is_the_same_for_all_spellings() {
        let written = json!({
            "Sid": "Pull",
            "Effect": "Allow",
            "Principal": {"AWS": ["arn:aws:iam::123456789012:root", "arn:aws:iam::123456789012:role/a"]},
            "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            "Condition": {
                "Bool": {"aws:SecureTransport": "true"},
                "StringEquals": {"aws:SourceAccount": ["1", "2"]},
            },
        });
        let returned = json!({
            "Action": ["ecr:GetDownloadUrlForLayer", "ECR:batchgetimage", "ecr:BatchGetImage"],
            "Condition": {
                "StringEquals": {"AWS:SOURCEACCOUNT": ["2", "1"]},
                "Bool": {"aws:securetransport": true},
                "StringLike": {},
            },
            "Effect": "Allow",
            "Principal": {"AWS": ["arn:aws:iam::123456789012:role/a", "123456789012"], "Service": []},
            "Sid": "Pull",
        });
        assert_eq!(canonical(&written), canonical(&returned));

        let listed = json!({"Principal": {"AWS": ["*"]}, "Action": ["ecr:*"], "Condition": {}});
        let plain = json!({"Principal": "*", "Action": "ecr:*"});
        assert_eq!(canonical(&listed), canonical(&plain));
    }

    #[test]
    fn differs_where_the_meaning_does() {
        let statement = json!({
            "Sid": "Pull",
            "Effect": "Allow",
            "Principal": {"AWS": "123456789012"},
            "Action": "ecr:BatchGetImage",
            "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}},
        });
        let others = [
            ("Sid", json!("Push")),
            ("Effect", json!("Deny")),
            ("Principal", json!({"AWS": "123456789013"})),
            (
                "Principal",
                json!({"AWS": "arn:aws:iam::123456789012:role/root"}),
            ),
            ("Principal", json!({"Service": "123456789012"})),
            ("Action", json!(["ecr:BatchGetImage", "ecr:PutImage"])),
            ("Condition", json!({})),
            (
                "Condition",
                json!({"StringLike": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}),
            ),
            (
                "Condition",
                json!({"StringEquals": {"aws:PrincipalOrgID": "O-A1B2C3D4E5"}}),
            ),
            ("NotAction", json!("ecr:PutImage")),
        ];
        for (name, value) in others {
            let mut other = statement.clone();
            other[name] = value;
            assert_ne!(canonical(&statement), canonical(&other), "{other}");
        }
    }

    /// A list as AWS may give it back: in another order, some values twice, one value alone.
    fn respelt(values: &[String], spelling: impl Fn(&str) -> String) -> Value {
        let mut spelt: Vec<String> = values.iter().map(|value| spelling(value)).collect();
        if let [one] = spelt.as_slice() {
            return one.as_str().into();
        }
        spelt.reverse();
        spelt.extend(values.first().cloned());
        spelt.into()
    }

    proptest! {
        #[test]
        fn a_statement_that_comes_back_is_the_same(
            accounts in prop::collection::vec("[0-9]{12}", 1..4),
            actions in prop::collection::vec("ecr:[A-Z][a-z]{1,8}", 1..4),
            key in "aws:[A-Z][a-z]{1,8}",
            values in prop::collection::vec("[ -~]{0,8}", 1..4),
        ) {
            let written = json!({
                "Effect": "Allow",
                "Principal": {"AWS": accounts},
                "Action": actions,
                "Condition": {"StringLike": {key.clone(): values}},
            });
            let root = |id: &str| format!("arn:aws-cn:iam::{id}:root");
            let returned = json!({
                "Condition": {"StringLike": {key.to_uppercase(): respelt(&values, str::to_owned)}},
                "Action": respelt(&actions, str::to_lowercase),
                "Principal": {"AWS": respelt(&accounts, root)},
                "Effect": "Allow",
            });
            prop_assert_eq!(canonical(&written), canonical(&returned));
            let mut other = returned;
            other["Condition"]["StringLike"][key.to_uppercase()] = json!(["another value"]);
            prop_assert_ne!(canonical(&written), canonical(&other));
        }
    }
}
