//! Tags that are versions: `1.29.3`, `1.29`, `v1.29.3-rc.1`, `1.29-alpine`.

use std::cmp::Ordering;

use semver::Prerelease;

/// A version as tags write it.
///
/// Of what follows the numbers, words such as `rc`, `beta` and `dev` make it a prerelease; all else
/// is a suffix, which names a variant of the same version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version {
    /// The numbers that are written: at least one. Those that are not count as 0.
    numbers: Vec<u64>,
    /// The prerelease. Empty: it is a release.
    prerelease: Prerelease,
    /// The text after the version, without its separator.
    pub(super) suffix: String,
}

/// Words that make a prerelease of a version.
const PRERELEASES: &[&str] = &[
    "alpha",
    "beta",
    "canary",
    "cr",
    "dev",
    "ea",
    "edge",
    "milestone",
    "next",
    "nightly",
    "pre",
    "prerelease",
    "preview",
    "rc",
    "snapshot",
    "unstable",
];
/// Letters that do where a number follows them: after a separator, and without one.
const SEPARATED: &[&str] = &["m"];
const ATTACHED: &[&str] = &["a", "b", "m"];

impl Version {
    /// The version that a tag is, if it is one.
    pub(super) fn of(tag: &str) -> Option<Self> {
        let text = tag.strip_prefix('v').unwrap_or(tag);
        if let Some(date) = date(text) {
            return Some(date);
        }
        let (numbers, rest) = numbers(text)?;
        let (prerelease, suffix) = match rest.strip_prefix(['-', '_', '.']) {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_alphanumeric()) => {
                prerelease(rest, SEPARATED).unwrap_or((String::new(), rest))
            }
            Some(_) => return None,
            None if rest.is_empty() => (String::new(), ""),
            // `1.1.1w` is no version.
            None => prerelease(rest, ATTACHED)?,
        };
        Some(Self {
            numbers,
            prerelease: Prerelease::new(&prerelease).ok()?,
            suffix: suffix.to_owned(),
        })
    }

    pub(super) fn is_prerelease(&self) -> bool {
        !self.prerelease.is_empty()
    }

    /// The semantic version: of three numbers, without its suffix.
    pub(super) fn semver(&self) -> semver::Version {
        let number = |place: usize| self.numbers.get(place).copied().unwrap_or_default();
        let mut version = semver::Version::new(number(0), number(1), number(2));
        version.pre = self.prerelease.clone();
        version
    }

    /// The variant: the suffix without its numbers, which change with the version of what it
    /// names.
    pub(super) fn variant(&self) -> String {
        let mut variant = String::new();
        for letter in self.suffix.chars() {
            match letter {
                '0'..='9' if variant.ends_with('#') => {}
                '0'..='9' => variant.push('#'),
                '.' | '-' | '_' => variant.push('-'),
                letter => variant.push(letter),
            }
        }
        variant
    }

    /// Orders versions from old to new. Of two that are equal, that of more numbers is the newer.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        let most = self.numbers.len().max(other.numbers.len());
        let number = |version: &Self, place| version.numbers.get(place).copied().unwrap_or(0);
        let numbers = |version: &Self| -> Vec<u64> {
            (0..most).map(|place| number(version, place)).collect()
        };
        numbers(self)
            .cmp(&numbers(other))
            .then_with(|| self.prerelease.cmp(&other.prerelease))
            .then_with(|| natural(&self.suffix, &other.suffix))
            .then_with(|| self.numbers.len().cmp(&other.numbers.len()))
    }
}

/// `2026-01-15` is a version of three numbers.
fn date(text: &str) -> Option<Version> {
    let parts: Vec<&str> = text.splitn(4, '-').collect();
    let (date, rest) = match parts.as_slice() {
        [year, month, day] => ([*year, *month, *day], ""),
        [year, month, day, rest] => ([*year, *month, *day], *rest),
        _ => return None,
    };
    let lengths = date.map(str::len) == [4, 2, 2];
    let digits = date
        .iter()
        .all(|part| part.bytes().all(|b| b.is_ascii_digit()));
    let numbers = date
        .iter()
        .map(|part| part.parse().ok())
        .collect::<Option<_>>()?;
    (lengths && digits).then(|| Version {
        numbers,
        prerelease: Prerelease::EMPTY,
        suffix: rest.to_owned(),
    })
}

/// The numbers that a text begins with, and the rest.
fn numbers(text: &str) -> Option<(Vec<u64>, &str)> {
    let mut numbers = Vec::new();
    let mut rest = text;
    loop {
        let end = digits(rest);
        numbers.push(rest[..end].parse().ok()?);
        rest = &rest[end..];
        match rest.strip_prefix('.') {
            Some(next) if digits(next) > 0 => rest = next,
            _ => return Some((numbers, rest)),
        }
    }
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// The prerelease that a text begins with, and the suffix after it. `short` are letters that need
/// a number behind them.
fn prerelease<'a>(rest: &'a str, short: &[&str]) -> Option<(String, &'a str)> {
    let (word, after) = first_word(rest);
    let letters = word.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    let has_number = letters.len() < word.len();
    let is_short = has_number && is_one_of(letters, short);
    if !is_short && !is_one_of(letters, PRERELEASES) {
        return None;
    }
    let (number, rest) = first_word(after);
    let is_number = !number.is_empty() && digits(number) == number.len();
    if !has_number && is_number {
        return Some((identifiers(&format!("{word}.{number}")), rest));
    }
    Some((identifiers(word), after))
}

fn is_one_of(word: &str, words: &[&str]) -> bool {
    words.iter().any(|known| known.eq_ignore_ascii_case(word))
}

/// A text up to its first separator, and what follows that.
fn first_word(text: &str) -> (&str, &str) {
    text.split_once(['-', '_']).unwrap_or((text, ""))
}

