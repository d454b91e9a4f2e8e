//! The properties of `Custom::ECRImage`: the one table of what they are, and how they become a
//! [`deploy::Image`].

use std::collections::BTreeSet;

use super::reader::{InvalidProperties, Reader, list_of, scalar};
use super::request::Properties;
use crate::archive::Compression;
use crate::deploy::{Access, Attestations, Image, Location, Referrers, RemovalPolicy, Role};
use crate::oci::{Platform, Reference, Repository, Tag};

/// How many tags ECR lets an image have
/// ([quotas](https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html)).
const MAX_TAGS: usize = 1000;
/// Most blobs that may be copied at once.
const MAX_CONCURRENCY: usize = 32;
/// Most attempts that one request may have.
const MAX_RETRY: usize = 20;
/// Longest external ID that a trust policy can ask for.
const MAX_EXTERNAL_ID: usize = 1224;
/// Longest name or ARN of a secret.
const MAX_SECRET_NAME: usize = 2048;

/// A property that a resource takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Property {
    /// Its name in the template.
    pub name: &'static str,
    /// Whether a resource must have it.
    pub required: bool,
    /// What it is: `string`, `list of strings`, ….
    pub kind: &'static str,
    /// What its absence means.
    pub default: &'static str,
    /// What it means, in one or two sentences.
    pub doc: &'static str,
}

const fn required(name: &'static str, kind: &'static str, doc: &'static str) -> Property {
    Property {
        name,
        required: true,
        kind,
        default: "",
        doc,
    }
}

const fn optional(
    name: &'static str,
    kind: &'static str,
    default: &'static str,
    doc: &'static str,
) -> Property {
    Property {
        name,
        required: false,
        kind,
        default,
        doc,
    }
}

/// The properties of `Custom::ECRImage`, in the order in which a reference shows them.
pub const PROPERTIES: &[Property] = &[
    required(
        "Source",
        "string",
        "`s3://bucket/key` (an archive; optional `?versionId=…`, optional `#selector`) or an image \
         reference.",
    ),
    required(
        "Destination",
        "string",
        "`<registry>/<repository>[:tag]`. Without a tag and without `Tags` the image is pushed by \
         digest only.",
    ),
    optional(
        "Tags",
        "list of strings",
        "none",
        "More tags for the same image.",
    ),
    optional(
        "Platforms",
        "`all` or a list such as `[\"linux/amd64\"]`",
        "`all`",
        "`all` copies the source as it is, under its own digest. One platform is that image \
         itself; several are a new index with just these.",
    ),
    optional(
        "PlatformTags",
        "map of platforms to tags",
        "none",
        "Tags for single platforms of an index.",
    ),
    optional(
        "Attestations",
        "`keep` or `drop`",
        "`keep`",
        "What becomes of BuildKit's attestation manifests inside an index.",
    ),
    optional(
        "Referrers",
        "`none` or `copy`",
        "`none`",
        "What becomes of signatures, SBOMs and other manifests whose subject is the image.",
    ),
    optional(
        "Compression",
        "`gzip`, `gzip-fast`, `gzip-small`, `zstd` or `none`",
        "`gzip`",
        "How layers that an archive holds uncompressed are compressed. Compressed layers stay as \
         they are.",
    ),
    optional(
        "SourceCredentials",
        "string",
        "none",
        "ARN or name of a secret in Secrets Manager: `user:password`, or JSON with `username` and \
         `password`. ECR needs none.",
    ),
    optional(
        "DestinationCredentials",
        "string",
        "none",
        "The same for the destination.",
    ),
    optional(
        "SourceRoleArn",
        "string",
        "the function's own role",
        "The role assumed for the source.",
    ),
    optional(
        "SourceExternalId",
        "string",
        "none",
        "The external ID that the source's role asks for.",
    ),
    optional(
        "DestinationRoleArn",
        "string",
        "the function's own role",
        "The role assumed for the destination.",
    ),
    optional(
        "DestinationExternalId",
        "string",
        "none",
        "The external ID that the destination's role asks for.",
    ),
    optional(
        "RemovalPolicy",
        "`retain` or `delete`",
        "`retain`",
        "What becomes of the image on Delete or replacement. `delete` removes what this resource \
         pushed, unless a foreign tag points to it.",
    ),
    optional(
        "Refresh",
        "string",
        "none",
        "Any text. Changing it makes CloudFormation ask again, so that a moving tag is resolved \
         again.",
    ),
    optional(
        "MaxConcurrency",
        "number from 1 to 32",
        "fits the function's memory",
        "Blobs copied at once.",
    ),
    optional(
        "Retry",
        "number from 1 to 20",
        "a few",
        "Attempts of each request.",
    ),
    optional(
        "ServiceToken",
        "string",
        "",
        "CloudFormation's own: the function that provides the resource.",
    ),
    optional(
        "ServiceTimeout",
        "number from 1 to 3600",
        "3600",
        "CloudFormation's own: how many seconds it waits for an answer.",
    ),
];

