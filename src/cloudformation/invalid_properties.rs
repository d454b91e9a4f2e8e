//! The properties of a resource, and those that cannot be used.

use std::fmt;

use serde_json::{Map, Value};

/// The number of problems that are shown; whoever has more gets the number of the rest.
pub(crate) const SHOWN_PROBLEMS: usize = 8;
/// The properties of a resource, as the template has them.
pub type Properties = Map<String, Value>;

/// Properties that cannot be used, with everything that is wrong with them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct InvalidProperties {
    problems: Vec<String>,
}

impl InvalidProperties {
    /// Properties with these problems, each with the path of its property first.
    pub(super) fn new(problems: Vec<String>) -> Self {
        Self { problems }
    }

    /// All that is wrong, each with the path of its property first.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

impl fmt::Display for InvalidProperties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.problems.len().min(SHOWN_PROBLEMS);
        f.write_str(&self.problems[..shown].join("; "))?;
        match self.problems.len() - shown {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

/// `ResourceProperties` that are no JSON object, or one that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the event's ResourceProperties cannot be read: {reason}")]
pub struct UnreadableProperties {
    pub(super) reason: String,
}
