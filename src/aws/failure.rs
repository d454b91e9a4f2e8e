//! What an SDK's error says, without the SDK: one small type for all operations.

use std::error::Error as StdError;
use std::fmt;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::error::{ErrorMetadata, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::RequestId;
use aws_smithy_runtime_api::client::result::ConnectorError;

/// Longest text taken over from elsewhere, in bytes.
const MAX_TEXT: usize = 1024;

/// How a call failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The service answered with an error.
    Answered(Answer),
    /// No answer came.
    Unreachable(Cause),
    /// There were no credentials to sign with.
    NoCredentials(Cause),
    /// STS refused the role.
    RoleRefused(Answer),
    /// What gives credentials was not reached: STS, for a role.
    CredentialsUnreachable(Cause),
    /// What gives credentials answered something that cannot be read: STS, for a role.
    CredentialsMalformed(Cause),
    /// The call could not be made, or its answer could not be read.
    Malformed(Cause),
}

/// What a service answered: its code, its message and the request's ID.
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
            return if is_dispatch {
                Self::Unreachable(Cause::innermost(error))
            } else {
                Self::Malformed(Cause::innermost(error))
            };
        };
        Self::of_credentials(credentials)
    }

    fn of_credentials(error: &CredentialsError) -> Self {
        if let Some(meta) = chain(error).find_map(<dyn StdError>::downcast_ref::<ErrorMetadata>) {
            return Self::RoleRefused(answer(meta, 0, meta.request_id().unwrap_or_default()));
        }
        let is_connection = chain(error).any(<dyn StdError>::is::<ConnectorError>);
        match error {
            CredentialsError::ProviderError(_) if !is_connection => {
                Self::CredentialsMalformed(Cause::innermost(error))
            }
            CredentialsError::ProviderError(_) | CredentialsError::ProviderTimedOut(_) => {
                Self::CredentialsUnreachable(Cause::innermost(error))
            }
            _ => Self::NoCredentials(Cause::innermost(error)),
        }
    }
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
