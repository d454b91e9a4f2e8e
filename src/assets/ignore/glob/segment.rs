//! One name of a glob.

use super::super::expression::{Dialect, Expression, InvalidPattern, units};
use super::source::{Source, source};

/// The pattern of one name of a glob.
#[derive(Debug)]
pub(super) enum Segment {
    /// `**`: any directories, or none.
    AnyDirectories,
    /// Exactly this name.
    Name(String),
    /// `*`.
    Any,
    /// `*` and a name's end.
    AnyBefore(String),
    /// Some `?` and a name's end: the length of the whole, and the end.
    Length(usize, String),
    /// `*.*`.
    AnyWithDot,
    /// `.*`.
    AnyHidden,
    /// Everything else.
    Expression(Expression),
}

impl Segment {
    pub(super) fn new(glob: &str, pattern: &str) -> Result<Self, InvalidPattern> {
        match glob {
            "**" => return Ok(Self::AnyDirectories),
            "" => return Ok(Self::Name(String::new())),
            _ => {}
        }
        match source(glob) {
            Source::Name(name) => Ok(Self::Name(name)),
            Source::Expression { source, unicode } => {
                let dialect = if unicode {
                    Dialect::ScriptUnicode
                } else {
                    Dialect::Script
                };
                let expression = Expression::new(format!("^{source}$"), dialect, pattern)?;
                Ok(Self::shortcut(glob).unwrap_or(Self::Expression(expression)))
            }
        }
    }

    /// The common globs, which the library decides without an expression, and in places
    /// otherwise: a backslash in a name's end is a backslash.
    fn shortcut(glob: &str) -> Option<Self> {
        let is_stars = |text: &str| !text.is_empty() && text.bytes().all(|b| b == b'*');
        let is_plain = |text: &str| !text.contains(['+', '@', '!', '?', '*', '[', '(']);
        if is_stars(glob) {
            return Some(Self::Any);
        }
        let after_stars = glob.trim_start_matches('*');
        if after_stars.len() < glob.len() && is_plain(after_stars) {
            return Some(Self::AnyBefore(after_stars.to_owned()));
        }
        let after_marks = glob.trim_start_matches('?');
        if after_marks.len() < glob.len() && is_plain(after_marks) {
            let length = glob.encode_utf16().count();
            return Some(Self::Length(length, after_marks.to_owned()));
        }
        match glob.split_once('.') {
            Some((before, after)) if is_stars(before) && is_stars(after) => Some(Self::AnyWithDot),
            Some(("", after)) if is_stars(after) => Some(Self::AnyHidden),
            _ => None,
        }
    }

    /// Returns true if this stands for the name. Where the first character is not given, it is not
    /// a dot.
    pub(super) fn matches(&self, name: &str) -> bool {
        let hidden = name.starts_with('.');
        match self {
            Self::AnyDirectories => false,
            Self::Name(exact) => name == exact,
            Self::Any => !name.is_empty() && !hidden,
            Self::AnyBefore(end) => !hidden && name.ends_with(end),
            Self::Length(length, end) => {
                !hidden && name.encode_utf16().count() == *length && name.ends_with(end)
            }
            Self::AnyWithDot => !hidden && name.contains('.'),
            Self::AnyHidden => hidden && name != "." && name != "..",
            Self::Expression(expression) => expression.matches(&units(name)),
        }
    }
}
