//! Which registries a secret's credentials may go to, as the function's operator says.

use std::str::FromStr;

use crate::network::{HostPattern, InvalidHostPattern};

/// The registries that secrets are for: a list of `<secret>=<registry>`, separated by commas. The
/// secret is a name or an ARN, in which a `*` stands for any characters, and the registry a
/// [`HostPattern`]. A secret may stand in several entries. One that stands in none is for whichever
/// registry a resource names it for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretRegistries(Vec<(String, HostPattern)>);

/// A list of registries of secrets that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidSecretRegistries {
    /// An entry has no `=`.
    #[error("expected <secret>=<registry>, got {0:?}")]
    NoRegistry(String),
    /// The registry is no pattern of hosts.
    #[error(transparent)]
    Registry(#[from] InvalidHostPattern),
}

impl SecretRegistries {
    /// Returns true if a secret that Secrets Manager knows by these `names` (its name and forms of
    /// its ARN) may be sent to `registry`.
    pub(super) fn allow(&self, names: &[&str], registry: &str) -> bool {
        let is_named = |pattern: &str| names.iter().any(|name| matches(pattern, name));
        let mut own = self.0.iter().filter(|(secret, _)| is_named(secret));
        let Some((_, first)) = own.next() else {
            return true;
        };
        first.matches(registry) || own.any(|(_, other)| other.matches(registry))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Returns true if `text` is `pattern`, in which each `*` stands for any characters.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<_> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some((_, after)) = text.split_once(part) else {
            return false;
        };
        text = after;
    }
    text.ends_with(last)
}

impl FromStr for SecretRegistries {
    type Err = InvalidSecretRegistries;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let entries = text
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty());
        let pairs = entries.map(|entry| {
            // A name may have `=`, a host has none.
            let pair = entry.rsplit_once('=');
            let (secret, registry) =
                pair.ok_or_else(|| InvalidSecretRegistries::NoRegistry(entry.to_owned()))?;
            Ok((secret.trim().to_owned(), registry.trim().parse()?))
        });
        Ok(Self(pairs.collect::<Result<_, Self::Err>>()?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:team/login-a1B2c3";

    #[test]
    fn a_secret_is_for_its_own_registries() {
        let list = "team/login=quay.io, team/login=*.corp.example,other/*=docker.io";
        let list: SecretRegistries = list.parse().unwrap();
        let names = ["team/login", ARN];
        for (registry, allowed) in [
            ("quay.io", true),
            ("a.corp.example", true),
            ("docker.io", false),
            ("evil.example", false),
        ] {
            assert_eq!(list.allow(&names, registry), allowed, "{registry}");
        }
        assert!(list.allow(&["other/login"], "docker.io"));
        assert!(!list.allow(&["other/login"], "quay.io"));
        assert!(list.allow(&["nobody's"], "evil.example"));
    }

    #[test]
    fn a_secret_is_known_by_its_arn_too() {
        let list = "arn:aws:secretsmanager:*:secret:team/login-*=quay.io";
        let list: SecretRegistries = list.parse().unwrap();
        assert!(!list.allow(&["team/login", ARN], "evil.example"));
        assert!(list.allow(&["team/login", ARN], "quay.io"));
    }

    #[test]
    fn everything_else_is_refused() {
        for text in ["team/login", "team/login=https://quay.io/", "a="] {
            assert!(text.parse::<SecretRegistries>().is_err(), "{text}");
        }
        assert!("".parse::<SecretRegistries>().unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn a_star_stands_for_anything(a in "[ab]{0,4}", b in "[ab]{0,4}", c in "[ab]{0,4}") {
            let text = format!("{a}{b}{c}");
            let holds = |pattern: String| matches(&pattern, &text);
            for pattern in [format!("{a}*{c}"), format!("{a}*{b}*"), "*".to_owned()] {
                prop_assert!(holds(pattern));
            }
            for pattern in [format!("{text}x*"), format!("*x{text}")] {
                prop_assert!(!holds(pattern));
            }
        }
    }
}
