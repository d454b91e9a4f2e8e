//! Actions of ECR that may be granted.

use std::str::FromStr;

use super::InvalidGrant;

/// The actions that a pull needs.
pub const PULL_ACTIONS: [&str; 3] = [
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:GetDownloadUrlForLayer",
];

/// The actions that may be granted where only pulling may: a pull, and looking at what there is.
pub const READ_ACTIONS: [&str; 6] = [
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:DescribeImages",
    "ecr:DescribeRepositories",
    "ecr:GetDownloadUrlForLayer",
    "ecr:ListImages",
];

/// An action of ECR, such as `ecr:BatchGetImage`, with `*` and `?` as wildcards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action(String);

impl Action {
    /// The action as it stands in a statement.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Action {
    type Err = InvalidGrant;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = |b: u8| b.is_ascii_alphanumeric() || b == b'*' || b == b'?';
        let name = text.strip_prefix("ecr:").unwrap_or_default();
        if name.is_empty() || !name.bytes().all(known) {
            return Err(InvalidGrant::Action(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}
