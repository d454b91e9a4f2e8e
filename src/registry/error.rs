//! Errors between this client and a registry.

use std::fmt;
use std::time::Duration;

use reqwest::{Method, StatusCode};

use super::answer::{ErrorCode, ErrorDetail};
use super::quota::Quota;
use crate::content::{self, Retryable};
use crate::network::{AskedWait, LocalAddress, Trouble};
use crate::oci::Digest;
use crate::redact::RedactedUrl;

/// A request to a registry, or to a server that a registry sent us to, that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The answer is a failure
    /// ([spec.md, "Error Codes"](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes)).
    #[error("{method} {url} answered {status}{}{}", Details(errors), AskedWait(*retry_after))]
    Response {
        /// Method of the request.
        method: Method,
        /// The place where it went, after redirects.
        url: RedactedUrl,
        /// Status of the answer.
        status: StatusCode,
        /// The errors in the answer's body, if it is the specification's error document.
        errors: Vec<ErrorDetail>,
        /// The time that the answer asks to wait.
        retry_after: Option<Duration>,
    },
    /// The registry's quota of pulls is used up.
    #[error("{0}")]
    Quota(Box<Quota>),
    /// No answer came: connecting, TLS or the connection itself failed.
    #[error("{method} {url} failed on the way: {}", Trouble::of(source))]
    Transport {
        /// Method of the request.
        method: Method,
        /// The place where it went.
        url: RedactedUrl,
        /// The HTTP client's error, without its URL.
        source: reqwest::Error,
    },
    /// Nothing came or went for too long.
    #[error("{method} {url} stood still for {} seconds", after.as_secs())]
    Timeout {
        /// Method of the request.
        method: Method,
        /// The place where it went.
        url: RedactedUrl,
        /// The time that was waited.
        after: Duration,
    },
    /// The request failed again and again, or in a way that waiting for would take too long.
    #[error("gave up after {} in {} seconds", Attempts(*attempts), elapsed.as_secs())]
    Exhausted {
        /// The number of times that the request was made.
        attempts: u32,
        /// The time from the first attempt to the end of the last.
        elapsed: Duration,
        /// The last failure.
        source: Box<Error>,
    },
    /// The credentials could not be had.
    #[error("cannot get credentials for {registry}")]
    Credentials {
        /// The registry that asks for them.
        registry: String,
        /// The provider's error.
        source: content::Error,
    },
    /// A registry asks for its credentials to be sent to a host that is not known to be its own.
    #[error(
        "refusing to send the credentials of {registry} to {realm}: if it is the registry's token \
         server, name both in LONGSHORE_TOKEN_REALMS (the template's parameter TokenRealms)"
    )]
    Realm {
        /// The registry.
        registry: String,
        /// The place where it wants them.
        realm: RedactedUrl,
    },
    /// The server that issues a registry's tokens gave no usable answer.
    #[error("the token server of {registry} did not issue a token")]
    TokenServer {
        /// The registry that sends requests to it.
        registry: String,
        /// The answer, or the reason for none.
        source: Box<Error>,
    },
    /// The server that issues a registry's tokens did not issue one.
    #[error("token server {realm} {problem}")]
    Token {
        /// The server's address.
        realm: RedactedUrl,
        /// The error.
        problem: &'static str,
    },
    /// A registry or redirect at an address that Longshore does not connect to.
    #[error(
        "refusing to connect to {host}: loopback and link-local addresses are no registries \
         (set LONGSHORE_ALLOW_LOOPBACK=1 for local tests)"
    )]
    Local {
        /// The host as it was written.
        host: String,
    },
    /// A registry or redirect on another machine, where nothing beyond this one is reached.
    #[error("refusing to connect to {host}: --local reaches only what is on this machine")]
    Beyond {
        /// The host as it was written.
        host: String,
    },
    /// A redirect or upload location without TLS.
    #[error("refusing to send requests to {url} without TLS")]
    Insecure {
        /// The location.
        url: RedactedUrl,
    },
    /// A registry host that makes no URL.
    #[error("malformed registry host {host:?}")]
    Host {
        /// The host as it was written.
        host: String,
    },
    /// Redirects without end.
    #[error("{url} redirects more than {limit} times")]
    Redirects {
        /// The place where the first one started.
        url: RedactedUrl,
        /// The bound.
        limit: usize,
    },
    /// An answer that the specification does not allow.
    #[error("{method} {url} answered {problem}")]
    Protocol {
        /// Method of the request.
        method: Method,
        /// The place where it went.
        url: RedactedUrl,
        /// The error.
        problem: &'static str,
    },
    /// An answer larger than Longshore takes.
    #[error("{url} answered more than {limit} bytes")]
    TooLarge {
        /// The address that was read.
        url: RedactedUrl,
        /// The bound.
        limit: u64,
    },
    /// A manifest that is not what was asked for, or not stored as it was sent.
    #[error("manifest {url} has the wrong digest: expected {expected}, got {actual}")]
    ManifestDigest {
        /// The manifest's address.
        url: RedactedUrl,
        /// The digest that was asked for or sent.
        expected: Digest,
        /// The digest that came.
        actual: Digest,
    },
    /// The HTTP client could not be set up.
    #[error("cannot set up the HTTP client")]
    Setup(#[source] reqwest::Error),
}

