//! Amazon ECR's API: tokens for its registries, and its repositories.

mod credentials;
mod repository;
#[cfg(test)]
mod tests;

pub use credentials::EcrCredentials;
pub(super) use credentials::Token;
pub use repository::EcrRepository;
