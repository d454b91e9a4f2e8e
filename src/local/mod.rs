//! Embedded stand-ins for the services that Longshore works with: `longshore local`, `--local`,
//! tests and benches use them. Each listens on a loopback socket and needs no account and no
//! network.
//!
//! - [`Registry`] is a container registry, with Amazon ECR's behaviour on demand.
//!
//! - [`Bucket`] is an object store with S3's interface, on folders.
//!
//! Each counts its [requests](RequestRecord) and shows [`Faults`] on demand.

mod bucket;
mod faults;
mod http;
mod registry;
mod request_log;
mod sigv4;
mod xml;

pub use bucket::{Bucket, BucketOptions};
pub use faults::{Fault, Faults};
pub use registry::{Auth, Locations, Mounts, Referrers, Registry, RegistryOptions};
pub use request_log::RequestRecord;
