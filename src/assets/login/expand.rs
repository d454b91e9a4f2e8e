//! Words of a Dockerfile: how they are split, and what their variables stand for.

use std::iter::Peekable;
use std::str::Chars;

/// Longer words name no image.
const LONGEST: usize = 4096;
/// How deep defaults may stand in defaults.
const DEEPEST: usize = 16;

/// The words of an instruction, with their quotes.
pub(super) fn words(line: &str, escape: char) -> Vec<&str> {
    let mut words = Vec::new();
    let (mut quote, mut start) = (None, None);
    let mut characters = line.char_indices();
    while let Some((at, character)) = characters.next() {
        if character.is_whitespace() && quote.is_none() {
            words.extend(start.take().map(|start| &line[start..at]));
            continue;
        }
        start.get_or_insert(at);
        match (quote, character) {
            (Some(open), close) if open == close => quote = None,
            (Some('\''), _) => {}
            (_, escaped) if escaped == escape => {
                characters.next();
            }
            (None, '"' | '\'') => quote = Some(character),
            _ => {}
        }
    }
    words.extend(start.map(|start| &line[start..]));
    words
}

/// A word without its quotes, and with what its variables stand for. A variable that `lookup` does
/// not know stands for nothing.
pub(super) fn expand<'a>(
    word: &str,
    escape: char,
    lookup: &dyn Fn(&str) -> Option<&'a str>,
) -> String {
    let mut expander = Expander {
        characters: word.chars().peekable(),
        escape,
        lookup,
    };
    expander.text(None, DEEPEST)
}

struct Expander<'a, 'b> {
    characters: Peekable<Chars<'b>>,
    escape: char,
    lookup: &'b dyn Fn(&str) -> Option<&'a str>,
}

impl Expander<'_, '_> {
    /// Reads up to an unquoted `end`, or to the end of the word.
    fn text(&mut self, end: Option<char>, depth: usize) -> String {
        let mut text = String::new();
        let mut quote = None;
        while let Some(character) = self.characters.next() {
            match (quote, character) {
                (None, character) if Some(character) == end => return text,
                (Some(open), close) if open == close => quote = None,
                (None, '"' | '\'') => quote = Some(character),
                (Some('\''), character) => text.push(character),
                (_, '$') => text.push_str(&self.variable(depth)),
                (_, character) if character == self.escape => text.extend(self.characters.next()),
                (_, character) => text.push(character),
            }
            if text.len() > LONGEST {
                return text;
            }
        }
        text
    }

    /// Expands the variable after a `$`: `NAME`, `{NAME}`, `{NAME:-default}` or `{NAME:+other}`,
    /// each colon of which may be left out.
    fn variable(&mut self, depth: usize) -> String {
        if self.characters.next_if_eq(&'{').is_none() {
            let name = self.name();
            return (self.lookup)(&name).unwrap_or_default().to_owned();
        }
        let name = self.name();
        let value = (self.lookup)(&name);
        let needs_text = self.characters.next_if_eq(&':').is_some();
        let is_set = value.is_some_and(|value| !needs_text || !value.is_empty());
        let value = value.unwrap_or_default().to_owned();
        match self.characters.next() {
            None | Some('}') => value,
            Some(_) if depth == 0 => value,
            Some(operator) => {
                let word = self.text(Some('}'), depth - 1);
                match (operator, is_set) {
                    ('-', false) | ('+', true) => word,
                    ('+', false) => String::new(),
                    _ => value,
                }
            }
        }
    }

    fn name(&mut self) -> String {
        let is_part = |character: &char| character.is_ascii_alphanumeric() || *character == '_';
        std::iter::from_fn(|| self.characters.next_if(is_part)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn variables_stand_for_values_and_defaults() {
        let lookup = |name: &str| match name {
            "A" => Some("a"),
            "EMPTY" => Some(""),
            _ => None,
        };
        for (word, expected) in [
            ("$A/${A}b", "a/ab"),
            ("${NONE:-d}${NONE-d}${EMPTY:-d}${EMPTY-d}", "ddd"),
            ("${A:-d}${A:+o}${NONE:+o}${EMPTY:+o}${EMPTY+o}", "aoo"),
            ("${NONE:-${A}/${NONE:-x}}", "a/x"),
            ("\"$A b\"'$A'\\$A", "a b$A$A"),
            ("$NONE-x", "-x"),
            ("${A", "a"),
        ] {
            assert_eq!(expand(word, '\\', &lookup), expected, "{word}");
        }
        assert_eq!(expand("`$A\\", '`', &lookup), "$A\\");
    }

    #[test]
    fn words_end_outside_quotes() {
        let line = r#"  ARG A="x y"  B='"' C=\ d "#;
        assert_eq!(words(line, '\\'), ["ARG", "A=\"x y\"", "B='\"'", "C=\\ d"]);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[$\\{\\}:+\\-A'\"\\\\ b]{0,60}", value in "\\PC{0,8}") {
            let expanded = expand(&text, '\\', &|name| (name == "A").then_some(value.as_str()));
            prop_assert!(expanded.len() <= 60 * 8 * 4);
            let joined: usize = words(&text, '\\').iter().map(|word| word.len()).sum();
            prop_assert!(joined <= text.len());
        }
    }
}
