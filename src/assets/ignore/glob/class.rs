//! A class in brackets, as an expression.

use super::super::script::is_space;

/// The class in brackets at the start of a glob.
pub(super) struct Class {
    /// The expression.
    pub(super) source: String,
    /// How many characters of the glob it is.
    pub(super) length: usize,
    /// True if the expression needs JavaScript's flag `u`.
    pub(super) unicode: bool,
    /// True if it stands for more than one character.
    pub(super) wild: bool,
}

/// Classes by name: the expression, whether it needs the flag `u`, whether it is the opposite.
const NAMED: &[(&str, &str, bool, bool)] = &[
    ("[:alnum:]", r"\p{L}\p{Nl}\p{Nd}", true, false),
    ("[:alpha:]", r"\p{L}\p{Nl}", true, false),
    ("[:ascii:]", r"\x00-\x7f", false, false),
    ("[:blank:]", r"\p{Zs}\t", true, false),
    ("[:cntrl:]", r"\p{Cc}", true, false),
    ("[:digit:]", r"\p{Nd}", true, false),
    ("[:graph:]", r"\p{Z}\p{C}", true, true),
    ("[:lower:]", r"\p{Ll}", true, false),
    // The library has the opposite of what it means, and so have we.
    ("[:print:]", r"\p{C}", true, false),
    ("[:punct:]", r"\p{P}", true, false),
    ("[:space:]", r"\p{Z}\t\r\n\v\f", true, false),
    ("[:upper:]", r"\p{Lu}", true, false),
    ("[:word:]", r"\p{L}\p{Nl}\p{Nd}\p{Pc}", true, false),
    ("[:xdigit:]", "A-Fa-f0-9", false, false),
];

/// Escapes what has a meaning in an expression.
pub(super) fn escape(c: char) -> String {
    if "-[]{}()*+?.,\\^$|#".contains(c) || is_space(c) {
        format!("\\{c}")
    } else {
        c.to_string()
    }
}

fn escape_in_class(c: char) -> String {
    if "[]\\-".contains(c) {
        format!("\\{c}")
    } else {
        c.to_string()
    }
}

/// The parts of a class while it is read.
#[derive(Default)]
struct Members {
    /// Each an expression for the inside of brackets.
    included: Vec<String>,
    opposites: Vec<String>,
    unicode: bool,
    /// The first character of a range that is not complete.
    range_from: Option<char>,
}

enum Member {
    /// So many characters were read.
    Read(usize),
    /// The class can match nothing.
    Impossible,
}

/// Reads the class at the start of `glob`, which is an opening bracket. `None` where the brackets
/// are not closed: then they are literal.
pub(super) fn class(glob: &[char]) -> Option<Class> {
    let negated = matches!(glob.get(1), Some('!' | '^'));
    let mut at = 1 + usize::from(negated);
    let first = at;
    let mut members = Members::default();
    loop {
        let c = *glob.get(at)?;
        if c == ']' && at > first {
            break;
        }
        match members.read(&glob[at..])? {
            Member::Read(length) => at += length,
            Member::Impossible => return Some(impossible(glob.len())),
        }
    }
    Some(members.into_class(negated, at + 1, glob.len()))
}

fn impossible(length: usize) -> Class {
    Class {
        source: "$.".to_owned(),
        length,
        unicode: false,
        wild: true,
    }
}

impl Members {
    /// Reads one member. `None` where the glob ends within it.
    fn read(&mut self, glob: &[char]) -> Option<Member> {
        let escaped = usize::from(glob[0] == '\\');
        if escaped == 0
            && let Some((name, source, unicode, opposite)) = named(glob)
        {
            if self.range_from.is_some() {
                return Some(Member::Impossible);
            }
            let members = if opposite {
                &mut self.opposites
            } else {
                &mut self.included
            };
            members.push(source.to_owned());
            self.unicode |= unicode;
            return Some(Member::Read(name.len()));
        }
        let c = *glob.get(escaped)?;
        let rest = &glob[escaped + 1..];
        Some(Member::Read(escaped + self.take(c, rest)))
    }

    /// Takes a character; answers how many were read with it.
    fn take(&mut self, c: char, rest: &[char]) -> usize {
        if let Some(from) = self.range_from.take() {
            if c > from {
                let (from, to) = (escape_in_class(from), escape_in_class(c));
                self.included.push(format!("{from}-{to}"));
            } else if c == from {
                self.included.push(escape_in_class(c));
            }
            return 1;
        }
        match rest {
            ['-', ']', ..] => {
                self.included.push(format!("{}\\-", escape_in_class(c)));
                2
            }
            ['-', ..] => {
                self.range_from = Some(c);
                2
            }
            _ => {
                self.included.push(escape_in_class(c));
                1
            }
        }
    }

    fn into_class(self, negated: bool, length: usize, glob_length: usize) -> Class {
        if self.included.is_empty() && self.opposites.is_empty() {
            return impossible(glob_length);
        }
        if let ([single], [], false) = (&self.included[..], &self.opposites[..], negated)
            && let Some(c) = single_unit(single)
        {
            return Class {
                source: escape(c),
                length,
                unicode: false,
                wild: false,
            };
        }
        let (mark, opposite_mark) = if negated { ("^", "") } else { ("", "^") };
        let included = format!("[{mark}{}]", self.included.concat());
        let opposites = format!("[{opposite_mark}{}]", self.opposites.concat());
        let source = match (self.included.is_empty(), self.opposites.is_empty()) {
            (false, false) => format!("({included}|{opposites})"),
            (false, true) => included,
            (true, _) => opposites,
        };
        Class {
            source,
            length,
            unicode: self.unicode,
            wild: true,
        }
    }
}

fn named(glob: &[char]) -> Option<(&'static str, &'static str, bool, bool)> {
    let matches = |name: &str| name.chars().eq(glob.iter().take(name.len()).copied());
    NAMED.iter().find(|(name, ..)| matches(name)).copied()
}

/// The character, where a member is only one.
fn single_unit(member: &str) -> Option<char> {
    let unescaped = member.strip_prefix('\\').filter(|rest| !rest.is_empty());
    let mut characters = unescaped.unwrap_or(member).chars();
    let c = characters.next()?;
    let single = characters.next().is_none() && c.len_utf16() == 1;
    let line_end = matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}');
    (single && !line_end).then_some(c)
}
