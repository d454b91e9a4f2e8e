//! The forms of a secret in a text: encoded in several ways, and cut in half.

use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Shortest secret that is looked for, in bytes. A shorter one would be found in every text.
pub(super) const SHORTEST: usize = 6;
/// Shortest part by which a secret is known that looks random. Fewer bytes would be found in IDs
/// and digests.
const SHORTEST_PART: usize = 10;
/// Changes between small letters, capitals and digits in a text that looks random. Names and
/// numbers of accounts have fewer.
const CHANGES: usize = 4;
/// Shortest secret of words of which each half is looked for.
const SHORTEST_IN_HALVES: usize = 24;
/// The characters that URLs encode: all but those that they may have
/// ([RFC 3986, section 2.3](https://www.rfc-editor.org/rfc/rfc3986#section-2.3)).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// One of the looks of a secret.
pub(super) struct Form {
    /// In small letters.
    text: String,
    /// So many bytes from the beginning are enough to know it by.
    head: usize,
    /// The same from the end.
    tail: usize,
}

impl Form {
    fn of(mut text: String) -> Self {
        let (head, tail) = (edge(text.bytes()), edge(text.bytes().rev()));
        text.make_ascii_lowercase();
        Self { text, head, tail }
    }

    /// The place where it stands in `text`, which is in small letters.
    pub(super) fn find(&self, text: &str) -> Vec<Range<usize>> {
        let found = text.match_indices(&self.text);
        found
            .map(|(start, form)| whole_escapes(text, start..start + form.len()))
            .collect()
    }

    /// The place where it, or a part from one of its ends, stands in `text`, which is in small
    /// letters.
    pub(super) fn find_parts(&self, text: &str) -> Vec<Range<usize>> {
        let form = &self.text;
        let head = &form[..form.ceil_char_boundary(self.head)];
        let heads = text.match_indices(head).map(|(start, _)| {
            let rest = text[start..].bytes().zip(form.bytes());
            let length = rest.take_while(|(a, b)| a == b).count();
            start..text.floor_char_boundary(start + length)
        });
        let tail = &form[form.floor_char_boundary(form.len() - self.tail)..];
        let tails = text.match_indices(tail).map(|(start, _)| {
            let end = start + tail.len();
            let rest = text[..end].bytes().rev().zip(form.bytes().rev());
            let length = rest.take_while(|(a, b)| a == b).count();
            text.ceil_char_boundary(end - length)..end
        });
        heads
            .chain(tails)
            .map(|part| whole_escapes(text, part))
            .collect()
    }
}

/// The number of bytes of a form that are enough to know it by, from the end at which `bytes`
/// begin.
fn edge(bytes: impl ExactSizeIterator<Item = u8>) -> usize {
    let length = bytes.len();
    let mut changes = 0;
    let mut before = None;
    for (position, byte) in bytes.take(length / 2).enumerate() {
        let kind = kind(byte);
        changes += usize::from(kind.is_some() && before.is_some() && kind != before);
        before = kind.or(before);
        if position + 1 >= SHORTEST_PART && changes >= CHANGES {
            return position + 1;
        }
    }
    if length < SHORTEST_IN_HALVES {
        return length;
    }
    length / 2
}

#[derive(PartialEq)]
enum Kind {
    Small,
    Capital,
    Digit,
}

fn kind(byte: u8) -> Option<Kind> {
    match byte {
        b'a'..=b'z' => Some(Kind::Small),
        b'A'..=b'Z' => Some(Kind::Capital),
        b'0'..=b'9' => Some(Kind::Digit),
        _ => None,
    }
}

/// The forms of `secret`.
pub(super) fn forms(secret: &str) -> Vec<Form> {
    let json = serde_json::Value::from(secret).to_string();
    let mut forms = vec![
        secret.to_owned(),
        json[1..json.len() - 1].to_owned(),
        html(secret),
        utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(),
        utf8_percent_encode(secret, RESERVED).to_string(),
        STANDARD.encode(secret),
    ];
    forms.extend((0..3).map(|before| base64_after(before, secret)));
    let url_safe: Vec<_> = forms[5..].iter().map(|form| url_safe(form)).collect();
    forms.extend(url_safe);
    forms.retain(|form| form.len() >= SHORTEST);
    forms.sort();
    forms.dedup();
    forms.into_iter().map(Form::of).collect()
}

/// A part that leaves every escape sequence of JSON whole, if `text` is in a string of it.
fn whole_escapes(text: &str, part: Range<usize>) -> Range<usize> {
    let before = text[..part.start].bytes().rev();
    let is_escaped = before.take_while(|byte| *byte == b'\\').count() % 2 == 1;
    let first = text[part.clone()].chars().next().filter(|_| is_escaped);
    let start = part.start + first.map_or(0, char::len_utf8);
    let kept = text[start..part.end].trim_end_matches('\\');
    start..start + kept.len()
}

/// The characters that base64 has for `secret`, whatever comes after the `before` bytes in front
/// of it, and after itself: that of `user:secret` holds one of the three.
fn base64_after(before: usize, secret: &str) -> String {
    let bytes = [&[0; 2][..before], secret.as_bytes()].concat();
    let encoded = STANDARD_NO_PAD.encode(&bytes);
    let first = (before * 8).div_ceil(6);
    let last = bytes.len() * 8 / 6;
    encoded[first..last].to_owned()
}

fn url_safe(base64: &str) -> String {
    base64.replace('+', "-").replace('/', "_").replace('=', "")
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}
