//! Why a call to AWS failed, and what to do about it.

use super::failure::{Answer, Cause, Failure};
use super::operation::{Call, Operation, Permission, Service};
use crate::content;

/// Why a call to AWS failed. What the service or the network said is the source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A permission is missing.
    #[error("{call} was denied: allow {permission}{}", hint(call))]
    Denied {
        /// What was called.
        call: Box<Call>,
        /// What must be allowed.
        permission: Permission,
        /// The service's words.
        source: Answer,
    },
    /// The role could not be taken on.
    #[error(
        "assuming role {role} for {call} was refused: allow sts:AssumeRole on it, and let its \
         trust policy name this function's role{}", external_id_hint(*.external_id)
    )]
    RoleRefused {
        /// What the role was for.
        call: Box<Call>,
        /// The role's ARN.
        role: String,
        /// Whether an external ID was given.
        external_id: bool,
        /// STS's words.
        source: Answer,
    },
    /// What was asked for is not there.
    #[error("{call} failed: there is no {missing}{}", missing_hint(*.missing, call))]
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
    /// A policy names a principal that IAM does not know, or does not know yet.
    #[error(
        "{call} failed: it names a principal that does not exist; a role that was just created is known everywhere after some seconds"
    )]
    UnknownPrincipal {
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
        "{call} failed: {service} in {} was not reached; a function in a VPC needs a way to it, such as {}",
        call.region, service.vpc_endpoint(&call.region)
    )]
    Unreachable {
        /// What was called.
        call: Box<Call>,
        /// What was not reached: the service itself, or STS.
        service: Service,
        /// What the network said.
        source: Cause,
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
    /// A body ended before it should.
    #[error("{call} broke off")]
    Interrupted {
        /// What was called.
        call: Box<Call>,
        /// What the network said.
        source: Cause,
    },
    /// A secret is written in neither of the two ways.
    #[error(
        "secret {name} holds no registry credentials: expected user:password or {{\"username\":…,\"password\":…}}"
    )]
    SecretFormat {
        /// The secret's name or ARN.
        name: String,
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
        })
    }
}

impl Error {
    /// Whether trying again can help.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Throttled { .. }
                | Self::Unavailable { .. }
                | Self::Unreachable { .. }
                | Self::Interrupted { .. }
                | Self::UnknownPrincipal { .. }
        )
    }

    /// Says what `failure` of `call` means. `role` is the one taken on, with whether an external
    /// ID was given.
    pub(super) fn of(call: &Call, role: Option<(&str, bool)>, failure: Failure) -> Self {
        let call = Box::new(call.clone());
        match failure {
            Failure::Answered(answer) => Self::of_answer(call, answer),
            Failure::RoleRefused(source) => match role {
                Some((role, external_id)) => Self::RoleRefused {
                    call,
                    role: role.to_owned(),
                    external_id,
                    source,
                },
                None => Self::Refused { call, source },
            },
            Failure::Unreachable(source) => Self::Unreachable {
                service: call.operation.service(),
                call,
                source,
            },
            Failure::StsUnreachable(source) if role.is_some() => Self::Unreachable {
                service: Service::Sts,
                call,
                source,
            },
            Failure::StsUnreachable(source) | Failure::NoCredentials(source) => {
                Self::NoCredentials { call, source }
            }
            Failure::Malformed(source) => Self::Malformed { call, source },
        }
    }

    fn of_answer(call: Box<Call>, source: Answer) -> Self {
        if let Some(missing) = missing(&source.code) {
            return Self::NotFound {
                call,
                missing,
                source,
            };
        }
        if names_unknown_principal(&call, &source) {
            return Self::UnknownPrincipal { call, source };
        }
        match &*source.code {
            "AccessDenied" | "AccessDeniedException" | "AllAccessDisabled" => {
                Self::denied(call, source)
            }
            "InvalidObjectState" => Self::Archived { call, source },
            "PreconditionFailed" => Self::Changed { call },
            "DecryptionFailure" => Self::Key { call, source },
            code if code.starts_with("KMS.") || code.starts_with("Kms") => {
                Self::Key { call, source }
            }
            "SlowDown"
            | "Throttling"
            | "ThrottlingException"
            | "TooManyRequestsException"
            | "RequestLimitExceeded" => Self::Throttled { call, source },
            _ => match source.status {
                403 if source.code.is_empty() => Self::denied(call, source),
                429 => Self::Throttled { call, source },
                500.. => Self::Unavailable { call, source },
                _ => Self::Refused { call, source },
            },
        }
    }

    fn denied(call: Box<Call>, source: Answer) -> Self {
        let permission =
            Permission::named_in(&source.message).unwrap_or_else(|| Permission::of(&call));
        Self::Denied {
            call,
            permission,
            source,
        }
    }
}

impl content::Retryable for Error {
    fn is_retryable(&self) -> bool {
        self.is_retryable()
    }
}

/// ECR has no code of its own for this.
fn names_unknown_principal(call: &Call, answer: &Answer) -> bool {
    call.operation == Operation::SetRepositoryPolicy
        && &*answer.code == "InvalidParameterException"
        && answer.message.contains("Principal not found")
}

fn missing(code: &str) -> Option<Missing> {
    Some(match code {
        "NoSuchBucket" | "NoSuchAccessPoint" => Missing::Bucket,
        "NoSuchKey" => Missing::Object,
        "NoSuchVersion" => Missing::Version,
        "RepositoryNotFoundException" => Missing::Repository,
        "RepositoryPolicyNotFoundException" | "LifecyclePolicyNotFoundException" => Missing::Policy,
        "ImageNotFoundException" => Missing::Image,
        "ResourceNotFoundException" => Missing::Secret,
        _ => return None,
    })
}

/// What else a denial can mean.
fn hint(call: &Call) -> &'static str {
    if call.resource == "*" {
        return " in the role's policy";
    }
    if call.operation == Operation::CreateRepository {
        return " in the role's policy; in another account, that takes a role of that account";
    }
    match call.operation.service() {
        Service::S3 => {
            " in the role's policy, and in the bucket's where it is another account's; without \
             s3:ListBucket, S3 answers the same for an object that does not exist"
        }
        Service::SecretsManager => {
            " in the role's policy, and in the secret's where it is another account's"
        }
        Service::Ecr => {
            " in the role's policy, and in the repository's where it is another account's"
        }
        Service::EcrPublic | Service::Sts => " in the role's policy",
    }
}

fn external_id_hint(given: bool) -> &'static str {
    if given { " and the external ID" } else { "" }
}

/// Where to look for what is missing.
fn missing_hint(missing: Missing, call: &Call) -> String {
    match missing {
        Missing::Bucket | Missing::Object => {
            "; see that its name is right and its upload comes first".to_owned()
        }
        Missing::Version | Missing::Policy | Missing::Image => String::new(),
        Missing::Repository => format!(
            " in {}; create it first, or set CreateRepository",
            call.region
        ),
        Missing::Secret => format!(
            " in {}; a secret of another region is given by its ARN",
            call.region
        ),
    }
}
