//! Pull quotas: a 429 that no retry within a deployment gets past.

use std::fmt;
use std::time::Duration;

/// The number of pulls that a registry still allows, as the headers of its last answer said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Allowance {
    /// Pulls that are left in the window.
    pub remaining: u64,
    /// Pulls that it allows in the window, if it says so.
    pub limit: Option<u64>,
    /// The window, if it says so.
    pub window: Option<Duration>,
}

/// A quota of pulls that is used up.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quota {
    /// The registry.
    pub registry: String,
    /// Requests that it allows in the window, if it says so.
    pub limit: Option<u64>,
    /// Requests that are left, if it says so.
    pub remaining: Option<u64>,
    /// The window, if it says so.
    pub window: Option<Duration>,
    /// The time that the registry asks to wait.
    pub retry_after: Option<Duration>,
    /// True if the request was made with credentials.
    pub authenticated: bool,
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the pull quota of {} is used up", self.registry)?;
        if let Some(limit) = self.limit {
            let remaining = self.remaining.unwrap_or(0);
            write!(f, ": {remaining} of {limit} pulls left")?;
        }
        if let Some(window) = self.window {
            write!(f, " in {} minutes", window.as_secs() / 60)?;
        }
        if let Some(wait) = self.retry_after {
            write!(f, ", to be tried again in {} seconds", wait.as_secs())?;
        }
        f.write_str(if self.authenticated {
            "; use an account with a larger quota, or pull through a cache"
        } else {
            "; give credentials for it, which have a quota of their own, or pull through a cache"
        })
    }
}
