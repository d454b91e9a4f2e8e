//! Why a call to AWS failed, and what to do about it.

use super::failure::{Answer, Cause};
use super::hint;
use super::operation::{Call, Permission, Service};
use crate::content;
use crate::network::Trouble;

/// Why a call to AWS failed. What the service or the network said is the source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A permission is missing.
    #[error("{call} was denied: allow {permission}{}", hint::of_denial(call))]
    Denied {
        /// What was called.
        call: Box<Call>,
        /// What must be allowed.
        permission: Permission,
        /// The service's words.
        source: Answer,
    },
    /// The role may not be taken on.
    #[error(
        "assuming role {role} for {call} was denied: allow sts:AssumeRole on it, and let its \
         trust policy name the caller{}",
        hint::of_external_id(*.external_id)
    )]
    RoleDenied {
        /// What the role was for.
        call: Box<Call>,
        /// The role's ARN.
        role: Box<str>,
        /// Whether an external ID was given.
        external_id: bool,
        /// STS's words.
        source: Answer,
    },
    /// The role could not be taken on.
    #[error("assuming role {role} for {call} failed")]
    Role {
        /// What the role was for.
        call: Box<Call>,
        /// The role's ARN.
        role: Box<str>,
        /// STS's words.
        source: Answer,
    },
    /// AWS does not know the credentials, or does not take them any more.
    #[error("{call} failed: the AWS credentials were not accepted; if they expired, log in again")]
    BadCredentials {
        /// What was called.
        call: Box<Call>,
        /// The service's words.
        source: Answer,
    },
    /// A repository was created, and is not set up whole.
    #[error(
        "repository {name} was created without its lifecycle policy, and later deployments leave \
         it as it is: set the policy, or delete the repository and deploy again"
    )]
    Unfinished {
        /// The repository's name.
        name: Box<str>,
        /// Why it has none.
        source: Box<Self>,
    },
    /// What was asked for is not there.
    #[error("{call} failed: there is no {missing}{}", hint::of_missing(*.missing, call))]
    NotFound {
        /// What was called.
        call: Box<Call>,
        /// What is missing.
        missing: Missing,
        /// The service's words.
        source: Answer,
    },
    /// The object is in an archive storage class.
    #[error(
        "{call} failed: the object is archived; restore it, or store it in a class that can be read at once"
    )]
    Archived {
        /// What was called.
        call: Box<Call>,
        /// The service's words.
        source: Answer,
    },
    /// The object is not the one whose reading began.
    #[error(
        "{call} failed: the object changed while it was read; deploy again when its upload is finished, or pin it by ?versionId="
    )]
    Changed {
        /// What was called.
        call: Box<Call>,
    },
    /// The key that encrypts the object or secret cannot be used.
    #[error(
        "{call} failed: the KMS key that encrypts it cannot be used; see that it is enabled and not pending deletion"
    )]
    Key {
        /// What was called.
        call: Box<Call>,
        /// The service's words.
        source: Answer,
    },
    /// The image is part of an index that is still there.
    #[error("{call} failed: an index in the repository still names it; remove that first")]
    InUse {
        /// What was called.
        call: Box<Call>,
        /// The service's words.
        source: Answer,
    },
    /// The service wants fewer requests.
    #[error("{call} failed: {} keeps asking for fewer requests", call.operation.service())]
    Throttled {
        /// What was called.
        call: Box<Call>,
        /// The service's words.
        source: Answer,
    },
    /// The service failed on its side.
    #[error("{call} failed: {} is not available at the moment", call.operation.service())]
    Unavailable {
        /// What was called.
        call: Box<Call>,
        /// The service's words.
        source: Answer,
    },
    /// The service was not reached in time.
    #[error(
        "{call} failed: {service} in {region} was not reached; a function in a VPC needs a way \
         to it, such as {}",
        service.vpc_endpoint(region)
    )]
    Unreachable {
        /// What was called.
        call: Box<Call>,
        /// What was not reached: the service itself, or STS.
        service: Service,
        /// Where that is.
        region: Box<str>,
        /// What the network said.
        source: Cause,
    },
    /// The service was reached, or its host, and no answer came.
    #[error("{call} failed on the way to {service} in {region}: {trouble}")]
    Connection {
        /// What was called.
        call: Box<Call>,
        /// To what the connection was: the service itself, or STS.
        service: Service,
        /// Where that is.
        region: Box<str>,
        /// What is the matter with it.
        trouble: Trouble,
        /// What the network said.
        source: Cause,
    },
    /// Somebody else than AWS answered.
    #[error(
        "{call} failed: the answer is not AWS's own: a proxy or a firewall on the way refuses the \
         request"
    )]
    Foreign {
        /// What was called.
        call: Box<Call>,
        /// What was answered.
        source: Answer,
    },
    /// There is nothing to sign with.
    #[error(
        "{call} failed: no AWS credentials were found; in a Lambda they come from the function's role, elsewhere set AWS_PROFILE or log in"
    )]
    NoCredentials {
        /// What was called.
        call: Box<Call>,
        /// What was tried.
        source: Cause,
    },
    /// The service refused, for a reason that it gives itself.
    #[error("{call} failed in {}", call.region)]
    Refused {
        /// What was called.
        call: Box<Call>,
        /// The service's words.
        source: Answer,
    },
    /// The call could not be made as it stands.
    #[error("{call} failed: the request or its answer is malformed")]
    Malformed {
        /// What was called.
        call: Box<Call>,
        /// What is wrong.
        source: Cause,
    },
    /// An answer lacks what it must have.
    #[error("{call} failed: expected {expected} in the answer")]
    Incomplete {
        /// What was called.
        call: Box<Call>,
        /// What is missing or wrong.
        expected: &'static str,
    },
    /// What is to be written cannot be read.
    #[error("{call} failed: its content cannot be read")]
    Unread {
        /// What was called.
        call: Box<Call>,
        /// What reads it.
        source: Box<content::Error>,
    },
    /// A body ended before it should.
    #[error("{call} broke off")]
    Interrupted {
        /// What was called.
        call: Box<Call>,
        /// What the network said.
        source: Cause,
    },
    /// A secret is for other registries than the one that it is named for.
    #[error("secret {name} is not for {registry}: {by}")]
    SecretRegistry {
        /// The secret's name or ARN.
        name: String,
        /// The registry that it was to be sent to.
        registry: String,
        /// Who says so.
        by: &'static str,
    },
    /// A secret is written in neither of the two ways.
    #[error(
        "secret {name} holds no registry credentials: expected user:password or {{\"username\":…,\"password\":…}}"
    )]
    SecretFormat {
        /// The secret's name or ARN.
        name: String,
    },
    /// A secret lacks a field.
    #[error(
        "secret {name} holds no registry credentials: expected JSON with texts in the fields \
         {username:?} and {password:?}"
    )]
    SecretFields {
        /// The secret's name or ARN.
        name: String,
        /// The user's field.
        username: String,
        /// The password's field.
        password: String,
    },
}

/// What is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The bucket.
    Bucket,
    /// The object.
    Object,
    /// That version of the object.
    Version,
    /// The repository.
    Repository,
    /// The repository's policy, or its lifecycle policy.
    Policy,
    /// The image.
    Image,
    /// The secret.
    Secret,
    /// The state machine.
    StateMachine,
    /// The execution of the state machine.
    Execution,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Bucket => "such bucket",
            Self::Object => "such object",
            Self::Version => "such version of the object",
            Self::Repository => "such repository",
            Self::Policy => "such policy",
            Self::Image => "such image",
            Self::Secret => "such secret",
            Self::StateMachine => "such state machine",
            Self::Execution => "such execution",
        })
    }
}

impl Error {
    /// Whether trying again can help.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Throttled { .. }
            | Self::Unavailable { .. }
            | Self::Unreachable { .. }
            | Self::Interrupted { .. } => true,
            Self::Connection { trouble, .. } => trouble.may_pass(),
            _ => false,
        }
    }
}

impl content::Retryable for Error {
    fn is_retryable(&self) -> bool {
        self.is_retryable()
    }
}
