//! Ranges of versions, as users of SemVer write them.

use std::str::FromStr;

use semver::VersionReq;

use super::version::Version;

/// Ranges, of which a version need be in one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Range {
    alternatives: Vec<VersionReq>,
}

/// A range that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "malformed range {text:?}: expected one such as \">=1.29 <2\", \"^1\", \"~1.29\" or \"1.29.x\""
)]
pub(super) struct InvalidRange {
    text: String,
    #[source]
    reason: semver::Error,
}

const OPERATORS: [&str; 7] = [">=", "<=", ">", "<", "=", "^", "~"];

impl Range {
    /// Whether a version is in the range. A prerelease is where the range names one of the same
    /// release that it is measured by, or, with `prereleases`, where its release is.
    pub(super) fn has(&self, version: &Version, prereleases: bool) -> bool {
        let version = version.semver();
        let mut release = version.clone();
        release.pre = semver::Prerelease::EMPTY;
        self.alternatives.iter().any(|range| {
            let measures = range.comparators.iter().any(|known| {
                let same = (known.major, known.minor, known.patch)
                    == (release.major, Some(release.minor), Some(release.patch));
                same && !known.pre.is_empty()
            });
            range.matches(&version) || prereleases && !measures && range.matches(&release)
        })
    }

    /// Ranges of which one is enough.
    pub(super) fn or(mut self, other: Self) -> Self {
        self.alternatives.extend(other.alternatives);
        self
    }
}

impl FromStr for Range {
    type Err = InvalidRange;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let alternatives = text.split("||").map(|range| {
            comparators(range).parse().map_err(|reason| InvalidRange {
                text: text.to_owned(),
                reason,
            })
        });
        Ok(Self {
            alternatives: alternatives.collect::<Result<_, _>>()?,
        })
    }
}

/// A range as the library reads it: with commas, without `v`, and with an operator everywhere. A
/// bare `1.29` is `1.29.x`, as in the tools that move images.
fn comparators(range: &str) -> String {
    let words: Vec<&str> = range
        .split(|c: char| c.is_whitespace() || c == ',')
        .filter(|word| !word.is_empty())
        .collect();
    if let [from, "-", to] = words.as_slice() {
        return format!(">={}, <={}", number(from), number(to));
    }
    let mut read: Vec<String> = Vec::new();
    let mut before = "";
    for word in words {
        let operator = OPERATORS
            .iter()
            .find(|operator| word.starts_with(**operator));
        let operator = operator.copied().unwrap_or_default();
        let version = number(&word[operator.len()..]);
        if version.is_empty() && before.is_empty() && !operator.is_empty() {
            before = operator;
            continue;
        }
        let is_bare = operator.is_empty() && before.is_empty();
        let is_numbers = version.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let operator = if is_bare && is_numbers { "=" } else { operator };
        read.push(format!("{before}{operator}{version}"));
        before = "";
    }
    if !before.is_empty() {
        read.push(before.to_owned());
    }
    read.join(", ")
}

/// A version of a range without its `v`.
fn number(word: &str) -> &str {
    word.strip_prefix('v').unwrap_or(word)
}
