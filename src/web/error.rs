//! Objects that cannot be read.

use std::time::Duration;

use reqwest::StatusCode;

use crate::content::Retryable;
use crate::network::{AskedWait, LocalAddress, Trouble};
use crate::redact::RedactedUrl;

/// A request to a web server that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The host is not among those that may be read from.
    #[error(
        "refusing to read {url}: its host is not among those that LONGSHORE_HTTPS_SOURCES allows \
         (the template's parameter HttpsSourceHosts)"
    )]
    Host {
        /// The object, or where it redirects to.
        url: RedactedUrl,
    },
    /// The host is at an address that Longshore does not connect to.
    #[error(
        "refusing to connect to {host}: loopback and link-local addresses are no sources \
         (set LONGSHORE_ALLOW_LOOPBACK=1 for local tests)"
    )]
    Local {
        /// The host as it was written.
        host: String,
    },
    /// The object would come without TLS.
    #[error("refusing to read {url} without TLS: an https URL is needed")]
    Insecure {
        /// The object, or where it redirects to.
        url: RedactedUrl,
    },
    /// The server does not let this request read.
    #[error(
        "reading {url} was denied ({status}): if the URL is a presigned one, it may have expired \
         or be for another method than GET; give the resource a new one"
    )]
    Denied {
        /// The object.
        url: RedactedUrl,
        /// The server's answer.
        status: StatusCode,
    },
    /// The object is not there.
    #[error("there is no {url} ({status}): see that the URL is right")]
    NotFound {
        /// The object.
        url: RedactedUrl,
        /// The server's answer.
        status: StatusCode,
    },
    /// The object is another one than when it was opened.
    #[error("{url} changed while it was read: deploy again when it is complete")]
    Changed {
        /// The object.
        url: RedactedUrl,
    },
    /// The server gives whole objects only.
    #[error(
        "the server of {url} does not serve ranges of it, which reading an archive takes: put the \
         archive into S3, or on a server that answers Range requests with 206"
    )]
    NoRanges {
        /// The object.
        url: RedactedUrl,
    },
    /// Nothing tells whether the object changes while it is read.
    #[error(
        "the server of {url} sends neither a strong ETag nor Last-Modified: a change while it is \
         read would go unnoticed"
    )]
    NoValidator {
        /// The object.
        url: RedactedUrl,
    },
    /// An answer that HTTP does not allow.
    #[error("{url} answered {problem}")]
    Protocol {
        /// The image that was asked for.
        url: RedactedUrl,
        /// The error.
        problem: &'static str,
    },
    /// Redirects without end.
    #[error("{url} redirects more than {limit} times")]
    Redirects {
        /// The place where the first one started.
        url: RedactedUrl,
        /// The bound.
        limit: usize,
    },
    /// Another failure of the server.
    #[error("{url} answered {status}{}", AskedWait(*retry_after))]
    Status {
        /// The image that was asked for.
        url: RedactedUrl,
        /// The server's answer.
        status: StatusCode,
        /// The time that it asks to wait.
        retry_after: Option<Duration>,
    },
    /// No answer came: connecting, TLS or the connection itself failed.
    #[error("reading {url} failed on the way: {}", Trouble::of(source))]
    Transport {
        /// The image that was asked for.
        url: RedactedUrl,
        /// The HTTP client's error, without its URL.
        source: reqwest::Error,
    },
    /// No answer came in time.
    #[error("{url} did not answer within {} seconds", after.as_secs())]
    Timeout {
        /// The image that was asked for.
        url: RedactedUrl,
        /// The time that was waited.
        after: Duration,
    },
    /// The request failed again and again, or in a way that waiting for would take too long.
    #[error("gave up reading {url} after {attempts} attempt{}", if *attempts == 1 { "" } else { "s" })]
    Exhausted {
        /// The object.
        url: RedactedUrl,
        /// The number of times that the request was made.
        attempts: u32,
        /// The last failure.
        source: Box<Error>,
    },
    /// The HTTP client could not be set up.
    #[error("cannot set up the HTTP client")]
    Setup(#[source] reqwest::Error),
}

impl Error {
    /// Returns true if making the request again can help.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Status { status, .. } => {
                let passing = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
                passing.contains(status) || status.is_server_error()
            }
            Self::Transport { source, .. } => {
                !is_local(source) && !source.is_builder() && Trouble::of(source).may_pass()
            }
            Self::Timeout { .. } => true,
            _ => false,
        }
    }

    /// Returns true if the answer asks for fewer requests.
    pub(super) fn is_throttle(&self) -> bool {
        matches!(self, Self::Status { status, .. } if *status == StatusCode::TOO_MANY_REQUESTS)
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

impl Retryable for Error {
    fn is_retryable(&self) -> bool {
        self.is_retryable()
    }
}

/// Returns true if a connection was refused by our own resolver.
fn is_local(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source())
        .any(<dyn std::error::Error>::is::<LocalAddress>)
}
