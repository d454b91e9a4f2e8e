//! The place where a policy is kept.

use futures_util::future::BoxFuture;

use crate::content::{self, BoxError, Retryable};

/// The policy of one repository.
///
/// # Contract
///
/// Implementations retry what is worth it by themselves (throttling, failures of the network) and
/// end in bounded time.
pub trait PolicyStore: Send + Sync {
    /// The name in errors of the repository.
    fn name(&self) -> &str;

    /// The text of the policy, or `None` where the repository has none.
    fn get(&self) -> BoxFuture<'_, Result<Option<String>, StoreError>>;

    /// Replaces the policy. `force` lets through even what keeps the caller from replacing it again.
    fn set<'a>(&'a self, text: &'a str, force: bool) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Removes the policy. One that is not there is removed already.
    fn delete(&self) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// Why a policy could not be read, written or removed: shown as what the store says of it, which
/// names the repository and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no such repository.
    #[error(transparent)]
    RepositoryNotFound(BoxError),
    /// The policy names a principal that is not known, or not yet.
    #[error(transparent)]
    PrincipalNotFound(BoxError),
    /// The policy is one that ECR does not take. ECR does not tell why.
    #[error(transparent)]
    Refused(BoxError),
    /// Anything else.
    #[error(transparent)]
    Other(content::Error),
}

impl StoreError {
    /// Returns true if trying again later can help.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Other(error) => error.is_retryable(),
            Self::PrincipalNotFound(_) => true,
            Self::RepositoryNotFound(_) | Self::Refused(_) => false,
        }
    }
}

impl Retryable for StoreError {
    fn is_retryable(&self) -> bool {
        self.is_retryable()
    }
}
