//! Amazon's services: where archives come from (S3), what a registry is told about who asks
//! (ECR, Secrets Manager), and under which identity.
//!
//! This is the only module that uses the AWS SDK. Nothing here is found by guessing: which hosts
//! are ECR's, which partition a region is in and which permission a call needs stand in tables.

mod arn;
mod cache;
mod clients;
mod config;
mod ecr;
mod endpoints;
mod error;
mod explain;
mod failure;
mod function;
mod hint;
mod http;
mod identity;
mod missing;
mod operation;
mod partition;
mod role;
mod s3;
mod secret_registries;
mod secrets;
mod signed;
#[cfg(test)]
mod stand_in;
mod states;
#[cfg(test)]
mod tests;
mod token;

pub use arn::{Arn, InvalidArn};
pub use clients::Clients;
pub use ecr::{
    Difference, EcrCredentials, EcrPolicy, EcrRepository, Encryption, Ensured, IMPORT_ACTIONS,
    Mutability, PULL_ACTIONS, PUSH_ACTIONS, PublicCredentials, RepositorySettings,
};
pub use endpoints::{EcrHost, PUBLIC_REGION, PrivateHost};
pub use error::Error;
pub use failure::{Answer, Cause};
pub use identity::Account;
pub use missing::Missing;
pub use operation::{Call, Operation, Permission, Service};
pub use partition::Partition;
pub use role::Role;
pub use s3::{Keys, Location, Objects, Slot, open_object};
pub use secret_registries::{InvalidSecretRegistries, SecretRegistries};
pub use secrets::{SecretCredentials, WrittenCredentials};
pub use states::{Execution, Started};
