//! Text for people: the chain of an error as one line, without control characters, cut where there
//! is no room.

use std::error::Error as StdError;

/// What stands where text was cut off.
const CUT: &str = "…";

/// The messages of `error` and of its causes, joined by `: `. A cause whose text its error has
/// repeated is left out.
pub(crate) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut shown = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !shown.contains(&text) {
            shown.push_str(": ");
            shown.push_str(&text);
        }
        cause = error.source();
    }
    shown
}

/// `text` with its first letter as a capital.
pub(crate) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

/// Cuts `text` to at most `max` bytes, on a character's boundary, and shows that it was cut.
pub(crate) fn truncate(text: &mut String, max: usize) {
    if text.len() <= max {
        return;
    }
    let end = text.floor_char_boundary(max.saturating_sub(CUT.len()));
    text.truncate(end);
    if max >= CUT.len() {
        text.push_str(CUT);
    }
}

/// `text` on one line without terminal sequences and control characters: CloudFormation's events
/// cannot be viewed with them.
pub(crate) fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\u{1b}' if letters.next_if_eq(&'[').is_some() => {
                // The parameters of a terminal sequence end with a letter or one of `@[\]^_{|}~`.
                while letters.next_if(|c| !('@'..='~').contains(c)).is_some() {}
                letters.next();
            }
            letter if letter.is_control() || letter.is_whitespace() => {
                if !shown.ends_with(' ') {
                    shown.push(' ');
                }
            }
            letter => shown.push(letter),
        }
    }
    shown.truncate(shown.trim_end().len());
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_chain_says_each_thing_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot read {0}")]
        struct Outer(&'static str, #[source] std::io::Error);
        let shown = chain(&Outer("a", std::io::Error::other("access denied")));
        assert_eq!(shown, "cannot read a: access denied");
        let shown = chain(&Outer("a: no key", std::io::Error::other("no key")));
        assert_eq!(shown, "cannot read a: no key");
    }

    #[test]
    fn control_characters_and_terminal_sequences_go() {
        assert_eq!(plain("a\x1b[31;1mred\x1b[0m\r\n\tb\0c\u{85} "), "ared b c");
        assert_eq!(plain("ends in \x1b[12"), "ends in");
    }

    proptest! {
        #[test]
        fn cut_text_keeps_its_limit(mut text in ".{0,200}", max in 0usize..100) {
            let whole = text.clone();
            truncate(&mut text, max);
            prop_assert!(text.len() <= max || whole.len() <= max);
            let kept = text.strip_suffix(CUT).unwrap_or(&text);
            prop_assert!(whole.starts_with(kept));
        }

        #[test]
        fn plain_text_has_no_control_character(text in any::<String>()) {
            prop_assert!(!plain(&text).contains(char::is_control));
        }
    }
}
