//! Images from a Dockerfile, and the assets of CDK.
//!
//! An asset is a directory or a file that becomes an image in a registry or an object in a
//! bucket. Its hash names it: the same content and options give the same hash, here as in CDK, so
//! that whoever comes second finds the work done.

mod build;
mod error;
pub mod fingerprint;
pub mod ignore;
mod image;
mod login;
mod manifest;
mod publish;
mod report;
mod stage;

pub use build::{Builder, Built, Cache, build};
pub use error::Error;
pub use image::{ImageAsset, Input, UnknownInput};
pub use login::{BuildLogins, Logins};
pub use manifest::{
    Asset, Destination, InvalidPattern, Manifest, ManifestError, Pattern, Place, Source,
};
pub use publish::{Done, Progress, PublishOptions, Published, Publisher, Step};
pub use report::Report;
pub use stage::{Staged, Staging};
