//! Longshore moves container images into Amazon ECR as part of a CloudFormation deployment.
//!
//! The crate is a library with two programs: the Lambda `bootstrap`, which answers a
//! CloudFormation custom resource, and `longshore`, which runs the same code from a command line.
//!
//! # How data flows
//!
//! An event's properties name a source (an archive in S3, an image in a registry) and a
//! destination repository. [`oci`] has the data of both sides, [`content`] the interfaces between
//! them. Bodies flow from source to destination in bounded windows: memory does not grow with the
//! image, and the Lambda writes nothing to disk.

pub mod archive;
#[cfg(feature = "cli")]
pub mod assets;
pub mod aws;
pub mod cloudformation;
pub mod content;
pub mod copy;
pub mod deploy;
#[cfg(feature = "cli")]
pub mod local;
pub mod mirror;
pub mod network;
pub mod oci;
pub mod policy;
pub mod redact;
pub mod registry;
pub mod web;
