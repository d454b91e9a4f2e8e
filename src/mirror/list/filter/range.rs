//! Ranges of versions, as users of semantic versions write them.

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
    /// Returns true if a version is in the range. A prerelease is where the range names one of the
    /// same release that it is measured by, or, with `prereleases`, where its release is.
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn has(range: &str, tag: &str, prereleases: bool) -> bool {
        let range: Range = range.parse().unwrap_or_else(|error| panic!("{error}"));
        range.has(&Version::of(tag).unwrap(), prereleases)
    }

    #[test]
    fn ranges_are_read_as_users_write_them() {
        for (range, inside, outside) in [
            (
                ">=1.29 <2",
                &["1.29", "1.29.0", "1.99.9"][..],
                &["1.28.9", "2", "2.0.0"][..],
            ),
            (">=1.29, <2", &["1.29"], &["2.0.0"]),
            (">= 1.29  < 2", &["1.29"], &["2.0.0", "1.28"]),
            (">=v1.29.1", &["v1.29.1", "1.30", "2"], &["1.29", "1.29.0"]),
            ("^1", &["1", "1.0.0", "1.99"], &["0.9", "2"]),
            ("^0.3", &["0.3.9"], &["0.4.0"]),
            ("~1.29", &["1.29", "1.29.7"], &["1.30.0", "1.28"]),
            ("1.29", &["1.29", "1.29.7"], &["1.30.0"]),
            ("1", &["1", "1.30.0"], &["2", "0.9"]),
            ("1.29.3", &["1.29.3"], &["1.29.4", "1.29"]),
            ("1.29.x", &["1.29.0", "1.29.7"], &["1.30.0"]),
            ("1.29.*", &["1.29.0", "1.29.7"], &["1.30.0"]),
            ("1.x", &["1.0.0", "1.29.7"], &["2.0.0"]),
            ("*", &["0.0.1", "9"], &[]),
            ("1.2 - 1.4", &["1.2", "1.4.0", "1.4.9"], &["1.1.9", "1.5.0"]),
            ("^1 || ^3", &["1.5", "3.5"], &["2.5"]),
            (">1.29", &["1.30", "2"], &["1.29.5", "1.29"]),
        ] {
            for tag in inside {
                assert!(has(range, tag, false), "{tag} is in {range}");
            }
            for tag in outside {
                assert!(!has(range, tag, false), "{tag} is not in {range}");
            }
        }
    }

    #[test]
    fn prereleases_are_in_a_range_if_asked_for() {
        for (range, tag, plain, asked) in [
            (">=1.29 <2", "1.30.0-rc.1", false, true),
            (">=1.29 <2", "2.0.0-rc.1", false, false),
            (">=1.29 <2", "1.28.9-rc.1", false, false),
            (">=1.30.0-rc.2", "1.30.0-rc.1", false, false),
            (">=1.30.0-rc.2", "1.30.0-rc.3", true, true),
            (">=1.30.0-rc.2", "1.31.0-rc.1", false, true),
        ] {
            assert_eq!(has(range, tag, false), plain, "{tag} in {range}");
            assert_eq!(has(range, tag, true), asked, "{tag} in {range}, if asked");
        }
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in [
            "",
            "latest",
            ">=",
            "1.29 || ",
            "!=1.2",
            ">=1.2.3.4",
            "1.x.3",
            "=> 1",
        ] {
            let error = text.parse::<Range>().unwrap_err();
            assert!(error.to_string().contains("malformed range"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[\\PC]{0,40}") {
            let _ = text.parse::<Range>();
        }

        #[test]
        fn what_looks_like_a_range_is_read_or_refused(text in "[0-9xv.*^~<>=, |-]{0,30}") {
            let _ = text.parse::<Range>();
        }
    }
}
