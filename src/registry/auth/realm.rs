//! Which token servers are given a registry's credentials.

use std::str::FromStr;

use reqwest::Url;

use crate::network::{HostPattern, InvalidHostPattern};

/// Registries whose tokens come from another host of the same operator.
const KNOWN: [(&str, &str); 8] = [
    ("docker.io", "auth.docker.io"),
    ("registry.gitlab.com", "gitlab.com"),
    ("registry.redhat.io", "sso.redhat.com"),
    ("registry.connect.redhat.com", "sso.redhat.com"),
    ("nvcr.io", "authn.nvidia.com"),
    ("registry.suse.com", "scc.suse.com"),
    ("docker.elastic.co", "docker-auth.elastic.co"),
    ("registry.digitalocean.com", "api.digitalocean.com"),
];

/// Token servers that may have the credentials of registries on other hosts, beside those of
/// public registries that are known: a list of `<registry>=<token server>`, separated by commas,
/// both as [`HostPattern`]s.
#[derive(Clone, Debug, Default)]
pub struct TokenRealms(Vec<(HostPattern, HostPattern)>);

/// A list of token servers that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTokenRealms {
    /// An entry has no `=`.
    #[error("expected <registry>=<token server>, got {0:?}")]
    NoRealm(String),
    /// A host is no pattern.
    #[error(transparent)]
    Host(#[from] InvalidHostPattern),
}

impl TokenRealms {
    /// Returns true if the token server `realm` may have the credentials of `registry`, a host with
    /// its port if it has one.
    pub(in crate::registry) fn allow(&self, registry: &str, realm: &Url) -> bool {
        let host = realm.host_str().unwrap_or_default();
        if host == without_port(registry) || KNOWN.contains(&(registry, host)) {
            return true;
        }
        let with_port = match realm.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let mut pairs = self.0.iter();
        pairs.any(|(of, server)| of.matches(registry) && server.matches(&with_port))
    }
}

impl FromStr for TokenRealms {
    type Err = InvalidTokenRealms;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let entries = text
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty());
        let pairs = entries.map(|entry| {
            let pair = entry.split_once('=');
            let (registry, realm) =
                pair.ok_or_else(|| InvalidTokenRealms::NoRealm(entry.to_owned()))?;
            Ok((registry.trim().parse()?, realm.trim().parse()?))
        });
        Ok(Self(pairs.collect::<Result<_, Self::Err>>()?))
    }
}

fn without_port(registry: &str) -> &str {
    match registry.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => registry,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(list: &str, registry: &str, realm: &str) -> bool {
        let realms: TokenRealms = list.parse().unwrap();
        realms.allow(registry, &realm.parse().unwrap())
    }

    #[test]
    fn a_registry_has_its_own_host_and_those_that_are_listed() {
        let list = "registry.example.com=gitlab.example.com, *.corp=auth.corp:8443";
        for (registry, realm) in [
            ("quay.io", "https://quay.io/v2/auth"),
            ("host.example:5000", "https://host.example:5001/auth"),
            ("[::1]:5000", "http://[::1]:5001/auth"),
            ("docker.io", "https://auth.docker.io/token"),
            ("registry.gitlab.com", "https://gitlab.com/jwt/auth"),
            (
                "registry.example.com",
                "https://gitlab.example.com/jwt/auth",
            ),
            ("a.corp", "https://auth.corp:8443/token"),
        ] {
            assert!(allows(list, registry, realm), "{registry} {realm}");
        }
        for (registry, realm) in [
            ("quay.io", "https://attacker.example/token"),
            ("docker.io", "https://auth.docker.io.attacker.example/token"),
            ("quay.io", "https://auth.docker.io/token"),
            ("quay.io", "https://sub.quay.io/token"),
            ("registry.example.com", "https://attacker.example.com/"),
            ("a.corp", "https://auth.corp/token"),
        ] {
            assert!(!allows(list, registry, realm), "{registry} {realm}");
        }
    }

    #[test]
    fn a_malformed_list_is_refused() {
        assert!("registry.example.com".parse::<TokenRealms>().is_err());
        assert!("a=b c".parse::<TokenRealms>().is_err());
        assert!("".parse::<TokenRealms>().is_ok());
    }
}
