//! Where a policy is kept.

use futures_util::future::BoxFuture;

use crate::content::{BoxError, Retryable};

/// The policy of one repository.
///
/// # Contract
///
/// Implementations retry what is worth it by themselves (throttling, failures of the network) and
/// end in bounded time.
pub trait PolicyStore: Send + Sync {
    /// How errors name the repository.
    fn name(&self) -> &str;

    /// The text of the policy, or `None` where the repository has none.
    fn get(&self) -> BoxFuture<'_, Result<Option<String>, StoreError>>;

    /// Replaces the policy. `force` lets through even what keeps the caller from replacing it again.
    fn set<'a>(&'a self, text: &'a str, force: bool) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Removes the policy. One that is not there is removed already.
    fn delete(&self) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// Why a policy could not be read, written or removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no such repository.
    #[error("the repository does not exist")]
    RepositoryNotFound(#[source] BoxError),
    /// The policy names a principal that is not known, or not yet.
    #[error("a principal of the policy is not known")]
    PrincipalNotFound(#[source] BoxError),
    /// The policy is one that ECR does not take. ECR does not tell why.
    #[error("the policy was refused")]
    Refused(#[source] BoxError),
    /// The caller may not do this.
    #[error("not permitted: the role in use needs {action} on the repository")]
    Denied {
        /// The IAM action that is missing.
        action: &'static str,
        /// What was answered.
        source: BoxError,
    },
    /// Anything else.
    #[error("the request failed")]
    Request {
        /// Whether trying again can help.
        retryable: bool,
        /// What failed.
        source: BoxError,
    },
}

impl StoreError {
    /// Whether trying again later can help.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Request { retryable, .. } => *retryable,
            Self::PrincipalNotFound(_) => true,
            Self::RepositoryNotFound(_) | Self::Refused(_) | Self::Denied { .. } => false,
        }
    }
}

impl Retryable for StoreError {
    fn is_retryable(&self) -> bool {
        self.is_retryable()
    }
}
