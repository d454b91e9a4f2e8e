//! Registries whose requests go elsewhere.

use std::str::FromStr;

use reqwest::Url;

/// A pattern of registry hosts: a host, with its port if it has one, in which each `*` stands
/// for one or more characters other than a dot. A `*` so never reaches into the next label:
/// `*.example.com` is not `example.com.attacker.net`, nor `a.b.example.com`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct HostPattern(String);

impl HostPattern {
    /// Whether `registry` (a host, with its port if it has one) matches. Letters of either case
    /// are the same.
    fn matches(&self, registry: &str) -> bool {
        matches(self.0.as_bytes(), registry.to_ascii_lowercase().as_bytes())
    }
}

fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let Some((&head, pattern_rest)) = pattern.split_first() else {
        return text.is_empty();
    };
    let Some((&first, text_rest)) = text.split_first() else {
        return false;
    };
    if head != b'*' {
        return head == first && matches(pattern_rest, text_rest);
    }
    first != b'.' && (matches(pattern_rest, text_rest) || matches(pattern, text_rest))
}

/// A text that is no pattern of hosts, or no override of registries.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidOverride {
    /// Not `<pattern>=<url>`.
    #[error("expected <host pattern>=<http or https URL>, got {0:?}")]
    Form(String),
    /// The pattern has characters that no host has.
    #[error("malformed host pattern {0:?}: expected letters, digits, '.', '-', ':' and '*'")]
    Pattern(String),
    /// The URL says more than where the registry is.
    #[error(
        "override of {0:?} must be a URL like http://127.0.0.1:5000, without path, user or query"
    )]
    Url(String),
}

impl FromStr for HostPattern {
    type Err = InvalidOverride;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let host_byte = |b: u8| b.is_ascii_alphanumeric() || b".-:*[]".contains(&b);
        if text.is_empty() || !text.bytes().all(host_byte) || text.contains("**") {
            return Err(InvalidOverride::Pattern(text.to_owned()));
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

/// Where requests to some registries go instead: `<pattern>=<url>`, several separated by commas.
/// The first match counts, and credentials for those registries go there too. For tests, local
/// runs and mirrors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides(Vec<(HostPattern, Url)>);

impl Overrides {
    /// Where requests to `registry` go, if not to itself.
    pub fn base_url(&self, registry: &str) -> Option<&Url> {
        let found = self.0.iter().find(|(hosts, _)| hosts.matches(registry));
        found.map(|(_, url)| url)
    }

    /// The hosts that requests go to instead.
    pub(super) fn hosts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|(_, url)| url.host_str())
    }
}

impl FromStr for Overrides {
    type Err = InvalidOverride;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let entries = text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty());
        entries
            .map(parse_override)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

fn parse_override(text: &str) -> Result<(HostPattern, Url), InvalidOverride> {
    let (pattern, url) = text
        .split_once('=')
        .ok_or_else(|| InvalidOverride::Form(text.to_owned()))?;
    let hosts = pattern.trim().parse()?;
    let not_a_place = || InvalidOverride::Url(pattern.to_owned());
    let url: Url = url.trim().parse().map_err(|_| not_a_place())?;
    let web = matches!(url.scheme(), "http" | "https") && url.has_host();
    let more = url.path() != "/"
        || url.query().is_some()
        || url.fragment().is_some()
        || !url.username().is_empty()
        || url.password().is_some();
    if !web || more {
        return Err(not_a_place());
    }
    Ok((hosts, url))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_star_stays_within_a_label() {
        let pattern: HostPattern = "*.dkr.ecr.*.amazonaws.com".parse().unwrap();
        assert!(pattern.matches("123456789012.dkr.ecr.eu-west-1.amazonaws.com"));
        assert!(pattern.matches("123456789012.DKR.ecr.eu-west-1.amazonaws.com"));
        for other in [
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com.cn",
            "evil.com.123.dkr.ecr.eu-west-1.amazonaws.com",
            ".dkr.ecr.eu-west-1.amazonaws.com",
            "123456789012.dkr.ecr.a.b.amazonaws.com",
        ] {
            assert!(!pattern.matches(other), "{other}");
        }
        assert!(
            "registry:*"
                .parse::<HostPattern>()
                .unwrap()
                .matches("registry:5000")
        );
    }

    #[test]
    fn the_first_override_counts() {
        let overrides: Overrides = "docker.io=https://mirror, *.io=http://127.0.0.1:5000,"
            .parse()
            .unwrap();
        let base = |registry| overrides.base_url(registry).map(ToString::to_string);
        assert_eq!(base("docker.io").unwrap(), "https://mirror/");
        assert_eq!(base("quay.io").unwrap(), "http://127.0.0.1:5000/");
        assert_eq!(base("gcr.example"), None);
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, part) in [
            ("docker.io", "expected <host pattern>=<http or https URL>"),
            ("a b=http://x", "malformed host pattern \"a b\""),
            ("a=ftp://x", "must be a URL like"),
            ("a=http://user:secret@x", "must be a URL like"),
            ("a=http://x/path", "must be a URL like"),
        ] {
            let error = text.parse::<Overrides>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
            assert!(!error.contains("secret"));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}", host in "[a-z.*]{0,12}") {
            let _ = text.parse::<Overrides>();
            if let Ok(pattern) = text.parse::<HostPattern>() {
                pattern.matches(&host);
            }
        }
    }
}
