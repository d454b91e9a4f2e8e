//! Amazon ECR's API: tokens for its registries, and its repositories.

mod actions;
mod create;
mod credentials;
mod images;
mod policy;
mod public;
mod repository;
mod settings;
#[cfg(test)]
mod tests;

use super::signed::{Api, JsonApi};

pub use actions::{IMPORT_ACTIONS, PULL_ACTIONS, PUSH_ACTIONS};
pub use create::{Difference, Ensured};
pub use credentials::EcrCredentials;
pub use policy::EcrPolicy;
pub use public::PublicCredentials;
pub use repository::EcrRepository;
pub use settings::{Encryption, Mutability, RepositorySettings};

const ECR: JsonApi = JsonApi {
    api: Api {
        id: "ECR",
        name: "ecr",
        host: "api.ecr",
        dual_stack_host: Some("ecr"),
        is_fips_in_gov_cloud: false,
    },
    content_type: "application/x-amz-json-1.1",
    target: "AmazonEC2ContainerRegistry_V20150921",
};
