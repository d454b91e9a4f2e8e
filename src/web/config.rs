//! The web servers that are read from, and how they are reached.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crate::content::Tally;
use crate::network::{HostPattern, InvalidHostPattern};

/// The way in which objects are read. [`Config::default`] reads from no host.
#[derive(Clone, Debug)]
pub struct Config {
    /// The hosts that may be read from.
    pub hosts: Hosts,
    /// True if a host may be on this machine, where it is spoken to without TLS. Link-local
    /// addresses are refused even then.
    pub allow_loopback: bool,
    /// The most times that one request is made.
    pub attempts: NonZeroU32,
    /// The time that requests may stand still.
    pub patience: Patience,
    /// Counts requests that are made again.
    pub tally: Arc<Tally>,
}

/// Hosts that may be read from.
#[derive(Clone, Debug)]
pub enum Hosts {
    /// Every host.
    All,
    /// Hosts that match one of these. A pattern without a port is for the scheme's own port.
    Only(Vec<HostPattern>),
}

/// Bounds on waiting.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Until a connection is made.
    pub connect: Duration,
    /// Until an answer begins.
    pub answer: Duration,
    /// Before a request is made again the first time. Each next time it is twice as long.
    pub first_wait: Duration,
    /// The longest wait before a request is made again. A server that asks for a longer one is
    /// not asked again.
    pub longest_wait: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            hosts: Hosts::Only(Vec::new()),
            allow_loopback: false,
            attempts: NonZeroU32::new(5).unwrap_or(NonZeroU32::MIN),
            patience: Patience {
                connect: Duration::from_secs(10),
                answer: Duration::from_secs(30),
                first_wait: Duration::from_millis(400),
                longest_wait: Duration::from_secs(20),
            },
            tally: Arc::default(),
        }
    }
}

impl Config {
    /// Reads the configuration's environment variables by `lookup`: `LONGSHORE_HTTPS_SOURCES`
    /// ([`HostPattern`]s, separated by commas) and `LONGSHORE_ALLOW_LOOPBACK` (`1` or `true`).
    pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, InvalidHostPattern> {
        let hosts = lookup("LONGSHORE_HTTPS_SOURCES").unwrap_or_default();
        let hosts = hosts
            .split(',')
            .map(str::trim)
            .filter(|host| !host.is_empty());
        let loopback = lookup("LONGSHORE_ALLOW_LOOPBACK");
        Ok(Self {
            hosts: Hosts::Only(hosts.map(str::parse).collect::<Result<_, _>>()?),
            allow_loopback: loopback.is_some_and(|value| matches!(value.as_str(), "1" | "true")),
            ..Self::default()
        })
    }
}

impl Hosts {
    /// Returns true if `host` (with its port if it is not the scheme's own) may be read from.
    pub(super) fn allow(&self, host: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(patterns) => patterns.iter().any(|pattern| pattern.matches(host)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(text: Option<&str>) -> Hosts {
        let config = Config::from_env(|name| {
            let asked = name == "LONGSHORE_HTTPS_SOURCES";
            text.filter(|_| asked).map(str::to_owned)
        });
        config.unwrap().hosts
    }

    #[test]
    fn no_host_is_read_from_unless_it_is_listed() {
        for off in [None, Some(""), Some(" , ")] {
            assert!(!hosts(off).allow("files.example"), "{off:?}");
        }
        let listed = hosts(Some("files.example, *.s3.eu-west-1.amazonaws.com,"));
        assert!(listed.allow("files.example"));
        assert!(listed.allow("staging.s3.eu-west-1.amazonaws.com"));
        assert!(!listed.allow("files.example:8443"));
        assert!(!listed.allow("evil.example"));
    }

    #[test]
    fn a_malformed_list_is_refused() {
        let config = Config::from_env(|_| Some("https://files.example".to_owned()));
        assert!(config.is_err());
    }
}
