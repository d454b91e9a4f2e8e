//! A client of the
//! [OCI distribution specification](https://github.com/opencontainers/distribution-spec/blob/main/spec.md).

mod auth;

pub use auth::{Anonymous, CredentialProvider, Credentials};
