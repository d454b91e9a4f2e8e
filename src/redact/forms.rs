//! What a secret looks like in a text: encoded in several ways, and cut in half.

use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Shortest secret that is looked for, in bytes. A shorter one would be found in every text.
pub(super) const SHORTEST: usize = 6;
/// Shortest form of which parts are looked for too.
const SHORTEST_IN_PARTS: usize = 16;
/// Bytes at the beginning or the end of a long form by which a part of it is known: half of it
/// between these. Fewer would be found in IDs and digests.
const SHORTEST_EDGE: usize = 10;
const LONGEST_EDGE: usize = 12;
/// What URLs encode, except for the characters that they may have
/// ([RFC 3986, section 2.3](https://www.rfc-editor.org/rfc/rfc3986#section-2.3)).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The forms of `secret`, in small letters.
pub(super) fn forms(secret: &str) -> Vec<String> {
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
    for form in &mut forms {
        form.make_ascii_lowercase();
    }
    forms.retain(|form| form.len() >= SHORTEST);
    forms.sort();
    forms.dedup();
    forms
}

/// Where `form`, or a part from one of its ends, stands in `text`.
pub(super) fn parts(text: &str, form: &str) -> Vec<Range<usize>> {
    let edge = match form.len() {
        length if length < SHORTEST_IN_PARTS => length,
        length => (length / 2).clamp(SHORTEST_EDGE, LONGEST_EDGE),
    };
    let head = &form[..form.ceil_char_boundary(edge)];
    let heads = text.match_indices(head).map(|(start, _)| {
        let rest = text[start..].bytes().zip(form.bytes());
        let length = rest.take_while(|(a, b)| a == b).count();
        start..text.floor_char_boundary(start + length)
    });
    let tail = &form[form.floor_char_boundary(form.len() - edge)..];
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
