//! The life of a `Custom::ECRImage`: what its properties and its physical ID mean on Create,
//! Update and Delete.

mod access;
mod attributes;
mod create_repository;
mod properties;
mod pull_access;
mod rollback;
mod table;
mod targets;

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::time::Instant;
use tracing::info;

use self::attributes::uris;
use self::properties::{Owned, Wish};
use self::pull_access::Parts;
use self::rollback::{Going, Return};
use super::done::Done;
use super::error::Failure;
use super::invalid_properties::Properties;
use super::request::{Action, Request};
use super::response::Attributes;
use crate::copy::Meter;
use crate::deploy::{
    Access, Credentials, Deploy, Deployed, Image, PushedImage, RemovalPolicy, Target,
};
use crate::oci::{Digest, Reference, Repository, Tag};

pub(super) use self::access::role;
pub(super) use self::attributes::attributes;
pub use create_repository::SETTINGS as CREATE_REPOSITORY;
pub use properties::image_of;
pub use table::PROPERTIES;
pub use targets::ITEM as DESTINATIONS;

/// Create and Update: the image is at its destination under its tags.
pub(super) async fn put(
    deploy: &dyn Deploy,
    request: &Request,
    meter: &Arc<Meter>,
    deadline: Instant,
) -> Result<Done, Failure> {
    let properties = request.readable()?;
    let read = properties::read(properties).map_err(|problems| request.invalid(problems));
    let Wish {
        image,
        listed,
        pull_access,
    } = read?;
    let mut image = of_request(image, request);
    let back = Return::begin(deploy, request, properties, &image.targets[0]).await;
    image.known.clone_from(&back.known);
    let deployed = bring(deploy, &image, meter).await?;
    let uri = deployed.uri();
    let old = (request.action == Action::Update).then(|| Owned::read(&request.old_properties));
    let is_replaced = request.physical_resource_id != uri;
    if let Some(old) = old.as_ref().filter(|_| is_replaced) {
        shared_with_old(request, &deployed, old)?;
    }
    let parts = Parts {
        request,
        image: &uri,
        targets: image.targets,
    };
    parts.put(deploy, pull_access.as_ref(), deadline).await?;
    back.end(deploy, request, properties, &deployed).await;
    if let Some(old) = old.filter(|_| !is_replaced) {
        let new = Owned::read(properties);
        leave(deploy, request, &deployed, (old, new), deadline).await?;
    }
    let mut attributes = attributes(&deployed);
    attributes.extend(uris(&deployed, listed));
    Ok(Done {
        physical_resource_id: uri,
        attributes,
    })
}

/// The image with what the request tells beside its properties.
fn of_request(image: Image, request: &Request) -> Image {
    let first = &image.targets[0].repository;
    Image {
        previous: previous(request, first),
        resume: request.continuation.checkpoint.clone(),
        source_access: image.source_access.for_purpose(&request.purpose()),
        targets: for_purpose(image.targets, request),
        ..image
    }
}

/// The targets, reached under names by which an auditor sees who took on their roles.
fn for_purpose(targets: Vec<Target>, request: &Request) -> Vec<Target> {
    let purpose = request.purpose();
    let named = targets.into_iter().map(|target| Target {
        access: target.access.for_purpose(&purpose),
        ..target
    });
    named.collect()
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
            destination: named(&image.targets),
            source,
        })
}

/// The repositories of targets, as the beginning of a sentence names them: room is for its causes.
fn named(targets: &[Target]) -> String {
    let first = targets.first().map(|first| first.repository.to_string());
    match (first, targets.len()) {
        (Some(first), 1) => first,
        (Some(first), many) => format!("{first} and {} more", many - 1),
        (None, _) => String::new(),
    }
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
    let none = Properties::new();
    let properties = request.properties.as_ref().unwrap_or(&none);
    let Some((first, digest)) = pushed(&request.physical_resource_id) else {
        return Ok(done);
    };
    let owned = Owned::read(properties);
    let removal = owned.removal;
    let parts = Parts {
        request,
        image: &request.physical_resource_id,
        targets: for_purpose(owned.targets_with(&first), request),
    };
    parts.delete(deploy, properties, deadline).await?;
    let at = called_by(&parts.targets, &first);
    let going = Going::begin(deploy, request, &digest, at, deadline).await;
    if removal == RemovalPolicy::Delete {
        remove(deploy, &parts.targets, &digest, &going.kept(&digest)).await?;
    }
    going.end(deploy).await;
    Ok(done)
}

