//! Text for people: the chain of an error as one line, without control characters and without
//! what must not be shown, cut where there is no room.

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
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

/// Cuts `text` to at most `max` bytes, on a character's boundary, and shows that it was cut.
pub(super) fn truncate(text: &mut String, max: usize) {
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
pub(super) fn plain(text: &str) -> String {
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

/// `text` without the user and the query of any web address in it: presigned ones are keys.
pub(super) fn without_queries(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = find_address(rest) {
        let (before, address) = rest.split_at(start);
        let end = address.find(ends_address).unwrap_or(address.len());
        let (address, after) = address.split_at(end);
        shown.push_str(before);
        push_address(&mut shown, address);
        rest = after;
    }
    shown.push_str(rest);
    shown
}

/// Where the next `http://` or `https://` begins.
fn find_address(text: &str) -> Option<usize> {
    let lower = text.as_bytes();
    let begins = |scheme: &[u8]| {
        lower
            .windows(scheme.len())
            .position(|window| window.eq_ignore_ascii_case(scheme))
    };
    match (begins(b"http://"), begins(b"https://")) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

fn ends_address(letter: char) -> bool {
    letter.is_whitespace() || letter.is_control() || matches!(letter, '"' | '<' | '>' | '\\' | '`')
}

fn push_address(shown: &mut String, address: &str) {
    let (scheme, rest) = address.split_at(address.find("//").map_or(0, |at| at + 2));
    shown.push_str(scheme);
    let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let host = rest[..authority].rfind('@').map_or(0, |at| at + 1);
    let rest = &rest[host..];
    match rest.find('?') {
        Some(query) => {
            shown.push_str(&rest[..query]);
            shown.push_str("?[redacted]");
        }
        None => shown.push_str(rest),
    }
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

    #[test]
    fn queries_and_users_go() {
        for (text, shown) in [
            (
                "PUT https://u:p@h/p?X-Amz-Signature=s, then",
                "PUT https://h/p?[redacted] then",
            ),
            ("\"HTTP://h?a=b\" c", "\"HTTP://h?[redacted]\" c"),
            ("http://a/b https://c/d", "http://a/b https://c/d"),
            ("s3://b/k?versionId=1", "s3://b/k?versionId=1"),
        ] {
            assert_eq!(without_queries(text), shown);
        }
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

        #[test]
        fn no_query_survives(before in ".{0,20}", host in "[a-z.]{1,9}", after in ".{0,20}") {
            let text = format!("{before}https://{host}/p?k=hiddenhidden {after}");
            prop_assert!(!without_queries(&text).contains("hiddenhidden"));
        }
    }
}
