//! A command line that cannot be meant, which the parser does not see.

/// The exit status of misuse.
pub(crate) const STATUS: u8 = 2;

/// A sentence that says what is wrong with the command line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Misuse(String);

impl Misuse {
    /// Says what is wrong.
    pub(crate) fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}