/// The target by whose repository the resource is called.
fn called_by<'a>(targets: &'a [Target], repository: &Repository) -> &'a Target {
    let mut of_it = targets.iter();
    let found = of_it.find(|target| target.repository == *repository);
    found.unwrap_or(&targets[0])
}

/// Removes the image from all targets, but for what the images of `kept` need, and fails for the
/// first where that failed.
async fn remove(
    deploy: &dyn Deploy,
    targets: &[Target],
    digest: &Digest,
    kept: &[Digest],
) -> Result<(), Failure> {
    let mut result = Ok(());
    for target in targets {
        let pushed = PushedImage {
            repository: target.repository.clone(),
            digest: digest.clone(),
            tags: target.tags.clone(),
            kept: kept.to_vec(),
            access: target.access.clone(),
        };
        let removed = deploy.remove(&pushed).await;
        result = result.and(removed.map_err(|source| Failure::Remove {
            image: target.repository.at(digest).to_string(),
            source,
        }));
    }
    result
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

/// Takes the image from where an Update does not want it any more: tags, and whole repositories.
/// Those of an image that is replaced go with it, in the Delete that follows.
async fn leave(
    deploy: &dyn Deploy,
    request: &Request,
    deployed: &Deployed,
    (old, new): (Owned, Owned),
    deadline: Instant,
) -> Result<(), Failure> {
    let (mut left, mut kept) = (Vec::new(), Vec::new());
    for target in for_purpose(old.targets, request) {
        let mut targets = new.targets.iter();
        match targets.find(|new| new.repository == target.repository) {
            Some(new) => kept.push((target, new)),
            None => left.push(target),
        }
    }
    if new.removal == RemovalPolicy::Delete {
        for (old, new) in kept {
            drop_tags(deploy, request, deployed, &old, new).await?;
        }
        remove(deploy, &left, &deployed.digest, &[]).await?;
    }
    let parts = Parts {
        request,
        image: &request.physical_resource_id,
        targets: left,
    };
    parts
        .delete(deploy, &request.old_properties, deadline)
        .await
}

/// Removes the tags that a target has no more.
async fn drop_tags(
    deploy: &dyn Deploy,
    request: &Request,
    deployed: &Deployed,
    old: &Target,
    new: &Target,
) -> Result<(), Failure> {
    let mut dropped = old.tags.clone();
    dropped.retain(|tag| !new.tags.contains(tag));
    if dropped.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = dropped.iter().map(Tag::as_str).collect();
    let (image, tags) = (
        new.repository.at(&deployed.digest).to_string(),
        names.join(", "),
    );
    let pushed = PushedImage {
        repository: new.repository.clone(),
        digest: deployed.digest.clone(),
        tags: dropped,
        kept: Vec::new(),
        access: new.access.clone().for_purpose(&request.purpose()),
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

/// Fails where the Delete of what is replaced would take away what replaces it: the same image,
/// called by another repository, in a repository of both.
fn shared_with_old(request: &Request, deployed: &Deployed, old: &Owned) -> Result<(), Failure> {
    let same =
        pushed(&request.physical_resource_id).is_some_and(|(_, digest)| digest == deployed.digest);
    if !same || old.removal == RemovalPolicy::Retain {
        return Ok(());
    }
    let of_old = |repository: &Repository| {
        let mut old = old.targets.iter();
        old.any(|target| target.repository == *repository)
    };
    let mut places = deployed.places.iter();
    match places.find(|place| of_old(&place.repository)) {
        None => Ok(()),
        Some(place) => Err(Failure::Shared {
            repository: place.repository.to_string(),
            old: request.physical_resource_id.clone(),
            new: deployed.uri(),
        }),
    }
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
    let tags: BTreeSet<&Tag> = image
        .targets
        .iter()
        .flat_map(|target| &target.tags)
        .collect();
    info!(
        source = %image.source,
        destination = words(image.targets.iter().map(|target| target.repository.to_string()).collect()),
        tags = words(tags.iter().map(ToString::to_string).collect()),
        platforms = image.platforms.as_ref().map_or("all".to_owned(), |platforms| {
            words(platforms.iter().map(ToString::to_string).collect())
        }),
        source_access = names(&image.source_access),
        destination_access = words(image.targets.iter().map(|target| names(&target.access)).collect()),
        "deploying"
    );
}
