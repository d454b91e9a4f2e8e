//! Errors of content on its way.

use std::fmt;
use std::sync::Arc;

use crate::oci::Digest;

/// Any error.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// An error that knows whether the same request may succeed when it is made again.
pub trait Retryable: std::error::Error + Send + Sync + 'static {
    /// Returns true if trying again can help.
    fn is_retryable(&self) -> bool;

    /// Returns true if what was asked for is not there.
    fn is_not_found(&self) -> bool {
        false
    }

    /// Returns true if the place does not do such a thing at all.
    fn is_unsupported(&self) -> bool {
        false
    }
}

/// What goes wrong while content is read, checked or pushed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are not those that were named.
    #[error("digest mismatch: expected {expected}, got {actual}")]
    Digest {
        /// The digest by which the content was asked for.
        expected: Digest,
        /// The digest of what came.
        actual: Digest,
    },
    /// Too few or too many bytes came.
    #[error("size mismatch: expected {expected} bytes, got {actual}")]
    Size {
        /// The size that was announced.
        expected: u64,
        /// The size of what came, up to where it was cut off.
        actual: u64,
    },
    /// More bytes came than Longshore keeps in memory for this kind of content.
    #[error("expected at most {limit} bytes")]
    TooLarge {
        /// The bound.
        limit: u64,
    },
    /// An open stream yielded nothing for too long.
    #[error("no byte came for {} seconds", after.as_secs())]
    Stalled {
        /// The time that was waited.
        after: std::time::Duration,
    },
    /// The place that holds or takes the content failed.
    #[error(transparent)]
    Backend(BackendError),
    /// What is sent could not be read where it comes from.
    #[error(transparent)]
    Read(Box<Self>),
    /// What all heard who read the same content at once.
    #[error(transparent)]
    Shared(Arc<Self>),
}

impl Error {
    /// Wraps the error of a place that holds or takes content.
    pub fn backend(error: impl Retryable) -> Self {
        Self::Backend(BackendError {
            retryable: error.is_retryable(),
            not_found: error.is_not_found(),
            unsupported: error.is_unsupported(),
            inner: Box::new(error),
        })
    }

    /// Returns true if trying again can help.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Backend(error) => error.retryable,
            Self::Size { expected, actual } => actual < expected,
            Self::Stalled { .. } => true,
            Self::Digest { .. } | Self::TooLarge { .. } => false,
            Self::Read(error) => error.is_retryable(),
            Self::Shared(error) => error.is_retryable(),
        }
    }

    /// Returns true if what was asked for is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Backend(error) if error.not_found)
    }

    /// Returns true if it was met where content comes from, while it was sent elsewhere.
    pub fn is_read(&self) -> bool {
        matches!(self, Self::Read(_))
    }

    /// Returns true if the place does not do such a thing at all.
    pub fn is_unsupported(&self) -> bool {
        matches!(self, Self::Backend(error) if error.unsupported)
    }

    /// The error of the place itself, if it is an `E`.
    pub fn downcast_ref<E: std::error::Error + 'static>(&self) -> Option<&E> {
        match self {
            Self::Backend(error) => error.inner.downcast_ref(),
            Self::Read(error) => error.downcast_ref(),
            Self::Shared(error) => error.downcast_ref(),
            _ => None,
        }
    }
}

/// The error of a place that holds or takes content, shown as that error itself.
#[derive(Debug)]
pub struct BackendError {
    inner: BoxError,
    retryable: bool,
    not_found: bool,
    unsupported: bool,
}

impl fmt::Display for BackendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.inner, f)
    }
}

impl std::error::Error for BackendError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner.source()
    }
}
