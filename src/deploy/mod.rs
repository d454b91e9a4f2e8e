//! Composition: from what a resource or a command asks for to sources, destinations and the engine.

mod advice;
mod allowed;
mod delete;
mod deployer;
mod deployment;
mod error;
mod image;
mod kind;
mod location;
mod memo;
mod open;
mod permissions;
mod preview;
mod reach;
mod remove;
mod repository_name;
mod survey;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

pub use crate::archive::{Form, ImageFile, InvalidFile};
pub use crate::aws::{Encryption, Mutability, RepositorySettings};
use crate::content::BoxError;
use crate::copy::Meter;
use crate::oci::{Digest, Repository, Tag};
use crate::policy::Grants;

pub use advice::Advice;
pub use allowed::{AllowedRegistries, InvalidAllowedRegistries};
pub use delete::Deletion;
pub use deployer::Deployer;
pub use error::Error;
pub use image::{
    Access, Attestations, Credentials, Deployed, Image, Place, Referrers, RemovalPolicy, Role,
    Target,
};
pub use kind::Kind;
pub use location::{FileLocation, HttpsLocation, InvalidLocation, Location, S3Location};
pub use memo::{Gave, Memo, MemoPlace, is_own_tag};
pub use open::{Content, Opened};
pub use permissions::{Granted, PolicyPart};
pub use preview::{DestinationPreview, Preview};
pub use reach::{Reach, allowed_registries, registry_config, web_config};
pub use repository_name::{Home, InvalidRepository, arn_of, is_in_ecr, repository_named};
pub use survey::{Meaning, Survey};

/// The work that the handler of a resource needs. [`Deployer`] does it; tests put others in its
/// place.
pub trait Deploy: Send + Sync {
    /// Brings the image to its targets and counts what it does. Doing it again ends in the
    /// same state.
    ///
    /// Dropping the future stops the work; a tag never names something incomplete.
    fn deploy<'a>(
        &'a self,
        image: &'a Image,
        meter: &'a Arc<Meter>,
    ) -> BoxFuture<'a, Result<Deployed, BoxError>>;

    /// Removes those of the tags that still point to the image, and then the image itself unless
    /// a foreign tag points to it. What is not there is removed already.
    fn remove<'a>(&'a self, pushed: &'a PushedImage) -> BoxFuture<'a, Result<(), BoxError>>;

    /// Removes those of the tags that still point to the image; the image stays.
    fn untag<'a>(&'a self, pushed: &'a PushedImage) -> BoxFuture<'a, Result<(), BoxError>>;

    /// Returns the memo at `place`, an empty one where there is none.
    fn recall<'a>(&'a self, place: &'a MemoPlace) -> BoxFuture<'a, Result<Memo, BoxError>>;

    /// Notes it at `place`, instead of what was noted there.
    fn note<'a>(
        &'a self,
        place: &'a MemoPlace,
        memo: &'a Memo,
    ) -> BoxFuture<'a, Result<(), BoxError>>;

    /// Removes the memo. One that is not there is removed already.
    fn forget<'a>(&'a self, place: &'a MemoPlace) -> BoxFuture<'a, Result<(), BoxError>>;

    /// Makes the grants the owner's statements in the policy of a repository, by `deadline`. What
    /// others wrote into it stays, and nothing is written where it says so already.
    fn grant<'a>(
        &'a self,
        part: &'a PolicyPart,
        grants: &'a Grants,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Granted, BoxError>>;

    /// Removes the owner's statements from the policy of a repository, by `deadline`, and the
    /// policy where no others are left. What is not there is removed already.
    fn revoke<'a>(
        &'a self,
        part: &'a PolicyPart,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<(), BoxError>>;
}

/// The image that a resource left in a repository, as far as its properties and its physical ID
/// tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushedImage {
    /// The repository.
    pub repository: Repository,
    /// Digest of the manifest or index.
    pub digest: Digest,
    /// The resource's own tags, those of single platforms included.
    pub tags: Vec<Tag>,
    /// Images that the resource still needs, with all that they consist of.
    pub kept: Vec<Digest>,
    /// The way in which the repository is reached.
    pub access: Access,
}
