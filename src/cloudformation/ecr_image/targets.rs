//! The place where the image goes: `Destination`, and `Destinations` beside it or in its place.

use std::collections::BTreeSet;

use serde_json::Value;

use super::access::{DESTINATION, Side, access};
use crate::cloudformation::property::{Property, optional, required};
use crate::cloudformation::reader::{Reader, scalar};
use crate::deploy::{Access, Target};
use crate::oci::{Reference, Repository, Tag};

/// How many tags ECR lets an image have
/// ([quotas](https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html)).
pub(super) const MAX_TAGS: usize = 1000;
/// Room for the URIs of `Destinations` in an answer, in bytes of JSON. CloudFormation takes 4096
/// in all, and an URI that is cut is worse than none.
const MAX_URIS: usize = 2400;

/// The attributes with the URIs of `Destinations`, which may have as many items.
pub(super) const IMAGE_URIS: [&str; 16] = [
    "Destinations.0.ImageUri",
    "Destinations.1.ImageUri",
    "Destinations.2.ImageUri",
    "Destinations.3.ImageUri",
    "Destinations.4.ImageUri",
    "Destinations.5.ImageUri",
    "Destinations.6.ImageUri",
    "Destinations.7.ImageUri",
    "Destinations.8.ImageUri",
    "Destinations.9.ImageUri",
    "Destinations.10.ImageUri",
    "Destinations.11.ImageUri",
    "Destinations.12.ImageUri",
    "Destinations.13.ImageUri",
    "Destinations.14.ImageUri",
    "Destinations.15.ImageUri",
];

/// The members of a map in `Destinations`, in the order in which a reference shows them.
pub const ITEM: &[Property] = &[
    required(
        "Destination",
        "string",
        "`<registry>/<repository>[:tag]`, as in the property of that name.",
    ),
    optional(
        "Tags",
        "list of strings",
        "none",
        "More tags for the image there, beside the `Tags` of the resource.",
    ),
    optional(
        "RoleArn",
        "string",
        "the function's own role",
        "The role assumed for this destination.",
    ),
    optional(
        "ExternalId",
        "string",
        "none",
        "The external ID that the role asks for.",
    ),
    optional(
        "Credentials",
        "string",
        "none",
        "ARN or name of a secret in Secrets Manager, as in `DestinationCredentials`.",
    ),
];

const OF_ITEM: Side = Side {
    credentials: "Credentials",
    role: "RoleArn",
    external_id: "ExternalId",
};

/// The place where the image goes.
pub(super) struct Targets {
    /// That of `Destination`, if it is there, then those of `Destinations`. No repository twice.
    pub(super) all: Vec<Target>,
    /// The number of them, at the end, that are those of `Destinations`.
    pub(super) listed: usize,
}

/// Reads where the image goes, leaving out what cannot be read.
pub(super) fn targets(reader: &mut Reader<'_>) -> Targets {
    let shared: Vec<Tag> = reader.parse_list("Tags");
    let access = access(reader, &DESTINATION);
    let mut all = Vec::new();
    if let Some(text) = reader.text("Destination") {
        let destination = destination(reader, "Destination", &text);
        all.extend(destination.map(|destination| target(&destination, Vec::new(), access)));
    } else {
        misplaced(reader, &access);
    }
    let items: Vec<_> = reader.items("Destinations");
    if items.is_empty() && !reader.has("Destination") {
        reader.problem(
            "Destination",
            "it is required where there are no Destinations",
        );
    }
    let before = all.len();
    for (position, value) in items.into_iter().enumerate() {
        let path = format!("Destinations[{position}]");
        let Some(target) = item(reader, &path, value) else {
            continue;
        };
        let mut known = all.iter().map(|known: &Target| &known.repository);
        if known.any(|repository| *repository == target.repository) {
            let repository = &target.repository;
            reader.problem(
                &path,
                format_args!("{repository} is a destination already: give that one more Tags"),
            );
            continue;
        }
        all.push(target);
    }
    for target in &mut all {
        target.tags.extend(shared.iter().cloned());
        let mut seen = BTreeSet::new();
        target.tags.retain(|tag| seen.insert(tag.clone()));
        if target.tags.len() > MAX_TAGS {
            let many = target.tags.len();
            reader.problem(
                "Tags",
                format_args!("expected at most {MAX_TAGS} tags for an image, got {many}"),
            );
        }
    }
    let listed = all.len() - before;
    Targets { all, listed }
}

