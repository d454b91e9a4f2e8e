//! Amazon ECR's API: tokens for its registries, and its repositories.

mod create;
mod credentials;
mod images;
mod policy;
mod public;
mod repository;
mod settings;
#[cfg(test)]
mod tests;
mod token;

pub use create::{Difference, Ensured};
pub use credentials::EcrCredentials;
pub use public::PublicCredentials;
pub use repository::EcrRepository;
pub use settings::{Encryption, Mutability, RepositorySettings};
pub(super) use token::TokenCell;
