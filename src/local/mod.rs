//! Embedded stand-ins for the services that Longshore works with: `longshore local`, `--local`,
//! tests and benches use them. Each listens on a loopback socket and needs no account and no
//! network.
//!
//! - [`Registry`] is a container registry, with Amazon ECR's behaviour on demand.
//! - [`Bucket`] is an object store with S3's interface, on folders.
//! - [`AwsApi`] has ECR's API, Secrets Manager, STS and Lambda's `Invoke`.
//! - [`ResponseUrl`] takes answers to CloudFormation.
//! - [`Environment`] is all of these but the last, with the environment variables that lead there.
//!
//! Each counts its [requests](RequestRecord) and shows [`Faults`] on demand.

mod aws_api;
mod bucket;
mod environment;
mod faults;
mod http;
mod mailbox;
mod registry;
mod request_log;
mod response_url;
mod sigv4;
mod xml;

pub use aws_api::{AwsApi, AwsApiOptions, AwsCall, Invocation};
pub use bucket::{Bucket, BucketOptions};
pub use environment::{Environment, EnvironmentOptions};
pub use faults::{Fault, Faults};
pub use registry::{Auth, Locations, Mounts, Referrers, Registry, RegistryOptions};
pub use request_log::RequestRecord;
pub use response_url::{Answer, ResponseUrl};
