//! The meaning of an answer: from a service's codes to an [`Error`] that says what to do.

use super::failure::{Answer, Failure};
use super::operation::{Call, Operation, Permission};
use super::{Error, Missing, Role};

/// Under whom a call was made.
pub(super) struct Identity<'a> {
    /// The role that was taken on for it.
    pub(super) role: Option<&'a Role>,
    /// The region of STS.
    pub(super) region: &'a str,
}

impl Identity<'_> {
    /// Taking on the role for `call`, as a call of its own.
    fn assuming(&self, call: &Call) -> Call {
        let role = self.role.map(Role::arn).unwrap_or_default();
        Call {
            operation: Operation::AssumeRole,
            target: format!("role {role} for {call}"),
            resource: role.to_owned(),
            region: self.region.to_owned(),
        }
    }
}

impl Error {
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
            Failure::Broken(trouble, source) => Self::Connection {
                service: call.operation.service(),
                region: call.region.as_str().into(),
                call,
                trouble,
                source,
            },
            Failure::CredentialsBroken(trouble, source) if identity.role.is_some() => {
                let failure = Failure::Broken(trouble, source);
                Self::of(&identity.assuming(&call), identity, failure)
            }
            Failure::CredentialsUnreachable(source) if identity.role.is_some() => {
                let failure = Failure::Unreachable(source);
                Self::of(&identity.assuming(&call), identity, failure)
            }
            Failure::CredentialsMalformed(source) if identity.role.is_some() => {
                Self::of_role(call, identity, Answer::unreadable(&source))
            }
            Failure::CredentialsUnreachable(source)
            | Failure::CredentialsBroken(_, source)
            | Failure::CredentialsMalformed(source)
            | Failure::NoCredentials(source) => Self::NoCredentials { call, source },
            Failure::Malformed(source) => Self::Malformed { call, source },
        }
    }

    fn of_role(call: Box<Call>, identity: &Identity<'_>, source: Answer) -> Self {
        let Some(role) = identity.role else {
            return Self::BadCredentials { call, source };
        };
        let external_id = role.external_id.is_some();
        let assuming = || Box::new(identity.assuming(&call));
        let role = role.arn().into();
        match &*source.code {
            "AccessDenied" => Self::RoleDenied {
                call,
                role,
                external_id,
                source,
            },
            code if is_of_credentials(code) => Self::BadCredentials {
                call: assuming(),
                source,
            },
            code if is_of_throttling(code) || source.status == 429 => Self::Throttled {
                call: assuming(),
                source,
            },
            _ if source.status >= 500 => Self::Unavailable {
                call: assuming(),
                source,
            },
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
            code if is_of_throttling(code) => Self::Throttled { call, source },
            _ => match source.status {
                429 => Self::Throttled { call, source },
                500.. => Self::Unavailable { call, source },
                400.. if source.is_of_another() => Self::Foreign { call, source },
                403 if source.code.is_empty() => Self::denied(call, source),
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

fn is_of_throttling(code: &str) -> bool {
    matches!(
        code,
        "SlowDown"
            | "Throttling"
            | "ThrottlingException"
            | "TooManyRequestsException"
            | "RequestLimitExceeded"
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
        "StateMachineDoesNotExist" | "StateMachineDeleting" => Missing::StateMachine,
        "ExecutionDoesNotExist" => Missing::Execution,
        _ => return None,
    })
}
