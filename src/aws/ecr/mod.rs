//! Amazon ECR's API: tokens for its registries, and its repositories.

mod credentials;
mod policy;
mod repository;
#[cfg(test)]
mod tests;

pub use credentials::EcrCredentials;
pub(super) use credentials::Token;
pub use policy::EcrPolicy;
pub use repository::EcrRepository;
