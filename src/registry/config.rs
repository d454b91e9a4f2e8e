//! The settings of a [`Client`](super::Client).

use std::num::NonZeroU32;
use std::time::Duration;

use super::auth::{InvalidTokenRealms, TokenRealms};
use super::overrides::{InvalidOverride, Overrides};
use super::retry::RetryPolicy;
use crate::content::Parts;

/// The way in which a [`Client`](super::Client) reaches registries. [`Config::default`] is right
/// for public and cloud registries.
#[derive(Clone, Debug)]
pub struct Config {
    /// Registries whose requests go elsewhere.
    pub overrides: Overrides,
    /// True if a registry may be on this machine, where it is spoken to without TLS. Link-local
    /// addresses are refused even then.
    pub allow_loopback: bool,
    /// True if nothing else than what is on this machine is reached.
    pub stays_local: bool,
    /// Token servers on other hosts that may have a registry's credentials.
    pub token_realms: TokenRealms,
    /// The way in which failed requests are made again.
    pub retry: RetryPolicy,
    /// The time that requests may stand still.
    pub patience: Patience,
    /// When blobs are read by several requests, and how.
    pub parts: Parts,
    /// The most manifests that a registry (a host, with its port if it has one) takes in a
    /// second, where it has such a limit.
    pub manifest_pushes_per_second: fn(&str) -> Option<NonZeroU32>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            overrides: Overrides::default(),
            allow_loopback: false,
            stays_local: false,
            token_realms: TokenRealms::default(),
            retry: RetryPolicy::default(),
            patience: Patience::default(),
            parts: Parts::DEFAULT,
            manifest_pushes_per_second: |_| None,
        }
    }
}

impl Config {
    /// Reads the configuration's environment variables by `lookup`:
    /// `LONGSHORE_REGISTRY_OVERRIDE` (see [`Overrides`]), `LONGSHORE_TOKEN_REALMS` (see
    /// [`TokenRealms`]) and `LONGSHORE_ALLOW_LOOPBACK` (`1` or `true`).
    pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, InvalidConfig> {
        let overrides = lookup("LONGSHORE_REGISTRY_OVERRIDE").unwrap_or_default();
        let loopback = lookup("LONGSHORE_ALLOW_LOOPBACK");
        Ok(Self {
            overrides: overrides.parse()?,
            token_realms: lookup("LONGSHORE_TOKEN_REALMS")
                .unwrap_or_default()
                .parse()?,
            allow_loopback: loopback.is_some_and(|value| matches!(value.as_str(), "1" | "true")),
            ..Self::default()
        })
    }
}

/// An environment variable of the configuration that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidConfig {
    /// The registries whose requests go elsewhere.
    #[error("malformed LONGSHORE_REGISTRY_OVERRIDE")]
    Overrides(#[from] InvalidOverride),
    /// The token servers.
    #[error("malformed LONGSHORE_TOKEN_REALMS")]
    TokenRealms(#[from] InvalidTokenRealms),
}

/// Bounds on waiting. None bounds how long a body flows, only how long it stands still.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Patience {
    /// Until a connection is made.
    pub connect: Duration,
    /// Until the answer to a request without a large body begins, and until a small body is
    /// read whole.
    pub answer: Duration,
    /// Between two pieces of a large body that is sent.
    pub stall: Duration,
    /// Until an upload is committed: registries read the whole blob again then.
    pub commit: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(30),
            stall: Duration::from_mins(1),
            commit: Duration::from_mins(5),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_its_environment() {
        let config = Config::from_env(|name| match name {
            "LONGSHORE_REGISTRY_OVERRIDE" => Some("a.example=http://127.0.0.1:5000".to_owned()),
            "LONGSHORE_ALLOW_LOOPBACK" => Some("1".to_owned()),
            _ => None,
        })
        .unwrap();
        assert!(config.allow_loopback);
        assert!(config.overrides.base_url("a.example").is_some());
        assert!(!Config::from_env(|_| None).unwrap().allow_loopback);
    }
}