/// The properties that decide which image a source gives. Where none of them differs between two
/// events, both mean the same content.
const CONTENT: &[&str] = &[
    "Source",
    "Platforms",
    "Attestations",
    "Compression",
    "Refresh",
];

/// Reads the properties of a `Custom::ECRImage`.
pub(super) fn read(properties: &Properties) -> Result<Image, InvalidProperties> {
    let mut reader = Reader::new(properties, PROPERTIES);
    let source = source(&mut reader);
    let destination = destination(&mut reader);
    let tags = tags(&mut reader, destination.as_ref());
    let platforms = platforms(&mut reader);
    let platform_tags = platform_tags(&mut reader, &tags);
    let attestations = reader.choice("Attestations", ATTESTATIONS);
    let referrers = reader.choice("Referrers", REFERRERS);
    let compression: Option<Compression> = reader.parse("Compression");
    let source_access = access(&mut reader, &SOURCE);
    let destination_access = access(&mut reader, &DESTINATION);
    let removal = reader.choice("RemovalPolicy", REMOVAL);
    let max_concurrency = reader.number("MaxConcurrency", 1..=MAX_CONCURRENCY);
    let retry = reader.number("Retry", 1..=MAX_RETRY);
    let image = source.zip(destination).map(|(source, destination)| Image {
        source,
        destination: destination.repository().clone(),
        tags,
        platforms,
        platform_tags,
        attestations: attestations.unwrap_or_default(),
        referrers: referrers.unwrap_or_default(),
        compression: compression.unwrap_or_default(),
        source_access,
        destination_access,
        removal: removal.unwrap_or_default(),
        max_concurrency,
        retry,
        known: None,
    });
    reader.finish(image)
}

/// Whether both properties mean the same content of the same source.
pub(super) fn same_content(a: &Properties, b: &Properties) -> bool {
    CONTENT.iter().all(|name| a.get(*name) == b.get(*name))
}

/// What properties that may be malformed say about what is the resource's own: its tags, how its
/// repository is reached, and whether it goes with the resource. What cannot be read is not the
/// resource's own, so it stays.
pub(super) struct Owned {
    pub(super) removal: RemovalPolicy,
    pub(super) tags: BTreeSet<Tag>,
    pub(super) access: Access,
}

impl Owned {
    pub(super) fn read(properties: &Properties) -> Self {
        let mut reader = Reader::new(properties, PROPERTIES);
        let removal = reader.choice("RemovalPolicy", REMOVAL).unwrap_or_default();
        let access = access(&mut reader, &DESTINATION);
        let destination: Option<Reference> = reader.parse("Destination");
        let own = destination.and_then(|destination| destination.tag().cloned());
        let list = properties.get("Tags").and_then(list_of).unwrap_or_default();
        let of_platforms = properties
            .get("PlatformTags")
            .and_then(|map| map.as_object());
        let texts = list.into_iter().chain(
            of_platforms
                .into_iter()
                .flat_map(|map| map.values())
                .filter_map(scalar),
        );
        Self {
            removal,
            tags: texts
                .filter_map(|tag| tag.parse().ok())
                .chain(own)
                .collect(),
            access,
        }
    }
}

const ATTESTATIONS: &[(&str, Attestations)] =
    &[("keep", Attestations::Keep), ("drop", Attestations::Drop)];
const REFERRERS: &[(&str, Referrers)] = &[("none", Referrers::None), ("copy", Referrers::Copy)];
const REMOVAL: &[(&str, RemovalPolicy)] = &[
    ("retain", RemovalPolicy::Retain),
    ("delete", RemovalPolicy::Delete),
];

fn source(reader: &mut Reader<'_>) -> Option<Location> {
    let location = reader.parse("Source")?;
    if let Location::File(_) | Location::Directory(_) = location {
        reader.problem(
            "Source",
            "a file cannot be the source of a resource: upload it to S3 and name it as \
             s3://bucket/key",
        );
        return None;
    }
    Some(location)
}

fn destination(reader: &mut Reader<'_>) -> Option<Reference> {
    let text = reader.text("Destination")?;
    let destination: Reference = reader.parse_text("Destination", &text)?;
    if destination.digest().is_some() {
        reader.problem(
            "Destination",
            "the digest is that of the source and cannot be chosen: expected \
             <registry>/<repository>[:tag]",
        );
        return None;
    }
    let repository: &Repository = destination.repository();
    if repository.registry() == "docker.io" && !text.contains("docker.") {
        reader.problem(
            "Destination",
            format_args!(
                "{text:?} names no registry: expected \
                 <account>.dkr.ecr.<region>.amazonaws.com/<repository>[:tag]"
            ),
        );
        return None;
    }
    Some(destination)
}