/// What says how `Destination` is reached has no meaning without it.
fn misplaced(reader: &mut Reader<'_>, access: &Access) {
    let given = [
        (access.role.is_some(), DESTINATION.role),
        (access.credentials.is_some(), DESTINATION.credentials),
    ];
    for (_, name) in given.into_iter().filter(|(given, _)| *given) {
        reader.problem(
            name,
            "it is for Destination; an item of Destinations has its own",
        );
    }
}

/// An item of `Destinations`: a map, or the destination alone.
fn item<'a>(reader: &mut Reader<'a>, path: &str, value: &'a Value) -> Option<Target> {
    if let Value::Object(map) = value {
        return reader.within(path, map, ITEM, |reader| {
            let tags = reader.parse_list("Tags");
            let access = access(reader, &OF_ITEM);
            let text = reader.text("Destination")?;
            let destination = destination(reader, "Destination", &text)?;
            Some(target(&destination, tags, access))
        });
    }
    let Some(text) = scalar(value) else {
        reader.problem(path, "expected a text or a map");
        return None;
    };
    let destination = destination(reader, path, &text)?;
    Some(target(&destination, Vec::new(), Access::default()))
}

fn target(destination: &Reference, tags: Vec<Tag>, access: Access) -> Target {
    let mut target = Target::of(destination);
    target.tags.extend(tags);
    target.access = access;
    target
}

fn destination(reader: &mut Reader<'_>, name: &str, text: &str) -> Option<Reference> {
    let destination: Reference = reader.parse_text(name, text)?;
    if destination.digest().is_some() {
        reader.problem(
            name,
            "the digest is that of the source and cannot be chosen: expected \
             <registry>/<repository>[:tag]",
        );
        return None;
    }
    let repository: &Repository = destination.repository();
    if repository.registry() == "docker.io" && !names_docker_hub(text) {
        reader.problem(
            name,
            format_args!(
                "{text:?} names no registry: expected \
                 <account>.dkr.ecr.<region>.amazonaws.com/<repository>[:tag]"
            ),
        );
        return None;
    }
    Some(destination)
}

/// Returns true if a text begins with a name of Docker Hub, which is meant where no registry is
/// named.
fn names_docker_hub(text: &str) -> bool {
    let text = text.strip_prefix("docker://").unwrap_or(text);
    let (host, _) = text.split_once('/').unwrap_or_default();
    let names = [
        "docker.io",
        "index.docker.io",
        "registry-1.docker.io",
        "registry.hub.docker.com",
    ];
    names.iter().any(|name| host.eq_ignore_ascii_case(name))
}

/// Checks that the URIs of `Destinations` fit into an answer, before anything is done.
pub(super) fn fit(reader: &mut Reader<'_>, targets: &Targets) {
    let listed = &targets.all[targets.all.len() - targets.listed..];
    if listed.len() > IMAGE_URIS.len() {
        let (most, many) = (IMAGE_URIS.len(), listed.len());
        reader.problem(
            "Destinations",
            format_args!("expected at most {most} destinations, got {many}"),
        );
    }
    let digest = "@sha256:".len() + 64;
    let named = IMAGE_URIS.iter().zip(listed);
    let sizes = named.map(|(name, target)| {
        let uri = target.repository.to_string().len() + digest;
        name.len() + uri + r#""":"","#.len()
    });
    let size: usize = sizes.sum();
    if size > MAX_URIS {
        reader.problem(
            "Destinations",
            format_args!(
                "their URIs take {size} bytes of CloudFormation's answer, which has room for \
                 {MAX_URIS}: expected fewer destinations, or two resources"
            ),
        );
    }
}
