//! Braces: `a{b,c}` is `ab` and `ac`, `{1..3}` is `1`, `2` and `3`.
//!
//! As npm's `brace-expansion` 5 has it, which has it from Bash, bounds included.

use std::ops::Range;

/// At most so many globs come of one.
const MAX: usize = 100_000;
/// At most so many characters all of them have.
const MAX_LENGTH: usize = 4_000_000;
/// Braces within braces are followed so deep.
const MAX_DEPTH: usize = 1_000;
/// So many closing braces in a row are looked behind.
const MAX_REWRITES: usize = 1_000;

/// Stand-ins for escaped characters while braces are looked for.
const ESCAPED: [(&str, char, char); 5] = [
    (r"\\", '\\', '\u{f0000}'),
    (r"\{", '{', '\u{f0001}'),
    (r"\}", '}', ESCAPED_CLOSE),
    (r"\,", ',', '\u{f0003}'),
    (r"\.", '.', '\u{f0004}'),
];
const ESCAPED_CLOSE: char = '\u{f0002}';

/// The globs that a glob with braces stands for.
pub(super) fn expand(glob: &str) -> Vec<String> {
    if !has_braces(glob) {
        return vec![glob.to_owned()];
    }
    let mut text = match glob.strip_prefix("{}") {
        Some(rest) => format!(r"\{{\}}{rest}"),
        None => glob.to_owned(),
    };
    for (escaped, _, stand_in) in ESCAPED {
        text = text.replace(escaped, &stand_in.to_string());
    }
    expand_within(text, 0, true)
        .into_iter()
        .map(|mut glob| {
            for (_, literal, stand_in) in ESCAPED {
                glob = glob.replace(stand_in, &literal.to_string());
            }
            glob
        })
        .collect()
}

/// Returns true if there is a brace that is closed on the same line.
fn has_braces(glob: &str) -> bool {
    glob.split(['\n', '\r', '\u{2028}', '\u{2029}'])
        .any(|line| {
            line.find('{')
                .is_some_and(|open| line[open..].contains('}'))
        })
}

/// The first pair of braces, around and within it.
struct Pair<'a> {
    before: &'a str,
    body: &'a str,
    after: &'a str,
}

fn first_pair(text: &str) -> Option<Pair<'_>> {
    let pair = balanced(text)?;
    Some(Pair {
        before: &text[..pair.start],
        body: &text[pair.start + 1..pair.end],
        after: &text[pair.end + 1..],
    })
}

/// The place where the first opening brace that is closed stands, and where its closing one does.
/// Where more are opened than closed, it is the leftmost that is closed.
fn balanced(text: &str) -> Option<Range<usize>> {
    let mut open = Vec::new();
    let mut leftmost: Option<Range<usize>> = None;
    let first = text.find('{')?;
    for (at, c) in text[first..].char_indices() {
        let at = first + at;
        match c {
            '{' => open.push(at),
            '}' => {
                let Some(start) = open.pop() else { continue };
                if open.is_empty() {
                    return Some(start..at);
                }
                if leftmost.as_ref().is_none_or(|pair| start < pair.start) {
                    leftmost = Some(start..at);
                }
            }
            _ => {}
        }
    }
    leftmost
}

/// Globs in the making: those that came of the text so far.
struct Expanded(Vec<String>);

impl Expanded {
    /// Appends `literal` and then each of `values` to each glob.
    fn combine(&mut self, literal: &str, values: &[String], drop_empty: bool) {
        let mut combined = Vec::new();
        let mut length = 0;
        for start in &self.0 {
            for value in values {
                let glob = format!("{start}{literal}{value}");
                if drop_empty && glob.is_empty() {
                    continue;
                }
                length += glob.len();
                if combined.len() >= MAX || length > MAX_LENGTH {
                    self.0 = combined;
                    return;
                }
                combined.push(glob);
            }
        }
        self.0 = combined;
    }

    fn append(&mut self, literal: &str, drop_empty: bool) {
        self.combine(literal, &[String::new()], drop_empty);
    }
}

