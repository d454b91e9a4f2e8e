//! Why a policy is not what it should be.

use std::fmt;
use std::time::Duration;

use super::{MAX_POLICY_CHARACTERS, MalformedPolicy, StoreError};
use crate::content::Retryable;

/// A policy that could not be brought to what is asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The policy could not be read, written or removed.
    #[error(transparent)]
    Store(StoreError),
    /// The repository's policy cannot be read, so nothing can be merged into it.
    #[error("the policy that repository {repository} has cannot be understood")]
    Malformed {
        /// The repository.
        repository: String,
        /// The fault.
        source: MalformedPolicy,
    },
    /// With the owner's statements, the policy is longer than ECR takes.
    #[error(
        "the policy of repository {repository} would have {size} characters, of which {own} are \
         this resource's; ECR takes {MAX_POLICY_CHARACTERS}: name accounts or an organization \
         instead of single roles, or remove statements"
    )]
    TooLarge {
        /// The repository.
        repository: String,
        /// Length of the whole policy, in characters.
        size: usize,
        /// Length of the owner's statements, in characters.
        own: usize,
    },
    /// A statement with a policy variable would go into a document in which it is plain text.
    #[error(
        "the statement {sid} has a policy variable (\"${{…}}\"), which means nothing in the policy \
         of repository {repository}: its Version is before 2012-10-17; change that first"
    )]
    Variable {
        /// The repository.
        repository: String,
        /// The statement.
        sid: String,
    },
    /// ECR does not know a principal, although it was given time to.
    #[error(
        "ECR refuses the policy of repository {repository} for a principal that does not exist, \
         {} seconds after the first attempt{suspects}",
        waited.as_secs()
    )]
    PrincipalNotFound {
        /// The repository.
        repository: String,
        /// The time that was waited for the principal to become known.
        waited: Duration,
        /// The possible reasons.
        suspects: Box<Suspects>,
        /// The answer.
        source: StoreError,
    },
    /// ECR does not take the policy.
    #[error("ECR refuses the policy of repository {repository}{suspects}")]
    Refused {
        /// The repository.
        repository: String,
        /// The possible reasons.
        suspects: Box<Suspects>,
        /// The answer.
        source: StoreError,
    },
    /// Others changed the policy after every attempt.
    #[error(
        "the policy of repository {repository} was changed by another writer after each of \
         {writes} attempts: find what else writes it, and deploy again"
    )]
    Contended {
        /// The repository.
        repository: String,
        /// The number of times that it was written.
        writes: u32,
    },
    /// The time that there was is over.
    #[error("no time was left to bring the policy of repository {repository} to its end")]
    Deadline {
        /// The repository.
        repository: String,
    },
}

impl Error {
    /// Returns true if the same may succeed when it is tried again.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Store(error) => error.is_retryable(),
            Self::Contended { .. } | Self::Deadline { .. } => true,
            _ => false,
        }
    }
}

impl Retryable for Error {
    fn is_retryable(&self) -> bool {
        self.is_retryable()
    }
}

/// The parts of a policy that may be the reason for which ECR refuses it: ECR does not name it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Suspects {
    /// The roles, users and sessions that the owner's statements name.
    pub named: Vec<String>,
    /// Statements, by Sid, that name a role or user that was deleted, by its unique ID.
    pub orphans: Vec<(String, String)>,
    /// The Sids of statements that deny something.
    pub denials: Vec<String>,
}

/// As clauses that go on a sentence.
impl fmt::Display for Suspects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.named.is_empty() {
            write!(f, "; check that there is {}", listed(&self.named))?;
        }
        for (sid, id) in self.orphans.iter().take(LISTED) {
            write!(
                f,
                "; the statement {sid:?} names {id}, a role or user that was deleted: \
                 remove it from the policy"
            )?;
        }
        if !self.denials.is_empty() {
            write!(
                f,
                "; it has statements that deny ({}): a policy that would keep the role in use \
                 from setting another one is refused, and not forced",
                listed(&self.denials)
            )?;
        }
        Ok(())
    }
}

/// The most names that an error lists.
const LISTED: usize = 10;

fn listed(names: &[String]) -> String {
    let shown = names.iter().take(LISTED).map(String::as_str);
    let text = shown.collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(LISTED) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}
