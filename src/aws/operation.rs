//! Every call that Longshore makes to AWS, and the permission that each needs.

use std::fmt;

/// A service of AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// Amazon ECR.
    Ecr,
    /// Amazon S3.
    S3,
    /// AWS Secrets Manager.
    SecretsManager,
    /// AWS STS.
    Sts,
}

impl Service {
    /// The endpoint that a VPC without a way to the internet needs.
    pub fn vpc_endpoint(self, region: &str) -> String {
        match self {
            Self::Ecr => format!("com.amazonaws.{region}.ecr.api"),
            Self::S3 => format!("com.amazonaws.{region}.s3 (a gateway endpoint)"),
            Self::SecretsManager => format!("com.amazonaws.{region}.secretsmanager"),
            Self::Sts => format!("com.amazonaws.{region}.sts"),
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ecr => "ECR",
            Self::S3 => "S3",
            Self::SecretsManager => "Secrets Manager",
            Self::Sts => "STS",
        })
    }
}

/// A kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Reads an object of S3, whole or in part.
    GetObject,
    /// Reads a pinned version of an object of S3.
    GetObjectVersion,
    /// Gets the token with which an ECR registry is asked.
    GetAuthorizationToken,
    /// Tells whether an ECR repository is there.
    DescribeRepositories,
    /// Reads the policy of an ECR repository.
    GetRepositoryPolicy,
    /// Replaces the policy of an ECR repository.
    SetRepositoryPolicy,
    /// Removes the policy of an ECR repository.
    DeleteRepositoryPolicy,
    /// Reads a secret.
    GetSecretValue,
    /// Takes on a role.
    AssumeRole,
}

impl Operation {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::GetObject,
        Self::GetObjectVersion,
        Self::GetAuthorizationToken,
        Self::DescribeRepositories,
        Self::GetRepositoryPolicy,
        Self::SetRepositoryPolicy,
        Self::DeleteRepositoryPolicy,
        Self::GetSecretValue,
        Self::AssumeRole,
    ];

    /// The service that is called.
    pub fn service(self) -> Service {
        match self {
            Self::GetObject | Self::GetObjectVersion => Service::S3,
            Self::GetAuthorizationToken
            | Self::DescribeRepositories
            | Self::GetRepositoryPolicy
            | Self::SetRepositoryPolicy
            | Self::DeleteRepositoryPolicy => Service::Ecr,
            Self::GetSecretValue => Service::SecretsManager,
            Self::AssumeRole => Service::Sts,
        }
    }

    /// The IAM action that allows it.
    pub fn action(self) -> &'static str {
        match self {
            Self::GetObject => "s3:GetObject",
            Self::GetObjectVersion => "s3:GetObjectVersion",
            Self::GetAuthorizationToken => "ecr:GetAuthorizationToken",
            Self::DescribeRepositories => "ecr:DescribeRepositories",
            Self::GetRepositoryPolicy => "ecr:GetRepositoryPolicy",
            Self::SetRepositoryPolicy => "ecr:SetRepositoryPolicy",
            Self::DeleteRepositoryPolicy => "ecr:DeleteRepositoryPolicy",
            Self::GetSecretValue => "secretsmanager:GetSecretValue",
            Self::AssumeRole => "sts:AssumeRole",
        }
    }

    /// What it does, as a sentence about a failure begins.
    fn verb(self) -> &'static str {
        match self {
            Self::GetObject
            | Self::GetObjectVersion
            | Self::GetRepositoryPolicy
            | Self::GetSecretValue => "reading",
            Self::SetRepositoryPolicy => "writing",
            Self::DeleteRepositoryPolicy => "removing",
            Self::GetAuthorizationToken => "logging in to",
            Self::DescribeRepositories => "looking up",
            Self::AssumeRole => "assuming",
        }
    }
}

/// One call: what is done to what. Shown as `reading s3://bucket/key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What is done.
    pub operation: Operation,
    /// To what, as people name it. No secret.
    pub target: String,
    /// To what, as IAM policies name it: an ARN or `*`.
    pub resource: String,
    /// The region that is called.
    pub region: String,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.operation.verb(), self.target)
    }
}

/// What a policy must allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// The IAM action, such as `s3:GetObject`.
    pub action: String,
    /// The resource's ARN, or `*`.
    pub resource: String,
}

impl Permission {
    /// What `call` needs.
    pub fn of(call: &Call) -> Self {
        Self {
            action: call.operation.action().to_owned(),
            resource: call.resource.clone(),
        }
    }

    /// What a service says is missing, where its message says so in the words that all services
    /// use. It knows better than any table: S3 names the key of KMS that it may not use.
    pub(super) fn named_in(message: &str) -> Option<Self> {
        let (_, rest) = message.split_once("is not authorized to perform: ")?;
        let (action, rest) = rest.split_once(" on resource: ")?;
        let resource = rest
            .split_whitespace()
            .next()?
            .trim_matches(['"', '\'', '.', ',']);
        let (service, name) = action.split_once(':')?;
        let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        let is_action = service.bytes().all(is_word) && name.bytes().all(is_word);
        let is_resource = resource == "*" || resource.starts_with("arn:");
        (is_action && is_resource).then(|| Self {
            action: action.to_owned(),
            resource: resource.to_owned(),
        })
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.action, self.resource)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_service_says_is_missing() {
        let message = "User: arn:aws:sts::1:assumed-role/r/s is not authorized to perform: \
            kms:Decrypt on resource: arn:aws:kms:eu-west-1:1:key/abc because no identity-based policy";
        assert_eq!(
            Permission::named_in(message).unwrap().to_string(),
            "kms:Decrypt on arn:aws:kms:eu-west-1:1:key/abc"
        );
        let quoted = "User: x is not authorized to perform: s3:GetObject on resource: \"arn:aws:s3:::b/k\" because";
        assert_eq!(
            Permission::named_in(quoted).unwrap().resource,
            "arn:aws:s3:::b/k"
        );
        for message in [
            "Access Denied",
            "x is not authorized to perform: <b> on resource: y",
        ] {
            assert_eq!(Permission::named_in(message), None);
        }
    }

    #[test]
    fn every_operation_has_an_action_of_its_own() {
        let mut actions: Vec<_> = Operation::ALL
            .iter()
            .map(|operation| operation.action())
            .collect();
        actions.sort_unstable();
        let count = actions.len();
        actions.dedup();
        assert_eq!(actions.len(), count);
    }
}
