//! An SDK's error without the SDK: one small type for all operations.

use std::error::Error as StdError;
use std::fmt;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::error::{ErrorMetadata, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::RequestId;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_smithy_runtime_api::client::result::ConnectorError;

use crate::network::Trouble;

/// Longest text taken over from elsewhere, in bytes.
const MAX_TEXT: usize = 1024;

/// The way in which a call failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The service answered with an error.
    Answered(Answer),
    /// No answer came.
    Unreachable(Cause),
    /// The connection was refused, or broke.
    Broken(Trouble, Cause),
    /// There were no credentials to sign with.
    NoCredentials(Cause),
    /// STS refused the role.
    RoleRefused(Answer),
    /// The provider of credentials was not reached: STS, for a role.
    CredentialsUnreachable(Cause),
    /// The connection to what gives credentials was refused, or broke.
    CredentialsBroken(Trouble, Cause),
    /// The provider of credentials answered something that cannot be read: STS, for a role.
    CredentialsMalformed(Cause),
    /// The call could not be made, or its answer could not be read.
    Malformed(Cause),
}

/// A service's refusal: its code, its message and the request's ID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status. 0 where it is not known.
    pub status: u16,
    /// The service's code, such as `AccessDenied`. Empty where it gave none.
    pub code: Box<str>,
    /// The service's own words.
    pub message: Box<str>,
    /// The ID that AWS's support asks for.
    pub request_id: Box<str>,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&*self.code, &*self.message) {
            ("", "") => write!(f, "status {}", self.status)?,
            ("", message) => write!(f, "{message}")?,
            (code, "") => write!(f, "{code}")?,
            (code, message) => write!(f, "{code}: {message}")?,
        }
        if !self.request_id.is_empty() {
            write!(f, " (request ID {})", self.request_id)?;
        }
        Ok(())
    }
}

impl StdError for Answer {}

impl Answer {
    /// An answer that is none of the service's own, such as a page of a proxy.
    pub(super) fn unreadable(cause: &Cause) -> Self {
        Self {
            status: 0,
            code: Box::default(),
            message: shorten(&format!("the answer cannot be read: {cause}")),
            request_id: Box::default(),
        }
    }

    /// Returns true if it lacks all that each answer of AWS has: a proxy gave it, or a firewall.
    pub(super) fn is_of_another(&self) -> bool {
        self.code.is_empty() && self.request_id.is_empty()
    }

    /// What a service answered about one of several things.
    pub(super) fn of_item(code: &str, message: &str) -> Self {
        Self {
            status: 200,
            code: shorten(code),
            message: shorten(message),
            request_id: Box::default(),
        }
    }
}

/// The innermost cause of a failure, in the words of whoever met it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause(Box<str>);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Cause {}

impl Cause {
    pub(super) fn innermost(error: &(dyn StdError + 'static)) -> Self {
        let innermost = chain(error).last().unwrap_or(error);
        Self(shorten(&innermost.to_string()))
    }
}

impl Failure {
    /// Reads an SDK's error.
    pub(super) fn of<E>(error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        if let SdkError::ServiceError(service) = error {
            let is_success = service.raw().status().is_success();
            if is_success && service.err().meta().code().is_none() {
                return Self::Malformed(Cause::innermost(error));
            }
            let status = service.raw().status().as_u16();
            let request_id = error.request_id().unwrap_or_default();
            return Self::Answered(answer(service.err().meta(), status, request_id));
        }
        let is_dispatch = matches!(
            error,
            SdkError::DispatchFailure(_) | SdkError::TimeoutError(_)
        );
        Self::of_chain(error, is_dispatch)
    }

    fn of_chain(error: &(dyn StdError + 'static), is_dispatch: bool) -> Self {
        let Some(credentials) = chain(error).find_map(<dyn StdError>::downcast_ref) else {
            let cause = Cause::innermost(error);
            return match Trouble::within(error) {
                Some(trouble) if !trouble.may_be_no_route() => Self::Broken(trouble, cause),
                _ if is_dispatch => Self::Unreachable(cause),
                _ if chain(error).any(is_timeout) => Self::Broken(Trouble::Stopped, cause),
                _ => Self::Malformed(cause),
            };
        };
        Self::of_credentials(credentials)
    }

    fn of_credentials(error: &CredentialsError) -> Self {
        if let Some(meta) = chain(error).find_map(<dyn StdError>::downcast_ref::<ErrorMetadata>) {
            let status = chain(error).find_map(status_of).unwrap_or_default();
            let request_id = meta.request_id().unwrap_or_default();
            return Self::RoleRefused(answer(meta, status, request_id));
        }
        let cause = Cause::innermost(error);
        if let Some(trouble) = Trouble::within(error).filter(|it| !it.may_be_no_route()) {
            return Self::CredentialsBroken(trouble, cause);
        }
        let is_connection = chain(error).any(<dyn StdError>::is::<ConnectorError>);
        match error {
            CredentialsError::ProviderError(_) if !is_connection => {
                Self::CredentialsMalformed(cause)
            }
            CredentialsError::ProviderError(_) | CredentialsError::ProviderTimedOut(_) => {
                Self::CredentialsUnreachable(cause)
            }
            _ => Self::NoCredentials(cause),
        }
    }
}

/// Returns true if the connection was given up: in the middle of an answer where that had begun.
fn is_timeout(error: &(dyn StdError + 'static)) -> bool {
    let error = error.downcast_ref::<ConnectorError>();
    error.is_some_and(ConnectorError::is_timeout)
}

/// The status of STS's answer to the request for a role.
fn status_of(error: &(dyn StdError + 'static)) -> Option<u16> {
    let error: &SdkError<AssumeRoleError> = error.downcast_ref()?;
    Some(error.raw_response()?.status().as_u16())
}

fn answer(meta: &ErrorMetadata, status: u16, request_id: &str) -> Answer {
    Answer {
        status,
        code: shorten(meta.code().unwrap_or_default()),
        message: shorten(meta.message().unwrap_or_default()),
        request_id: shorten(request_id),
    }
}

fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

/// One line of bounded length.
fn shorten(text: &str) -> Box<str> {
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.retain(|c| !c.is_control());
    line.truncate(line.floor_char_boundary(MAX_TEXT));
    line.into()
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::error::SdkError;
    use aws_sdk_s3::operation::get_object::GetObjectError;
    use aws_sdk_s3::primitives::SdkBody;
    use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

    use super::*;

    #[test]
    fn an_answer_that_stops_in_the_middle_was_reached() {
        let answer = HttpResponse::new(200.try_into().unwrap(), SdkBody::empty());
        let stopped = ConnectorError::timeout("too slow".into());
        let error: SdkError<GetObjectError> = SdkError::response_error(stopped, answer);
        let Failure::Broken(trouble, _) = Failure::of(&error) else {
            panic!("{error:?}")
        };
        assert_eq!(trouble.to_string(), "its answer stopped in the middle");
    }
}
