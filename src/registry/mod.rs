//! A client of the
//! [OCI distribution specification](https://github.com/opencontainers/distribution-spec/blob/main/spec.md).
//!
//! A [`Client`] is built once. A [`RemoteRepository`] is what it sees of one repository: a
//! [`Source`](crate::content::Source) and a [`Destination`](crate::content::Destination).
//!
//! ```text
//! RemoteRepository   manifests, blobs, uploads, tags, referrers: the specification's verbs
//!       │
//!   Transport        authorization, redirects, retries: what every request goes through
//!       │
//!     Wire           one request, one answer, within its time
//! ```
//!
//! # Trust
//!
//! Registries are spoken to over TLS, except on this machine or where an [`Overrides`] says so.
//! Credentials go to the registry itself, and to its token server where that is on the same host
//! or among [`TokenRealms`], and along a redirect only to the same host. What a registry sends (manifests, error documents, tokens, tag lists) is
//! bounded, and content is checked against its digest.

mod answer;
mod auth;
mod authenticator;
mod blob;
mod client;
mod config;
mod endpoint;
mod error;
mod feed;
mod login;
mod manifest;
mod overrides;
mod pages;
mod quota;
mod quota_headers;
mod redirect;
mod referrers;
mod repository;
mod retry;
mod state;
mod subject;
mod tags;
#[cfg(test)]
mod testing;
mod transport;
mod upload;
mod wire;

pub use answer::{ErrorCode, ErrorDetail};
pub use auth::{Anonymous, CredentialProvider, Credentials, InvalidTokenRealms, TokenRealms};
pub use client::Client;
pub use config::{Config, InvalidConfig, Patience};
pub use error::Error;
pub use overrides::{InvalidOverride, Overrides};
pub use quota::{Allowance, Quota};
pub use repository::RemoteRepository;
pub use retry::RetryPolicy;
