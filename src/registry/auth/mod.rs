//! Who asks: credentials, and where they come from.

pub(super) mod challenge;
mod realm;
mod scheme;
pub(super) mod scope;
mod sensitive;
mod timestamp;
pub(super) mod token;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use crate::content;
use crate::redact::Secret;

pub use realm::{InvalidTokenRealms, TokenRealms};
pub(super) use scheme::Scheme;
pub(super) use scope::Access;
pub(super) use sensitive::sensitive;
pub(super) use token::TokenCache;

/// The credentials that a registry gets. `Debug` shows no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credentials {
    /// A name and a password or access token, as `docker login` takes them.
    Basic {
        /// The user.
        username: String,
        /// The password.
        password: Secret,
    },
    /// An `OAuth2` refresh token, which `docker login` keeps as `identitytoken`.
    IdentityToken(Secret),
}

impl Credentials {
    /// A name and a password.
    pub fn basic(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self::Basic {
            username: username.into(),
            password: Secret::new(password),
        }
    }
}

/// The place where the credentials of a registry come from.
///
/// # Contract
///
/// Called once when a repository's first request is challenged, and again after
/// [`invalidate`](Self::invalidate). An implementation that fetches credentials (from a secret
/// store, from a cloud's API) caches them, retries by itself and ends in bounded time.
pub trait CredentialProvider: Send + Sync {
    /// The credentials for `registry`, a host with its port if it has one, as
    /// [`Repository::registry`](crate::oci::Repository::registry) has it. `None` is anonymous.
    ///
    /// Wrap errors by [`content::Error::backend`]. An error fails the request: it does not go on
    /// as an anonymous one.
    fn credentials<'a>(
        &'a self,
        registry: &'a str,
    ) -> BoxFuture<'a, content::Result<Option<Credentials>>>;

    /// Returns true if `registry` is known to take name and password with each request: the first
    /// one then carries them, instead of being sent without to be told so.
    fn takes_basic(&self, registry: &str) -> bool {
        let _ = registry;
        false
    }

    /// The registry refused the credentials that it took before: they may have expired. The next
    /// [`credentials`](Self::credentials) should fetch them anew.
    fn invalidate(&self, registry: &str) {
        let _ = registry;
    }
}

/// No credentials.
#[derive(Clone, Copy, Debug, Default)]
pub struct Anonymous;

impl CredentialProvider for Anonymous {
    fn credentials<'a>(
        &'a self,
        _registry: &'a str,
    ) -> BoxFuture<'a, content::Result<Option<Credentials>>> {
        ready(Ok(None)).boxed()
    }
}

/// Fixed credentials are their own provider, for whichever registry is asked for.
impl CredentialProvider for Credentials {
    fn credentials<'a>(
        &'a self,
        _registry: &'a str,
    ) -> BoxFuture<'a, content::Result<Option<Credentials>>> {
        ready(Ok(Some(self.clone()))).boxed()
    }
}

#[cfg(test)]
mod tests;
