//! Composition: from what a resource or a command asks for to sources, destinations and the engine.

mod image;
mod location;

use futures_util::future::BoxFuture;

use crate::content::BoxError;
use crate::oci::{Digest, Repository};

pub use image::{Access, Attestations, Deployed, Image, Referrers, RemovalPolicy, Role};
pub use location::{FileLocation, InvalidLocation, Location, S3Location};

/// What the handler of a resource needs done. [`Deployer`] does it; tests put others in its place.
pub trait Deploy: Send + Sync {
    /// Brings the image to its destination. Doing it again ends in the same state.
    fn deploy<'a>(&'a self, image: &'a Image) -> BoxFuture<'a, Result<Deployed, BoxError>>;

    /// Removes what a resource pushed, where no foreign tag points to it. What is not there is
    /// removed already.
    fn remove<'a>(&'a self, pushed: &'a PushedImage) -> BoxFuture<'a, Result<(), BoxError>>;
}

/// What a resource left in a repository, as far as its properties and its physical ID tell.
#[derive(Clone, Debug)]
pub struct PushedImage {
    /// The repository.
    pub repository: Repository,
    /// Digest of the manifest or index.
    pub digest: Digest,
    /// The resource's own tags.
    pub tags: Vec<crate::oci::Tag>,
    /// How the repository is reached.
    pub access: Access,
}