/// The tag of the destination and those of `Tags`, each once.
fn tags(reader: &mut Reader<'_>, destination: Option<&Reference>) -> Vec<Tag> {
    let own = destination.and_then(|destination| destination.tag().cloned());
    let mut seen = BTreeSet::new();
    let tags: Vec<Tag> = own
        .into_iter()
        .chain(reader.parse_list("Tags"))
        .filter(|tag| seen.insert(tag.clone()))
        .collect();
    if tags.len() > MAX_TAGS {
        reader.problem(
            "Tags",
            format_args!(
                "expected at most {MAX_TAGS} tags for an image, got {}",
                tags.len()
            ),
        );
    }
    tags
}

fn platforms(reader: &mut Reader<'_>) -> Option<Vec<Platform>> {
    if !reader.has("Platforms") {
        return None;
    }
    let words = reader.list("Platforms");
    if let [word] = words.as_slice()
        && word.eq_ignore_ascii_case("all")
    {
        return None;
    }
    let mut platforms = Vec::new();
    for word in &words {
        let platform = reader.parse_text("Platforms", word);
        platforms.extend(platform.filter(|platform| !platforms.contains(platform)));
    }
    if words.is_empty() {
        reader.problem(
            "Platforms",
            "the list is empty: expected all, or a list such as [\"linux/amd64\"]",
        );
    }
    Some(platforms)
}

fn platform_tags(reader: &mut Reader<'_>, tags: &[Tag]) -> Vec<(Platform, Tag)> {
    let mut read: Vec<(Platform, Tag)> = Vec::new();
    for (platform, tag) in reader.map("PlatformTags") {
        let platform = reader.parse_text("PlatformTags", &platform);
        let tag: Option<Tag> = reader.parse_text("PlatformTags", &tag);
        let Some((platform, tag)) = platform.zip(tag) else {
            continue;
        };
        if tags.contains(&tag) || read.iter().any(|(_, other)| *other == tag) {
            reader.problem(
                "PlatformTags",
                format_args!("the tag {tag} is given to more than one image"),
            );
        }
        read.push((platform, tag));
    }
    read
}

/// The names of the properties that say how one side is reached.
struct Side {
    credentials: &'static str,
    role: &'static str,
    external_id: &'static str,
}

const SOURCE: Side = Side {
    credentials: "SourceCredentials",
    role: "SourceRoleArn",
    external_id: "SourceExternalId",
};
const DESTINATION: Side = Side {
    credentials: "DestinationCredentials",
    role: "DestinationRoleArn",
    external_id: "DestinationExternalId",
};

fn access(reader: &mut Reader<'_>, side: &Side) -> Access {
    Access {
        credentials: credentials(reader, side.credentials),
        role: role(reader, side),
    }
}

/// The name of a secret. What is no such name may be the secret itself and is not shown.
fn credentials(reader: &mut Reader<'_>, name: &str) -> Option<String> {
    let text = reader.text(name)?;
    let word = |c: char| c.is_ascii_alphanumeric() || "/_+=.@-".contains(c);
    let is_name = text.len() <= MAX_SECRET_NAME
        && (text.chars().all(word)
            || text.starts_with("arn:") && text.chars().all(|c| word(c) || c == ':'));
    if !is_name {
        reader.problem(
            name,
            "expected the ARN or the name of a secret in Secrets Manager, not the credentials \
             themselves",
        );
    }
    is_name.then_some(text)
}

fn role(reader: &mut Reader<'_>, side: &Side) -> Option<Role> {
    let arn = reader.text(side.role);
    let external_id = reader.text(side.external_id);
    let Some(arn) = arn else {
        if external_id.is_some() {
            let role = side.role;
            reader.problem(side.external_id, format_args!("it needs {role} beside it"));
        }
        return None;
    };
    if !is_role_arn(&arn) {
        reader.problem(
            side.role,
            format_args!("expected arn:aws:iam::<account>:role/<name>, got {arn:?}"),
        );
    }
    if external_id
        .as_ref()
        .is_some_and(|id| id.len() > MAX_EXTERNAL_ID)
    {
        reader.problem(
            side.external_id,
            format_args!("expected at most {MAX_EXTERNAL_ID} characters"),
        );
    }
    Some(Role {
        arn,
        external_id,
        purpose: String::new(),
    })
}

/// Whether `text` is a role's ARN, of whatever partition.
fn is_role_arn(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let ["arn", partition, "iam", "", account, resource] = parts.as_slice() else {
        return false;
    };
    partition.starts_with("aws")
        && account.len() == 12
        && account.bytes().all(|b| b.is_ascii_digit())
        && resource.len() > "role/".len()
        && resource.starts_with("role/")
}