/// The way in which a server says that these credentials may not do this.
const DENIALS: [StatusCode; 2] = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];

impl Error {
    /// Status of the registry's answer, if that is what failed.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Response { status, .. } => Some(*status),
            Self::Quota(_) => Some(StatusCode::TOO_MANY_REQUESTS),
            Self::Exhausted { source, .. } => source.status(),
            // What a token server denies, the registry denies. What it lacks is no image.
            Self::TokenServer { source, .. } => {
                source.status().filter(|status| DENIALS.contains(status))
            }
            _ => None,
        }
    }

    /// Returns true if the answer carries `code`.
    pub fn has_code(&self, code: &ErrorCode) -> bool {
        match self {
            Self::Response { errors, .. } => errors.iter().any(|error| error.code == *code),
            Self::Exhausted { source, .. } => source.has_code(code),
            _ => false,
        }
    }

    /// Returns true if what was asked for is not there: the blob, manifest, tag or the whole
    /// repository.
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(StatusCode::NOT_FOUND)
    }

    /// Returns true if the registry does not do such a thing at all.
    pub fn is_unsupported(&self) -> bool {
        matches!(
            self.status(),
            Some(StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED)
        )
    }

    /// Returns true if the registry does not let these credentials do this. Some registries also
    /// say so of what does not exist, and some answer 404 where they mean this.
    pub fn is_denied(&self) -> bool {
        self.status()
            .is_some_and(|status| DENIALS.contains(&status))
    }

    /// Returns true if a refused manifest push looks like one of a tag that may not be overwritten.
    ///
    /// The specification has no code for this. `TAG_INVALID` is what some registries answer, and
    /// they answer it for other faults of a tag too: look at what the tag names before relying
    /// on it.
    pub fn is_tag_immutable(&self) -> bool {
        let refused = matches!(
            self.status(),
            Some(
                StatusCode::BAD_REQUEST
                    | StatusCode::FORBIDDEN
                    | StatusCode::CONFLICT
                    | StatusCode::PRECONDITION_FAILED
            )
        );
        refused && self.has_code(&ErrorCode::TAG_INVALID)
    }

    /// Returns true if making the request again can help. Requests are retried before their error
    /// is seen, so an error that is still retryable was met outside of a request's own retries: in
    /// the middle of a body.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Response { status, .. } => matches!(
                *status,
                StatusCode::REQUEST_TIMEOUT
                    | StatusCode::TOO_MANY_REQUESTS
                    | StatusCode::INTERNAL_SERVER_ERROR
                    | StatusCode::BAD_GATEWAY
                    | StatusCode::SERVICE_UNAVAILABLE
                    | StatusCode::GATEWAY_TIMEOUT
            ),
            Self::Transport { source, .. } => {
                !is_local(source) && !source.is_builder() && Trouble::of(source).may_pass()
            }
            Self::Timeout { .. } => true,
            _ => false,
        }
    }

    /// Returns true if the answer asks for fewer requests.
    pub(super) fn is_throttle(&self) -> bool {
        matches!(
            self.status(),
            Some(StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
        )
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Response { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

impl Retryable for Error {
    fn is_retryable(&self) -> bool {
        self.is_retryable()
    }

    fn is_not_found(&self) -> bool {
        self.is_not_found()
    }

    fn is_unsupported(&self) -> bool {
        self.is_unsupported()
    }
}

impl From<Error> for content::Error {
    fn from(error: Error) -> Self {
        Self::backend(error)
    }
}

/// Returns true if a connection was refused by our own resolver.
fn is_local(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source())
        .any(<dyn std::error::Error>::is::<LocalAddress>)
}

struct Details<'a>(&'a [ErrorDetail]);

impl fmt::Display for Details<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let separator = if index == 0 { ": " } else { "; " };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

struct Attempts(u32);

impl fmt::Display for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0 == 1 { "" } else { "s" };
        write!(f, "{} attempt{plural}", self.0)
    }
}
