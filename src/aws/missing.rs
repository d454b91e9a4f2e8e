//! The kinds of things that AWS says are not there.

use std::fmt;

/// A thing that is not there.
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
    /// The state machine.
    StateMachine,
    /// The execution of the state machine.
    Execution,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bucket => "such bucket",
            Self::Object => "such object",
            Self::Version => "such version of the object",
            Self::Repository => "such repository",
            Self::Policy => "such policy",
            Self::Image => "such image",
            Self::Secret => "such secret",
            Self::StateMachine => "such state machine",
            Self::Execution => "such execution",
        })
    }
}
