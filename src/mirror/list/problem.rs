//! The problems of a list: all of them at once, each with its place.

use std::fmt;

use crate::cloudformation::{MAX_PROBLEM, SHOWN_PROBLEMS, truncate};

/// One thing that is wrong with a list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The line of the document, where it has lines.
    pub line: Option<u32>,
    /// The entry, counted from 0. `None`: it is not that of one entry.
    pub entry: Option<usize>,
    /// The place in the document, such as `sync[3].tags.semver`. Empty: the document as a whole.
    pub path: String,
    /// The problem in words.
    pub text: String,
}

impl Problem {
    /// A problem of the list as a whole.
    pub fn of_list(text: impl fmt::Display) -> Self {
        Self::new(&Place::default(), text)
    }

    /// A problem of a place, with a text that is cut where it is long.
    pub(super) fn new(place: &Place, text: impl fmt::Display) -> Self {
        let mut text = text.to_string();
        truncate(&mut text, MAX_PROBLEM);
        Self {
            line: place.line,
            entry: place.entry,
            path: place.path.clone(),
            text,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.path.as_str()) {
            (Some(line), "") => write!(f, "line {line}: {}", self.text),
            (Some(line), path) => write!(f, "line {line}, {path}: {}", self.text),
            (None, "") => f.write_str(&self.text),
            (None, path) => write!(f, "{path}: {}", self.text),
        }
    }
}

/// Most problems that are kept.
const MAX_PROBLEMS: usize = 10_000;

/// The problems that are found as a list is read.
#[derive(Debug, Default)]
pub(super) struct Problems {
    found: Vec<Problem>,
}

impl Problems {
    pub(super) fn push(&mut self, problem: Problem) {
        if !self.is_full() {
            self.found.push(problem);
        }
    }

    /// Returns true if no more problems are kept.
    pub(super) fn is_full(&self) -> bool {
        self.found.len() == MAX_PROBLEMS
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.found.len()
    }
}

impl From<Problems> for InvalidList {
    fn from(problems: Problems) -> Self {
        Self::new(problems.found)
    }
}

/// A list that cannot be used, with everything that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidList {
    problems: Vec<Problem>,
}

impl InvalidList {
    /// A list with these problems, which are put in the order of the document.
    pub fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort();
        problems.dedup();
        Self { problems }
    }

    /// All that is wrong, up to 10,000 problems.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for InvalidList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, problem) in self.problems.iter().take(SHOWN_PROBLEMS).enumerate() {
            if position > 0 {
                f.write_str("; ")?;
            }
            problem.fmt(f)?;
        }
        match self.problems.len().saturating_sub(SHOWN_PROBLEMS) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

impl std::error::Error for InvalidList {}

/// A place in the document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: Option<u32>,
    pub(super) entry: Option<usize>,
    pub(super) path: String,
}

impl Place {
    /// The place of a member of what is here.
    pub(super) fn member(&self, name: &str, line: Option<u32>) -> Self {
        let path = match self.path.as_str() {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        };
        Self {
            line,
            path,
            ..*self
        }
    }

    /// The place of an item of what is here.
    pub(super) fn item(&self, position: usize, line: Option<u32>) -> Self {
        Self {
            line,
            path: format!("{}[{position}]", self.path),
            ..*self
        }
    }
}