/// `rc1` as the `rc.1` of semantic versions, whose number counts as one.
fn identifiers(word: &str) -> String {
    let start = word
        .find(|c: char| c.is_ascii_digit())
        .unwrap_or(word.len());
    let (letters, number) = word.split_at(start);
    let mut identifiers = vec![letters.trim_end_matches('.').to_lowercase()];
    let numbers = number.split('.').filter(|number| !number.is_empty());
    identifiers.extend(numbers.map(|number| {
        let short = number.trim_start_matches('0');
        if short.is_empty() { "0" } else { short }.to_owned()
    }));
    identifiers.join(".")
}

/// Orders texts, with the numbers in them as numbers.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let (of_a, of_b) = (digits(a), digits(b));
        let ordering = if of_a > 0 && of_b > 0 {
            let number = |text: &str| text.trim_start_matches('0').to_owned();
            let (x, y) = (number(&a[..of_a]), number(&b[..of_b]));
            x.len().cmp(&y.len()).then_with(|| x.cmp(&y))
        } else {
            a.bytes().next().cmp(&b.bytes().next())
        };
        if ordering != Ordering::Equal || a.is_empty() {
            return ordering;
        }
        a = &a[of_a.max(1)..];
        b = &b[of_b.max(1)..];
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A version as `numbers|prerelease|suffix`.
    fn shown(tag: &str) -> Option<String> {
        Version::of(tag).map(|version| {
            let numbers: Vec<String> = version.numbers.iter().map(u64::to_string).collect();
            let numbers = numbers.join(".");
            format!("{numbers}|{}|{}", version.prerelease, version.suffix)
        })
    }

    #[test]
    fn tags_are_read_as_versions() {
        for (tag, expected) in [
            ("1.29.3", "1.29.3||"),
            ("1.29", "1.29||"),
            ("1", "1||"),
            ("v1.29.3", "1.29.3||"),
            ("1.29-alpine", "1.29||alpine"),
            ("1.29.3-alpine3.20", "1.29.3||alpine3.20"),
            ("1.29.3-alpine-slim", "1.29.3||alpine-slim"),
            ("1.29.0-debian-12-r3", "1.29.0||debian-12-r3"),
            ("1.30.0-rc.1", "1.30.0|rc.1|"),
            ("v1.30.0-beta.2", "1.30.0|beta.2|"),
            ("3.14.0rc1", "3.14.0|rc.1|"),
            ("3.14.0b2-slim", "3.14.0|b.2|slim"),
            ("3.14-rc-alpine", "3.14|rc|alpine"),
            ("2.0.0-rc-1", "2.0.0|rc.1|"),
            ("2.0.0-RC1-jre", "2.0.0|rc.1|jre"),
            ("2.0.0-M3", "2.0.0|m.3|"),
            ("2.0.0-SNAPSHOT", "2.0.0|snapshot|"),
            ("1.4.0.Final", "1.4.0||Final"),
            ("1.2.3.4", "1.2.3.4||"),
            ("2026.01.15", "2026.1.15||"),
            ("2026-01-15", "2026.1.15||"),
            ("2026-01-15-slim", "2026.1.15||slim"),
            ("20260115", "20260115||"),
            ("1.29.0_build5", "1.29.0||build5"),
            ("1-b3", "1||b3"),
        ] {
            assert_eq!(shown(tag).as_deref(), Some(expected), "{tag}");
        }
        for tag in [
            "latest",
            "alpine",
            "main-5e3f2a1",
            "5e3f2a1",
            "1.1.1w",
            "8u412-jdk",
            "1.29.",
            "1.29.-x",
            "1.29-",
            "v",
            "99999999999999999999",
            "1..2",
        ] {
            assert_eq!(shown(tag), None, "{tag}");
        }
    }

    #[test]
    fn versions_are_ordered_from_old_to_new() {
        let ordered = [
            "1",
            "1.0",
            "1.0.0",
            "1.2.9",
            "1.10-rc.2",
            "1.10.0-rc10",
            "1.10",
            "1.10.1-alpine3.9",
            "1.10.1-alpine3.10",
            "1.10.1.1",
            "v2.0.0-alpha.1",
            "v2.0.0-beta.1",
            "2",
        ];
        let versions: Vec<Version> = ordered
            .iter()
            .map(|tag| Version::of(tag).unwrap())
            .collect();
        for (place, pair) in versions.windows(2).enumerate() {
            let shown = &ordered[place..=place + 1];
            assert_eq!(pair[0].compare(&pair[1]), Ordering::Less, "{shown:?}");
        }
    }

    #[test]
    fn suffixes_that_differ_in_numbers_are_one_variant() {
        for (tag, other, same) in [
            ("1-alpine3.19", "1-alpine3.20", true),
            ("1-debian-12-r3", "1-debian-12-r10", true),
            ("1-alpine", "1-slim", false),
            ("1-alpine", "1-alpine3.20", false),
        ] {
            let variant = |tag| Version::of(tag).unwrap().variant();
            assert_eq!(variant(tag) == variant(other), same, "{tag} {other}");
        }
    }

    proptest! {
        #[test]
        fn any_two_texts_are_compared_alike_both_ways(
            a in "v?[0-9.]{1,8}([-._]?[a-z0-9.-]{0,8})?",
            b in "[\\PC]{0,20}",
            c in "[0-9]{1,3}(-[a-z0-9é.]{0,8})?",
        ) {
            let versions = [a, b, c].map(|text| Version::of(&text));
            for (x, y) in [(0, 1), (0, 2), (1, 2)] {
                if let (Some(x), Some(y)) = (&versions[x], &versions[y]) {
                    prop_assert_eq!(x.compare(y), y.compare(x).reverse());
                }
            }
        }
    }
}
