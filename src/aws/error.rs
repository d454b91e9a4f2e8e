//! Why a call to AWS failed, and what to do about it.

use super::Missing;
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
        /// The call.
        call: Box<Call>,
        /// The permission that is missing.
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
        /// The call that the role was for.
        call: Box<Call>,
        /// The role's ARN.
        role: Box<str>,
        /// True if an external ID was given.
        external_id: bool,
        /// STS's words.
        source: Answer,
    },
    /// The role could not be taken on.
    #[error("assuming role {role} for {call} failed")]
    Role {
        /// The call that the role was for.
        call: Box<Call>,
        /// The role's ARN.
        role: Box<str>,
        /// STS's words.
        source: Answer,
    },
    /// AWS does not know the credentials, or does not take them any more.
    #[error("{call} failed: the AWS credentials were not accepted; if they expired, log in again")]
    BadCredentials {
        /// The call.
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
    /// The thing that was asked for is not there.
    #[error("{call} failed: there is no {missing}{}", hint::of_missing(*.missing, call))]
    NotFound {
        /// The call.
        call: Box<Call>,
        /// The thing that is missing.
        missing: Missing,
        /// The service's words.
        source: Answer,
    },
    /// The object is in an archive storage class.
    #[error(
        "{call} failed: the object is archived; restore it, or store it in a class that can be read at once"
    )]
    Archived {
        /// The call.
        call: Box<Call>,
        /// The service's words.
        source: Answer,
    },
    /// The object is not the one whose reading began.
    #[error(
        "{call} failed: the object changed while it was read; deploy again when its upload is finished, or pin it by ?versionId="
    )]
    Changed {
        /// The call.
        call: Box<Call>,
    },
    /// The key that encrypts the object or secret cannot be used.
    #[error(
        "{call} failed: the KMS key that encrypts it cannot be used; see that it is enabled and not pending deletion"
    )]
    Key {
        /// The call.
        call: Box<Call>,
        /// The service's words.
        source: Answer,
    },
    /// The image is part of an index that is still there.
    #[error("{call} failed: an index in the repository still names it; remove that first")]
    InUse {
        /// The call.
        call: Box<Call>,
        /// The service's words.
        source: Answer,
    },
    /// The service wants fewer requests.
    #[error("{call} failed: {} keeps asking for fewer requests", call.operation.service())]
    Throttled {
        /// The call.
        call: Box<Call>,
        /// The service's words.
        source: Answer,
    },
    /// The service failed on its side.
    #[error("{call} failed: {} is not available at the moment", call.operation.service())]
    Unavailable {
        /// The call.
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
        /// The call.
        call: Box<Call>,
        /// The service that was not reached: the called one, or STS.
        service: Service,
        /// The place where that is.
        region: Box<str>,
        /// The network's error.
        source: Cause,
    },
    /// The service was reached, or its host, and no answer came.
    #[error("{call} failed on the way to {service} in {region}: {trouble}")]
    Connection {
        /// The call.
        call: Box<Call>,
        /// To what the connection was: the service itself, or STS.
        service: Service,
        /// The place where that is.
        region: Box<str>,
        /// The trouble.
        trouble: Trouble,
        /// The network's error.
        source: Cause,
    },
    /// Somebody else than AWS answered.
    #[error(
        "{call} failed: the answer is not AWS's own: a proxy or a firewall on the way refuses the \
         request"
    )]
    Foreign {
        /// The call.
        call: Box<Call>,
        /// The answer.
        source: Answer,
    },
    /// There is nothing to sign with.
    #[error(
        "{call} failed: no AWS credentials were found; in a Lambda they come from the function's role, elsewhere set AWS_PROFILE or log in"
    )]
    NoCredentials {
        /// The call.
        call: Box<Call>,
        /// The attempt and its error.
        source: Cause,
    },
    /// The service refused, for a reason that it gives itself.
    #[error("{call} failed in {}", call.region)]
    Refused {
        /// The call.
        call: Box<Call>,
        /// The service's words.
        source: Answer,
    },
    /// The call could not be made as it stands.
    #[error("{call} failed: the request or its answer is malformed")]
    Malformed {
        /// The call.
        call: Box<Call>,
        /// The error.
        source: Cause,
    },
    /// An answer lacks what it must have.
    #[error("{call} failed: expected {expected} in the answer")]
    Incomplete {
        /// The call.
        call: Box<Call>,
        /// The member that is missing or malformed.
        expected: &'static str,
    },
    /// The content to be written cannot be read.
    #[error("{call} failed: its content cannot be read")]
    Unread {
        /// The call.
        call: Box<Call>,
        /// The error of reading it.
        source: Box<content::Error>,
    },
    /// A body ended before it should.
    #[error("{call} broke off")]
    Interrupted {
        /// The call.
        call: Box<Call>,
        /// The network's error.
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

impl Error {
    /// Returns true if trying again can help.
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
