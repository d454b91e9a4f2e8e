//! Which image of an archive is meant.

use std::fmt;
use std::str::FromStr;

use crate::oci::{Digest, InvalidDigest, Reference};

/// Names one image of an archive: what stands after the `#` of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// `repo:tag`, or another name that the archive gives its image.
    Tag(String),
    /// `@sha256:…`: a manifest, or an image ID.
    Digest(Digest),
    /// `@0`: by position in the archive's list, from zero.
    Index(usize),
    /// `@index`: the `index.json` of an OCI layout itself, as one image for several platforms.
    Whole,
}

impl Selector {
    /// Returns true if `name`, as an archive has it, is what this selects: letter by letter, or as
    /// Docker completes names (`app` is `docker.io/library/app:latest`).
    pub(super) fn names(&self, name: &str) -> bool {
        let Self::Tag(wanted) = self else {
            return false;
        };
        wanted == name || completed(wanted).is_some_and(|wanted| completed(name) == Some(wanted))
    }
}

/// The name as Docker understands it, with registry, namespace and tag.
fn completed(name: &str) -> Option<String> {
    let reference: Reference = name.parse().ok()?;
    if reference.tag().is_some() || reference.digest().is_some() {
        return Some(reference.to_string());
    }
    Some(format!("{reference}:latest"))
}

/// A text after `#` that selects nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidSelector {
    /// Nothing stands there.
    #[error("the selector is empty: expected #repo:tag, #@digest, #@0 (a position) or #@index")]
    Empty,
    /// After `@` stands no number, no digest and not `index`.
    #[error("malformed selector: expected a number, a digest or the word index after @")]
    At(#[source] InvalidDigest),
}

impl FromStr for Selector {
    type Err = InvalidSelector;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.strip_prefix('#').unwrap_or(text);
        match text.strip_prefix('@') {
            _ if text.is_empty() => Err(InvalidSelector::Empty),
            None => Ok(Self::Tag(text.to_owned())),
            Some("index") => Ok(Self::Whole),
            Some(at) => match at.parse() {
                Ok(index) => Ok(Self::Index(index)),
                Err(_) => at.parse().map(Self::Digest).map_err(InvalidSelector::At),
            },
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(name) => write!(f, "#{name}"),
            Self::Digest(digest) => write!(f, "#@{digest}"),
            Self::Index(index) => write!(f, "#@{index}"),
            Self::Whole => f.write_str("#@index"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_what_it_parses() {
        let digest = format!("#@{}", Digest::sha256(b""));
        for text in ["#app:1", "#@0", "#@index", "#1.0", digest.as_str()] {
            assert_eq!(text.parse::<Selector>().unwrap().to_string(), text);
        }
        assert_eq!("@7".parse(), Ok(Selector::Index(7)));
    }

    #[test]
    fn says_what_is_wrong() {
        for text in ["", "#"] {
            assert_eq!(text.parse::<Selector>(), Err(InvalidSelector::Empty));
        }
        for text in ["#@", "#@-1", "#@sha256:12", "#@app"] {
            let error = text.parse::<Selector>().unwrap_err();
            assert!(matches!(error, InvalidSelector::At(_)), "{text}: {error}");
        }
    }

    #[test]
    fn names_match_as_docker_completes_them() {
        for (wanted, name, expected) in [
            ("app:1", "app:1", true),
            ("app:1", "docker.io/library/app:1", true),
            ("docker.io/library/app:1", "app:1", true),
            ("app", "app:latest", true),
            ("app", "app:1", false),
            ("localhost/app:1", "app:1", false),
            ("1.0", "1.0", true),
            ("any name/at all", "any name/at all", true),
        ] {
            let selector = Selector::Tag(wanted.to_owned());
            assert_eq!(selector.names(name), expected, "{wanted} against {name}");
        }
    }
}
