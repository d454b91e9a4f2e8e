//! Naming assets of a manifest.

use std::fmt;
use std::str::FromStr;

/// `asset`, `asset:destination`, either of which may be `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    asset: Option<String>,
    destination: Option<String>,
}

/// A text that is no [`Pattern`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no asset: expected ASSET or ASSET:DESTINATION, either of which may be *")]
pub struct InvalidPattern(String);

impl Pattern {
    pub(super) fn matches(&self, asset: &str, destination: &str) -> bool {
        let is = |wanted: &Option<String>, id| wanted.as_deref().is_none_or(|wanted| wanted == id);
        is(&self.asset, asset) && is(&self.destination, destination)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.asset.as_deref().unwrap_or("*"))?;
        match &self.destination {
            Some(destination) => write!(f, ":{destination}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Pattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (asset, destination) = text.split_once(':').unwrap_or((text, ""));
        if text.is_empty() || destination.contains(':') {
            return Err(InvalidPattern(text.to_owned()));
        }
        let part = |part: &str| (!matches!(part, "" | "*")).then(|| part.to_owned());
        Ok(Self {
            asset: part(asset),
            destination: part(destination),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_to_cdk_assets() {
        for (pattern, asset, destination, expected) in [
            ("a", "a", "d", true),
            ("a", "b", "d", false),
            ("*", "b", "d", true),
            ("a:d", "a", "d", true),
            ("a:d", "a", "e", false),
            (":d", "a", "d", true),
            ("*:d", "a", "e", false),
            ("a:*", "a", "e", true),
        ] {
            let pattern: Pattern = pattern.parse().unwrap();
            assert_eq!(pattern.matches(asset, destination), expected, "{pattern:?}");
        }
        for wrong in ["", "a:b:c"] {
            assert!(wrong.parse::<Pattern>().is_err());
        }
    }
}
