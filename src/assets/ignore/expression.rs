//! Regular expressions as JavaScript has them, for what JavaScript decides by them.

use std::fmt;

use regress::{Flags, Regex};

/// A pattern that CDK's libraries, or Docker, cannot read either.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed ignore pattern {pattern:?}")]
pub struct InvalidPattern {
    pattern: String,
    source: Reason,
}

impl InvalidPattern {
    pub(super) fn new(pattern: &str, reason: impl Into<String>) -> Self {
        Self {
            pattern: pattern.to_owned(),
            source: Reason(reason.into()),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
struct Reason(String);

/// A path as JavaScript sees it: `?` stands for one of these units, not for a character.
pub(super) fn units(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

/// A compiled expression.
pub(super) struct Expression {
    regex: Regex,
    source: String,
    dialect: Dialect,
}

/// The language of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// JavaScript's without flags: a character is half of one where UTF-16 has two.
    Script,
    /// JavaScript's with the flag `i`.
    ScriptIgnoringCase,
    /// JavaScript's with the flag `u`.
    ScriptUnicode,
    /// Go's, as far as both are the same.
    Go,
}

impl Expression {
    /// Compiles `source`, which was made of the user's `pattern`.
    pub(super) fn new(
        source: String,
        dialect: Dialect,
        pattern: &str,
    ) -> Result<Self, InvalidPattern> {
        let flags = Flags {
            icase: dialect == Dialect::ScriptIgnoringCase,
            unicode: dialect == Dialect::ScriptUnicode,
            ..Flags::default()
        };
        let points: Vec<u32> = if dialect.has_whole_characters() {
            source.chars().map(u32::from).collect()
        } else {
            source.encode_utf16().map(u32::from).collect()
        };
        let regex = Regex::from_unicode(points.into_iter(), flags)
            .map_err(|error| InvalidPattern::new(pattern, error.text))?;
        Ok(Self {
            regex,
            source,
            dialect,
        })
    }

    pub(super) fn matches(&self, text: &[u16]) -> bool {
        if self.dialect.has_whole_characters() {
            self.regex.find_from_utf16(text, 0).next().is_some()
        } else {
            self.regex.find_from_ucs2(text, 0).next().is_some()
        }
    }
}

impl Dialect {
    fn has_whole_characters(self) -> bool {
        matches!(self, Self::ScriptUnicode | Self::Go)
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.source)
    }
}
