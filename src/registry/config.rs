//! What a [`Client`](super::Client) is told once.

use std::num::NonZeroU32;
use std::time::Duration;

use super::pattern::{HostPattern, InvalidOverride, Overrides};
use super::retry::RetryPolicy;

/// How a [`Client`](super::Client) reaches registries. [`Config::default`] is right for public
/// and cloud registries.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Registries whose requests go elsewhere.
    pub overrides: Overrides,
    /// Whether a registry may be on this machine, where it is spoken to without TLS. Link-local
    /// addresses are refused even then.
    pub allow_loopback: bool,
    /// How failed requests are made again.
    pub retry: RetryPolicy,
    /// How long requests may stand still.
    pub patience: Patience,
    /// Registries that limit manifest pushes, with the most that they take in a second.
    /// The first match counts.
    pub manifest_pushes: Vec<(HostPattern, NonZeroU32)>,
}

impl Config {
    /// Reads the configuration's environment variables by `lookup`:
    /// `LONGSHORE_REGISTRY_OVERRIDE` (see [`Overrides`]) and `LONGSHORE_ALLOW_LOOPBACK`
    /// (`1` or `true`).
    pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, InvalidOverride> {
        let overrides = lookup("LONGSHORE_REGISTRY_OVERRIDE").unwrap_or_default();
        let loopback = lookup("LONGSHORE_ALLOW_LOOPBACK");
        Ok(Self {
            overrides: overrides.parse()?,
            allow_loopback: loopback.is_some_and(|value| matches!(value.as_str(), "1" | "true")),
            ..Self::default()
        })
    }

    pub(super) fn manifest_pushes_per_second(&self, registry: &str) -> Option<NonZeroU32> {
        let mut limits = self.manifest_pushes.iter();
        limits
            .find(|(hosts, _)| hosts.matches(registry))
            .map(|(_, limit)| *limit)
    }
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
