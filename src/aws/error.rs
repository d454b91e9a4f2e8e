//! Why a call to AWS failed, and what to do about it.

use super::Role;
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
    /// The role may not be taken on.
    #[error(
        "assuming role {role} for {call} was denied: allow sts:AssumeRole on it, and let its \
         trust policy name the caller{}",
        external_id_hint(*.external_id)
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
        )
    }

    /// Says what `failure` of `call` means.
    pub(super) fn of(call: &Call, identity: &Identity<'_>, failure: Failure) -> Self {
        let call = Box::new(call.clone());
        match failure {
            Failure::Answered(answer) => Self::of_answer(call, answer),
            Failure::RoleRefused(answer) => Self::of_role(call, identity, answer),
            Failure::Unreachable(source) => Self::Unreachable {
                service: call.operation.service(),
                region: call.region.as_str().into(),
                call,
                source,
            },
            Failure::CredentialsUnreachable(source) if identity.role.is_some() => {
                Self::Unreachable {
                    service: Service::Sts,
                    region: identity.region.into(),
                    call,
                    source,
                }
            }
            Failure::CredentialsUnreachable(source) | Failure::NoCredentials(source) => {
                Self::NoCredentials { call, source }
            }
            Failure::Malformed(source) => Self::Malformed { call, source },
        }
    }

    fn of_role(call: Box<Call>, identity: &Identity<'_>, source: Answer) -> Self {
        let Some(role) = identity.role else {
            return Self::BadCredentials { call, source };
        };
        let external_id = role.external_id.is_some();
        let role = role.arn().into();
        match &*source.code {
            "AccessDenied" => Self::RoleDenied {
                call,
                role,
                external_id,
                source,
            },
            code if is_of_credentials(code) => Self::BadCredentials { call, source },
            _ => Self::Role { call, role, source },
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
        match &*source.code {
            "AccessDenied" | "AccessDeniedException" | "AllAccessDisabled" => {
                Self::denied(call, source)
            }
            "InvalidObjectState" => Self::Archived { call, source },
            "PreconditionFailed" => Self::Changed { call },
            code if is_of_credentials(code) => Self::BadCredentials { call, source },
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

/// Under whom a call was made.
pub(super) struct Identity<'a> {
    /// The role that was taken on for it.
    pub(super) role: Option<&'a Role>,
    /// The region of STS.
    pub(super) region: &'a str,
}

fn is_of_credentials(code: &str) -> bool {
    matches!(
        code,
        "ExpiredToken"
            | "ExpiredTokenException"
            | "InvalidAccessKeyId"
            | "InvalidClientTokenId"
            | "InvalidToken"
            | "SignatureDoesNotMatch"
            | "UnrecognizedClientException"
    )
}

fn missing(code: &str) -> Option<Missing> {
    Some(match code {
        "NoSuchBucket" | "NoSuchAccessPoint" => Missing::Bucket,
        "NoSuchKey" => Missing::Object,
        // What S3 says of a version that marks a deletion.
        "NoSuchVersion" | "MethodNotAllowed" => Missing::Version,
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
        Missing::Repository => format!(" in {}; create it first{}", call.region, or_here(call)),
        Missing::Secret => format!(
            " in {}; a secret of another region is given by its ARN",
            call.region
        ),
    }
}

/// What else creates a repository: a policy has to have one.
fn or_here(call: &Call) -> &'static str {
    match call.operation {
        Operation::DescribeRepositories => ", or set CreateRepository",
        _ => "",
    }
}
