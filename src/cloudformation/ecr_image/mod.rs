//! The life of a `Custom::ECRImage`: what its properties and its physical ID mean on Create,
//! Update and Delete.

mod access;
mod attributes;
mod properties;
mod pull_access;
mod rollback;
mod table;

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::time::Instant;
use tracing::info;

use self::properties::Owned;
use self::pull_access::Part;
use self::rollback::{Going, Return};
use super::error::Failure;
use super::request::{Action, Properties, Request};
use super::resource::Done;
use super::response::Attributes;
use crate::copy::Meter;
use crate::deploy::{Access, Credentials, Deploy, Deployed, Image, PushedImage, RemovalPolicy};
use crate::oci::{Digest, Reference, Repository, Tag};

pub(super) use self::access::role;
pub(super) use self::attributes::attributes;
pub use table::PROPERTIES;

/// Create and Update: the image is at its destination under its tags.
pub(super) async fn put(
    deploy: &dyn Deploy,
    request: &Request,
    meter: &Arc<Meter>,
    deadline: Instant,
) -> Result<Done, Failure> {
    let properties = request.readable()?;
    let read = properties::read(properties).map_err(|problems| request.invalid(problems));
    let (read, pull_access) = read?;
    let purpose = request.purpose();
    let access = read.destination_access.clone().for_purpose(&purpose);
    let destination = (&read.destination, &access);
    let back = Return::begin(deploy, request, properties, destination).await;
    let image = Image {
        known: back.known.clone(),
        previous: previous(request, &read.destination),
        resume: request.continuation.checkpoint.clone(),
        source_access: read.source_access.clone().for_purpose(&purpose),
        destination_access: access,
        ..read
    };
    let deployed = bring(deploy, &image, meter).await?;
    if request.action == Action::Update {
        drop_tags(deploy, request, properties, &deployed).await?;
    }
    let part = Part {
        request,
        image: deployed.uri(),
        repository: deployed.repository.clone(),
        access: image.destination_access,
    };
    part.put(deploy, pull_access.as_ref(), deadline).await?;
    back.end(deploy, request, properties, &deployed).await;
    Ok(Done {
        physical_resource_id: deployed.uri(),
        attributes: attributes(&deployed),
    })
}

/// Deploys an image, whichever resource asks for it.
pub(super) async fn bring(
    deploy: &dyn Deploy,
    image: &Image,
    meter: &Arc<Meter>,
) -> Result<Deployed, Failure> {
    log(image);
    deploy
        .deploy(image, meter)
        .await
        .map_err(|source| Failure::Deploy {
            image: image.source.to_string(),
            destination: image.destination.to_string(),
            source,
        })
}

/// Delete: the image goes if the resource says so. It never fails on malformed properties: what
/// they do not say stays.
pub(super) async fn delete(
    deploy: &dyn Deploy,
    request: &Request,
    deadline: Instant,
) -> Result<Done, Failure> {
    let done = Done {
        physical_resource_id: request.physical_resource_id.clone(),
        attributes: Attributes::new(),
    };
    let owned = Owned::read(request.properties.as_ref().unwrap_or(&Properties::new()));
    let Some((repository, digest)) = pushed(&request.physical_resource_id) else {
        return Ok(done);
    };
    let access = owned.access.for_purpose(&request.purpose());
    let part = Part {
        request,
        image: request.physical_resource_id.clone(),
        repository: repository.clone(),
        access: access.clone(),
    };
    part.delete(deploy, deadline).await?;
    let at = (&repository, &access);
    let going = Going::begin(deploy, request, &digest, at, deadline).await;
    if owned.removal == RemovalPolicy::Delete {
        let image = PushedImage {
            kept: going.kept(&digest),
            repository,
            digest,
            tags: owned.tags.into_iter().collect(),
            access,
        };
        deploy
            .remove(&image)
            .await
            .map_err(|source| Failure::Remove {
                image: request.physical_resource_id.clone(),
                source,
            })?;
    }
    going.end(deploy).await;
    Ok(done)
}

/// The repository and the digest that a physical ID names. IDs of failed Creates and of other
/// providers name none.
fn pushed(physical_resource_id: &str) -> Option<(Repository, Digest)> {
    let reference: Reference = physical_resource_id.parse().ok()?;
    let digest = reference.digest()?.clone();
    Some((reference.repository().clone(), digest))
}

/// The digest of what is updated, where it is in the same repository.
fn previous(request: &Request, destination: &Repository) -> Option<Digest> {
    let (repository, digest) = pushed(&request.physical_resource_id)?;
    (repository == *destination).then_some(digest)
}

/// Removes the tags that this Update takes from the image. Those of an image that is replaced go
/// with it, in the Delete that follows.
async fn drop_tags(
    deploy: &dyn Deploy,
    request: &Request,
    properties: &Properties,
    deployed: &Deployed,
) -> Result<(), Failure> {
    let old = Owned::read(&request.old_properties);
    let new = Owned::read(properties);
    let dropped: BTreeSet<Tag> = old.tags.difference(&new.tags).cloned().collect();
    let replaced = request.physical_resource_id != deployed.uri();
    if replaced || new.removal == RemovalPolicy::Retain || dropped.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = dropped.iter().map(Tag::as_str).collect();
    let (image, tags) = (deployed.uri(), names.join(", "));
    let pushed = PushedImage {
        repository: deployed.repository.clone(),
        digest: deployed.digest.clone(),
        tags: dropped.into_iter().collect(),
        kept: Vec::new(),
        access: new.access.for_purpose(&request.purpose()),
    };
    deploy
        .untag(&pushed)
        .await
        .map_err(|source| Failure::Untag {
            image,
            tags,
            source,
        })
}

/// What the log has of the properties: names of things, and of secrets only their names.
fn log(image: &Image) {
    let words = |words: Vec<String>| words.join(",");
    let names = |access: &Access| {
        let credentials = access.credentials.as_ref().map(|from| match from {
            Credentials::Stored(name) => name.clone(),
            Credentials::Given(_) => "[secret]".to_owned(),
        });
        let role = access.role.as_ref().map(|role| role.arn.clone());
        words(credentials.into_iter().chain(role).collect())
    };
    info!(
        source = %image.source,
        destination = %image.destination,
        tags = words(image.tags.iter().map(ToString::to_string).collect()),
        platforms = image.platforms.as_ref().map_or("all".to_owned(), |platforms| {
            words(platforms.iter().map(ToString::to_string).collect())
        }),
        source_access = names(&image.source_access),
        destination_access = names(&image.destination_access),
        "deploying"
    );
}
