//! From one name of a glob to the expression that the library matches it by.

use std::sync::LazyLock;

use regress::Regex;

use super::class::{class, escape};
use super::extended::Tree;

/// Any one character, and any number of them, of a name.
pub(super) const ONE: &str = "[^/]";
pub(super) const ANY: &str = "[^/]*?";
pub(super) const SOME: &str = "[^/]+?";
/// The rest does not begin with a dot.
pub(super) const NOT_HIDDEN: &str = r"(?!\.)";
/// The rest is neither `.` nor `..`.
pub(super) const NOT_UPWARD: &str = r"(?!(?:^|/)\.\.?(?:$|/))";

/// The expression that one name of a glob is matched by.
pub(super) enum Source {
    Name(String),
    Expression { source: String, unicode: bool },
}

pub(super) fn source(glob: &str) -> Source {
    let part = Tree::parse(glob).into_part();
    if part.wild {
        Source::Expression {
            source: part.source,
            unicode: part.unicode,
        }
    } else {
        Source::Name(part.literal)
    }
}

/// A part of a name's expression.
#[derive(Default)]
pub(super) struct Part {
    pub(super) source: String,
    /// The text that it stands for if it is not `wild`.
    pub(super) literal: String,
    pub(super) wild: bool,
    pub(super) unicode: bool,
}

/// The part that a piece of glob without extended globs is. `whole`: it is a whole name, which
/// is not empty.
pub(super) fn plain(glob: &str, whole: bool) -> Part {
    let characters: Vec<char> = glob.chars().collect();
    let only_stars = characters.iter().all(|c| *c == '*');
    let star = if whole && only_stars { SOME } else { ANY };
    let mut part = Part::default();
    let mut after_star = false;
    let mut at = 0;
    while let Some(&c) = characters.get(at) {
        let repeated = c == '*' && after_star;
        at += if repeated {
            1
        } else {
            part.take(&characters[at..], star)
        };
        after_star = c == '*';
    }
    part
}

impl Part {
    /// Takes what stands first; answers how many characters that is.
    fn take(&mut self, glob: &[char], star: &str) -> usize {
        match glob {
            ['*', ..] => {
                self.source += star;
                self.wild = true;
            }
            ['?', ..] => {
                self.source += ONE;
                self.wild = true;
            }
            ['\\', escaped, ..] => {
                if r"().*{}+?[]^$\!".contains(*escaped) {
                    self.source.push('\\');
                }
                self.source.push(*escaped);
                return 2;
            }
            ['[', ..] => match class(glob) {
                Some(class) => {
                    self.source += &class.source;
                    self.unicode |= class.unicode;
                    self.wild |= class.wild;
                    return class.length;
                }
                None => self.source += r"\[",
            },
            [c, ..] => self.source += &escape(*c),
            [] => {}
        }
        1
    }
}

/// Takes the escapes out of an expression without anything wild.
pub(super) fn unescape(source: &str) -> String {
    static BRACKETS: LazyLock<Regex> = LazyLock::new(|| expression(r"((?!\\).|^)\[([^/\\])\]"));
    static BACKSLASH: LazyLock<Regex> = LazyLock::new(|| expression(r"\\([^/])"));
    let without_brackets = BRACKETS.replace_all(source, "$1$2");
    BACKSLASH.replace_all(&without_brackets, "$1")
}

fn expression(source: &str) -> Regex {
    Regex::new(source).expect("an expression written here")
}
