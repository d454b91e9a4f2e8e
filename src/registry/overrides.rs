//! Registries whose requests go elsewhere.

use std::str::FromStr;

use reqwest::Url;

use crate::network::{HostPattern, InvalidHostPattern};

/// A text that is no override of registries.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidOverride {
    /// Not `<pattern>=<url>`.
    #[error("expected <host pattern>=<http or https URL>, got {0:?}")]
    Form(String),
    /// The pattern is none.
    #[error(transparent)]
    Pattern(#[from] InvalidHostPattern),
    /// The URL says more than where the registry is.
    #[error(
        "override of {0:?} must be a URL like http://127.0.0.1:5000, without path, user or query"
    )]
    Url(String),
}

/// The place where requests to some registries go instead: `<pattern>=<url>`, several separated by
/// commas. The first match counts, and credentials for those registries go there too. For tests,
/// local runs and mirrors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides(Vec<(HostPattern, Url)>);

impl Overrides {
    /// The place where requests to `registry` go, if not to itself.
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
        fn any_text_is_read_or_refused(text in "\\PC{0,40}") {
            let _ = text.parse::<Overrides>();
        }
    }
}
