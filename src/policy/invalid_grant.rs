//! Texts and statements that grant nothing.

/// A grant that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidGrant {
    /// Everyone, without a condition.
    #[error(
        "\"*\" would let everyone in every AWS account in: \
         name accounts or roles, use Organizations, or add a Condition"
    )]
    Anyone,
    /// The text names no principal.
    #[error(
        "{0:?} names no principal: expected an account ID of 12 digits, \
         or the ARN of an account, a role or a user, without wildcards"
    )]
    Principal(String),
    /// A principal of another partition than the repository's.
    #[error("{arn:?} is not in the partition of the repository, {partition:?}")]
    Partition {
        /// The principal.
        arn: String,
        /// The repository's partition.
        partition: String,
    },
    /// The text is no account ID.
    #[error("{0:?} is no account ID: expected 12 digits")]
    Account(String),
    /// The text names no service.
    #[error("{0:?} names no service: expected a service principal such as lambda.amazonaws.com")]
    Service(String),
    /// The text is no ARN.
    #[error("{0:?} is no ARN of a source: expected arn:<partition>:<service>:<region>:<account>:…")]
    SourceArn(String),
    /// The text names no organization and no part of one.
    #[error(
        "{0:?} names no organization: expected an ID such as o-a1b2c3d4e5, or a path such as \
         o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/ that ends in \"/\" or \"*\""
    )]
    Organization(String),
    /// The text names no action of ECR.
    #[error("{0:?} names no action of ECR: expected one such as ecr:BatchGetImage")]
    Action(String),
    /// An action that is more than pulling, where only pulling may be granted.
    #[error(
        "{0:?} is more than pulling: name actions such as ecr:BatchGetImage, without wildcards, or \
         have the provider's parameter PolicyStatements (LONGSHORE_POLICY_STATEMENTS) be any"
    )]
    NoPull(String),
    /// A statement that allows all but something, where only pulling may be granted.
    #[error(
        "a statement that allows by {0} allows more than pulling: name what is allowed, or have \
         the provider's parameter PolicyStatements (LONGSHORE_POLICY_STATEMENTS) be any"
    )]
    Negated(&'static str),
    /// A statement that ECR would not take.
    #[error("the statement cannot stand in a repository policy: {0}")]
    Statement(String),
}
