//! Objects of web servers, read by ranges: what presigned URLs, file servers and CDNs serve.
//!
//! # Trust
//!
//! Only hosts that [`Hosts`] allows are connected to, redirects included, and only by TLS; never
//! to this machine or its link, but for tests. Nothing shows the query of a URL, which is what
//! opens a presigned one.

mod client;
mod config;
mod error;
mod object;
mod pin;
#[cfg(test)]
mod tests;

pub use config::{Config, Hosts, Patience};
pub use error::Error;
pub use object::open_object;
