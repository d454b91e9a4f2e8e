//! Errors of a run and of its items.

use std::time::Duration;

use super::call::InvalidCall;
use super::list::InvalidList;
use crate::cloudformation::{InvalidProperties, chain, plain, sentence};
use crate::content::BoxError;
use crate::deploy::Kind;
use crate::redact::scrub;
use crate::{aws, deploy};

/// An error of a run or of an item.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The invocation cannot be understood.
    #[error("the invocation cannot be understood")]
    Call(#[source] InvalidCall),
    /// The function's own settings cannot be used.
    #[error("the function is not set up: see to its environment variables")]
    NotSetUp(#[source] std::sync::Arc<dyn std::error::Error + Send + Sync>),
    /// The run names no list.
    #[error("{list} is no list: expected s3://bucket/key, or the list itself")]
    NoList {
        /// The value that the run has instead.
        list: String,
    },
    /// The list is not where the run says.
    #[error("there is no list at {uri}")]
    ListMissing {
        /// Its address.
        uri: String,
    },
    /// The list cannot be used.
    #[error("the list cannot be used")]
    List(#[source] InvalidList),
    /// The bucket of the mirror, or the list's, does not do what is asked of it.
    #[error(transparent)]
    Bucket(Box<aws::Error>),
    /// An object of the run is not what this function writes.
    #[error("{uri} cannot be read: it was not written by this version of the function")]
    Object {
        /// The object.
        uri: String,
        /// The parser's error.
        source: serde_json::Error,
    },
    /// An item's properties cannot be used.
    #[error("the properties of {item} cannot be used")]
    Properties {
        /// The image.
        item: String,
        /// Everything that is wrong with them.
        #[source]
        problems: InvalidProperties,
    },
    /// A registry or AWS was looked at in vain.
    #[error(transparent)]
    Survey(Box<deploy::Error>),
    /// An item was not copied.
    #[error("cannot copy {item}")]
    Copy {
        /// The image.
        item: String,
        /// The cause.
        #[source]
        source: BoxError,
    },
    /// An item was copied, and those do not get to pull it who should.
    #[error("{item} was copied, and pulls of it cannot be granted")]
    Grant {
        /// The image.
        item: String,
        /// The cause.
        #[source]
        source: BoxError,
    },
    /// An invocation brought an item no further.
    #[error(
        "copying {item} makes no progress: not one more blob was done in the function's {} seconds; \
         give the function more time or memory, with which it also has more network",
        after.as_secs()
    )]
    NoProgress {
        /// The image.
        item: String,
        /// The time that was spent on it.
        after: Duration,
    },
    /// The time is up.
    #[error("{what} was not done within the function's time: give it more")]
    OutOfTime {
        /// The work that was not done.
        what: &'static str,
    },
    /// The platform ends the function.
    #[error("the function is being shut down")]
    Stopped,
    /// A defect of this program.
    #[error("the function failed by a defect: {0}")]
    Panicked(String),
    /// CloudFormation did not get the answer.
    #[error("CloudFormation did not get the answer")]
    Undelivered(#[source] BoxError),
}

impl Error {
    /// The kind of the failure, for callers that decide by it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Call(_)
            | Self::NotSetUp(_)
            | Self::NoList { .. }
            | Self::ListMissing { .. }
            | Self::List(_)
            | Self::Object { .. }
            | Self::Properties { .. } => Kind::Invalid,
            Self::Bucket(error) => Kind::of(&**error),
            Self::Survey(error) => Kind::of(&**error),
            Self::Copy { source, .. } | Self::Grant { source, .. } => Kind::of(&**source),
            Self::NoProgress { .. } | Self::OutOfTime { .. } => Kind::OutOfTime,
            Self::Stopped => Kind::Stopped,
            Self::Panicked(_) => Kind::Failed,
            Self::Undelivered(_) => Kind::Undelivered,
        }
    }

    /// The failure and its causes as a sentence, without secrets.
    pub fn shown(&self) -> String {
        sentence(&plain(&scrub(&chain(self))))
    }
}

impl From<aws::Error> for Error {
    fn from(error: aws::Error) -> Self {
        Self::Bucket(Box::new(error))
    }
}