fn expand_within(mut text: String, depth: usize, mut is_top: bool) -> Vec<String> {
    if depth > MAX_DEPTH {
        return vec![text];
    }
    let mut globs = Expanded(vec![String::new()]);
    let mut rewrites = 0;
    // Bash drops empty results where the first braces are a list.
    let mut drop_empty: Option<bool> = None;
    loop {
        let Some(pair) = first_pair(&text) else {
            globs.append(&text, drop_empty.unwrap_or_default());
            return globs.0;
        };
        let Pair {
            before,
            body,
            after,
        } = pair;
        let is_last = after.is_empty();
        if before.ends_with('$') {
            let drop = *drop_empty.get_or_insert(false) && is_last;
            globs.append(&format!("{before}{{{body}}}"), drop);
        } else {
            let sequence = sequence(body);
            if sequence.is_none() && !body.contains(',') {
                if rewrites < MAX_REWRITES && has_list_end(after) {
                    rewrites += 1;
                    text = format!("{before}{{{body}{ESCAPED_CLOSE}{after}");
                    is_top = true;
                    continue;
                }
                globs.append(&text, drop_empty.unwrap_or_default());
                return globs.0;
            }
            let drop = *drop_empty.get_or_insert(is_top && sequence.is_none()) && is_last;
            let values = sequence.unwrap_or_else(|| list(body, depth));
            globs.combine(before, &values, drop);
        }
        if is_last {
            return globs.0;
        }
        text = text.split_off(text.len() - after.len());
    }
}

/// Returns true if what follows braces makes them part of a list after all, as in `{a},b}`.
fn has_list_end(after: &str) -> bool {
    let line_end = ['\n', '\r', '\u{2028}', '\u{2029}'];
    after.match_indices(',').any(|(comma, _)| {
        let rest = &after[comma + 1..];
        let line = rest.split(line_end).next().unwrap_or_default();
        !rest.starts_with(',') && line.contains('}')
    })
}

/// The values of a list.
fn list(body: &str, depth: usize) -> Vec<String> {
    let parts = split_commas(body);
    if let [single] = &parts[..] {
        let inner = expand_within(single.clone(), depth + 1, false);
        let embraced = inner.into_iter().map(|value| format!("{{{value}}}"));
        let embraced: Vec<String> = embraced.collect();
        if embraced.len() == 1 {
            return embraced;
        }
        return bounded(
            embraced
                .into_iter()
                .flat_map(|part| expand_within(part, depth + 1, false)),
        );
    }
    bounded(
        parts
            .into_iter()
            .flat_map(|part| expand_within(part, depth + 1, false)),
    )
}

fn bounded(values: impl Iterator<Item = String>) -> Vec<String> {
    let mut length = 0;
    values
        .take(MAX)
        .take_while(|value| {
            length += value.len();
            length <= MAX_LENGTH
        })
        .collect()
}

/// Splits at the commas that are in no further braces.
fn split_commas(body: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut rest = body;
    while let Some(pair) = first_pair(rest) {
        extend(&mut parts, pair.before);
        if let Some(last) = parts.last_mut() {
            last.extend(["{", pair.body, "}"]);
        }
        if pair.after.is_empty() {
            return parts;
        }
        rest = pair.after;
    }
    extend(&mut parts, rest);
    parts
}

/// Goes on with the last part; every comma begins a new one.
fn extend(parts: &mut Vec<String>, text: &str) {
    let mut pieces = text.split(',');
    if let (Some(last), Some(first)) = (parts.last_mut(), pieces.next()) {
        last.push_str(first);
    }
    parts.extend(pieces.map(str::to_owned));
}

/// The values of `1..5`, `a..e` or `1..9..2`.
fn sequence(body: &str) -> Option<Vec<String>> {
    let parts: Vec<&str> = body.split("..").collect();
    let (from, to, step) = match parts[..] {
        [from, to] => (from, to, None),
        [from, to, step] => (from, to, Some(number(step)?)),
        _ => return None,
    };
    let step = step.map_or(1, |step| step.unsigned_abs().max(1));
    if let (Some(from), Some(to)) = (letter(from), letter(to)) {
        let letters = steps(from.into(), to.into(), step).map(|code| {
            let letter = u8::try_from(code).map_or(' ', char::from);
            if letter == '\\' {
                String::new()
            } else {
                letter.into()
            }
        });
        return Some(letters.collect());
    }
    let (first, last) = (number(from)?, number(to)?);
    let width = from.len().max(to.len());
    let is_padded = |part: &&str| {
        let digits = part.strip_prefix('-').unwrap_or(part);
        digits.len() > 1 && digits.starts_with('0')
    };
    let width = if parts.iter().any(is_padded) {
        width
    } else {
        0
    };
    let numbers = steps(first, last, step).map(|number| format!("{number:0width$}"));
    Some(bounded(numbers))
}

fn letter(text: &str) -> Option<u8> {
    match text.as_bytes() {
        [letter] if letter.is_ascii_alphabetic() => Some(*letter),
        _ => None,
    }
}

fn number(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

fn steps(from: i64, to: i64, step: u64) -> impl Iterator<Item = i64> {
    let up = from <= to;
    std::iter::successors(Some(from), move |at| {
        if up {
            at.checked_add_unsigned(step)
        } else {
            at.checked_sub_unsigned(step)
        }
    })
    .take_while(move |at| if up { *at <= to } else { *at >= to })
    .take(MAX)
}
