//! The client: built once, shared by everything that speaks to registries.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};

use super::Error;
use super::auth::TokenCache;
use super::config::Config;
use super::quota::Allowance;
use super::retry::{Retries, RetryPolicy};
use super::state::RegistryState;
use super::wire::Wire;
use crate::content::Tally;
use crate::network::{Resolver, SharedResolver, http_client};

/// Registries about which something is known. A process may see many stacks.
const MAX_REGISTRIES: usize = 256;

/// Speaks to any number of registries. Cheap to clone; clones share connections, tokens and what
/// is known about registries.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
    retry: RetryPolicy,
    tally: Arc<Tally>,
}

struct Inner {
    wire: Wire,
    config: Config,
    tokens: TokenCache,
    registries: Mutex<BTreeMap<String, Arc<RegistryState>>>,
}

impl Client {
    /// Sets up a client. Nothing is connected yet.
    pub fn new(config: Config) -> Result<Self, Error> {
        let trusted = config.overrides.hosts().map(str::to_owned);
        let resolver = Arc::new(Resolver {
            allow_loopback: config.allow_loopback,
            trusted: trusted.collect::<BTreeSet<_>>(),
        });
        // Redirects are followed by `Transport`, which decides what goes along.
        let http = http_client()
            .user_agent(concat!("longshore/", env!("CARGO_PKG_VERSION")))
            // Content is checked by its digest as it is stored.
            .default_headers(HeaderMap::from_iter([(
                ACCEPT_ENCODING,
                HeaderValue::from_static("identity"),
            )]))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(config.patience.connect)
            .dns_resolver(SharedResolver(resolver))
            .build()
            .map_err(Error::Setup)?;
        Ok(Self {
            retry: config.retry,
            tally: Arc::default(),
            inner: Arc::new(Inner {
                wire: Wire::new(http, config.patience),
                config,
                tokens: TokenCache::default(),
                registries: Mutex::default(),
            }),
        })
    }

    /// The same client, which makes one request so many times at the most.
    #[must_use]
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.retry.attempts = attempts;
        self
    }

    /// The same client, which counts in `tally` what it has to ask again.
    #[must_use]
    pub fn with_tally(mut self, tally: Arc<Tally>) -> Self {
        self.tally = tally;
        self
    }

    /// The attempts of a request, none of them made yet.
    pub(super) fn retries(&self) -> Retries<'_> {
        self.retry.start(&self.tally)
    }

    pub(super) fn retry(&self) -> &RetryPolicy {
        &self.retry
    }

    /// Spaces the requests to a registry (a host, with its port if it has one) that read, so that
    /// at most `per_second` are made in a second. All clones of the client keep to it. A rate
    /// that is no positive number changes nothing.
    pub fn limit_requests(&self, registry: &str, per_second: f64) {
        if let Ok(interval) = Duration::try_from_secs_f64(1.0 / per_second) {
            self.state(registry).space_requests(interval);
        }
    }

    /// The number of pulls that a registry still allows, if its last answer said so.
    pub fn allowance(&self, registry: &str) -> Option<Allowance> {
        self.state(registry).allowance()
    }

    pub(super) fn config(&self) -> &Config {
        &self.inner.config
    }

    pub(super) fn wire(&self) -> &Wire {
        &self.inner.wire
    }

    pub(super) fn tokens(&self) -> &TokenCache {
        &self.inner.tokens
    }

    /// The state of `registry`.
    pub(super) fn state(&self, registry: &str) -> Arc<RegistryState> {
        let registries = &self.inner.registries;
        let mut registries = registries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = registries.get(registry) {
            return Arc::clone(known);
        }
        let limit = (self.inner.config.manifest_pushes_per_second)(registry);
        let state = Arc::new(RegistryState::new(limit));
        if registries.len() >= MAX_REGISTRIES {
            registries.clear();
        }
        registries.insert(registry.to_owned(), Arc::clone(&state));
        state
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("config", &self.inner.config)
            .finish_non_exhaustive()
    }
}
