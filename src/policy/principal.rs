//! Who may pull: accounts, roles and users.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

use super::InvalidGrant;

/// The ID of an AWS account: 12 digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(Box<str>);

impl AccountId {
    /// The ID as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The ARN that stands for everyone in the account whom the account itself lets.
    fn root(&self, partition: &str) -> String {
        format!("arn:{partition}:iam::{self}:root")
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for AccountId {
    type Err = InvalidGrant;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != 12 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(InvalidGrant::Account(text.to_owned()));
        }
        Ok(Self(text.into()))
    }
}

/// An account, or a role, user or session in one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// An account by its ID: everyone in it whom the account itself lets.
    Account(AccountId),
    /// The ARN of an account, a role, a user or a session.
    Arn(String),
}

impl Principal {
    /// The principal as a policy in `partition` names it.
    ///
    /// # Errors
    ///
    /// An ARN of another partition: accounts of different partitions cannot trust each other.
    pub(super) fn arn(&self, partition: &str) -> Result<String, InvalidGrant> {
        match self {
            Self::Account(account) => Ok(account.root(partition)),
            Self::Arn(arn) if arn.split(':').nth(1) == Some(partition) => Ok(arn.clone()),
            Self::Arn(arn) => Err(InvalidGrant::Partition {
                arn: arn.clone(),
                partition: partition.to_owned(),
            }),
        }
    }
}

impl FromStr for Principal {
    type Err = InvalidGrant;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "*" {
            return Err(InvalidGrant::Anyone);
        }
        if !text.starts_with("arn:") {
            let account = text.parse().map(Self::Account);
            return account.map_err(|_| InvalidGrant::Principal(text.to_owned()));
        }
        if !is_principal_arn(text) {
            return Err(InvalidGrant::Principal(text.to_owned()));
        }
        Ok(Self::Arn(text.to_owned()))
    }
}

/// Returns true if this is an ARN that may stand as a principal
/// ([IAM, "Principal"](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html)):
/// a name as a whole, no wildcard, and no group.
fn is_principal_arn(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let [_, partition, service, "", account, resource] = parts[..] else {
        return false;
    };
    let kinds: &[&str] = match service {
        "iam" => &["role/", "user/"],
        "sts" => &["assumed-role/", "federated-user/"],
        _ => return false,
    };
    let named = |kind: &&str| resource.len() > kind.len() && resource.starts_with(*kind);
    let is_root = service == "iam" && resource == "root";
    !partition.is_empty()
        && account.parse::<AccountId>().is_ok()
        && (is_root || kinds.iter().any(named))
        && !resource.contains(['*', '?', ' '])
}

/// Principals that are granted the same, on the same condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principals {
    /// Who. `None` is everyone, in any account, whom the condition lets.
    pub(super) principals: Option<Vec<Principal>>,
    /// On which condition: a statement's `Condition`. Empty: always.
    pub(super) condition: Map<String, Value>,
}

impl Principals {
    /// These principals, always.
    pub fn always(principals: Vec<Principal>) -> Self {
        Self {
            principals: Some(principals),
            condition: Map::new(),
        }
    }

    /// The principals of `names`, on the `condition`. Among the names may be `*`, which is
    /// everyone.
    ///
    /// # Errors
    ///
    /// A name that is malformed, or `*` on an empty condition.
    pub fn on_condition(
        names: &[String],
        condition: Map<String, Value>,
    ) -> Result<Self, InvalidGrant> {
        let anyone = names.iter().any(|name| name == "*");
        if anyone && !super::condition::restricts(&condition) {
            return Err(InvalidGrant::Anyone);
        }
        let principals = if anyone {
            None
        } else {
            let parsed = names.iter().map(|name| name.parse());
            Some(parsed.collect::<Result<_, _>>()?)
        };
        Ok(Self {
            principals,
            condition,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_accounts_roles_and_users() {
        let account: Principal = "123456789012".parse().unwrap();
        assert_eq!(
            account.arn("aws-cn").unwrap(),
            "arn:aws-cn:iam::123456789012:root"
        );
        for arn in [
            "arn:aws:iam::123456789012:root",
            "arn:aws:iam::123456789012:role/deploy",
            "arn:aws:iam::123456789012:role/aws-reserved/sso.amazonaws.com/x",
            "arn:aws:iam::123456789012:user/people/ann@example.com",
            "arn:aws:sts::123456789012:assumed-role/deploy/session",
        ] {
            let principal: Principal = arn.parse().unwrap();
            assert_eq!(principal.arn("aws").unwrap(), arn);
        }
    }

    #[test]
    fn says_what_is_no_principal() {
        for text in [
            "",
            "12345678901",
            "1234567890123",
            "12345678901x",
            "deploy",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::123456789012:role/*",
            "arn:aws:iam::123456789012:*",
            "arn:aws:iam::123456789012:group/people",
            "arn:aws:iam::1234:role/deploy",
            "arn:aws:iam:eu-west-1:123456789012:role/deploy",
            "arn:aws:s3:::bucket",
            "arn::iam::123456789012:root",
        ] {
            let error = text.parse::<Principal>().unwrap_err();
            assert!(
                matches!(error, InvalidGrant::Principal(_)),
                "{text}: {error}"
            );
        }
        let role: Principal = "arn:aws:iam::123456789012:role/deploy".parse().unwrap();
        let error = role.arn("aws-us-gov").unwrap_err().to_string();
        assert!(error.contains("aws-us-gov"), "{error}");
    }

    #[test]
    fn takes_everyone_only_on_a_condition() {
        assert!(matches!(
            "*".parse::<Principal>(),
            Err(InvalidGrant::Anyone)
        ));
        let anyone = || vec!["*".to_owned()];
        for condition in [json!({}), json!({"StringEquals": {}})] {
            let condition = condition.as_object().unwrap().clone();
            let error = Principals::on_condition(&anyone(), condition).unwrap_err();
            assert!(matches!(error, InvalidGrant::Anyone), "{error}");
        }
        let vpc = json!({"StringEquals": {"aws:SourceVpc": "vpc-1"}});
        let granted = Principals::on_condition(&anyone(), vpc.as_object().unwrap().clone());
        assert_eq!(granted.unwrap().principals, None);
    }
}
