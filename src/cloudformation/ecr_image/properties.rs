//! The way in which the properties of `Custom::ECRImage` become an [`Image`].

use std::collections::BTreeSet;

use super::access::{DESTINATION, SOURCE, access};
use super::table::PROPERTIES;
use super::targets::{Targets, fit, targets};
use super::{create_repository, pull_access};
use crate::archive::Compression;
use crate::cloudformation::invalid_properties::{InvalidProperties, Properties};
use crate::cloudformation::reader::{Reader, scalar};
use crate::deploy::{Access, Attestations, Image, Location, Referrers, RemovalPolicy, Target};
use crate::oci::{Digest, Platform, Repository, Tag};
use crate::policy::Grants;

/// Most blobs that may be copied at once.
const MAX_CONCURRENCY: usize = 32;
/// Most attempts that one request may have.
const MAX_RETRY: usize = 20;

/// The properties of a `Custom::ECRImage`, read.
#[derive(Debug)]
pub(super) struct Wish {
    /// The image.
    pub(super) image: Image,
    /// The number of its targets, at the end, that are those of `Destinations`.
    pub(super) listed: usize,
    /// Who may pull it.
    pub(super) pull_access: Option<Grants>,
}

/// Reads the properties of a `Custom::ECRImage`.
pub(super) fn read(properties: &Properties) -> Result<Wish, InvalidProperties> {
    let mut reader = Reader::new(properties, PROPERTIES);
    let targets = targets(&mut reader);
    fit(&mut reader, &targets);
    wish(reader, targets)
}

/// Reads the properties of a `Custom::ECRImage` that no stack waits for: the image, and who may
/// pull it. It may have more destinations than CloudFormation's answer has room for.
pub fn image_of(properties: &Properties) -> Result<(Image, Option<Grants>), InvalidProperties> {
    let mut reader = Reader::new(properties, PROPERTIES);
    let targets = targets(&mut reader);
    let wish = wish(reader, targets)?;
    Ok((wish.image, wish.pull_access))
}

fn wish(mut reader: Reader<'_>, targets: Targets) -> Result<Wish, InvalidProperties> {
    let Targets { all, listed } = targets;
    let source = source(&mut reader);
    let platforms = platforms(&mut reader);
    let platform_tags = platform_tags(&mut reader, &all);
    let attestations = reader.choice("Attestations", ATTESTATIONS);
    let referrers = reader.choice("Referrers", REFERRERS);
    let compression: Option<Compression> = reader.parse("Compression");
    let source_access = access(&mut reader, &SOURCE);
    let removal = reader.choice("RemovalPolicy", REMOVAL);
    let max_concurrency = reader.number("MaxConcurrency", 1..=MAX_CONCURRENCY);
    let retry = reader.number("Retry", 1..=MAX_RETRY);
    let reuse_from = reader.parse_list("ReuseFrom");
    let create_repository = create_repository::read(&mut reader, &all);
    let pull_access = pull_access::read(&mut reader, &all);
    let first = all.first().map(|target| target.repository.clone());
    let image = source.zip(first).map(|(source, first)| Image {
        targets: all,
        create_repository,
        platforms,
        platform_tags,
        attestations: attestations.unwrap_or_default(),
        referrers: referrers.unwrap_or_default(),
        compression: compression.unwrap_or_default(),
        source_access,
        removal: removal.unwrap_or_default(),
        max_concurrency,
        retry,
        reuse_from,
        ..Image::new(source, first)
    });
    reader.finish(image.map(|image| Wish {
        image,
        listed,
        pull_access,
    }))
}

/// Returns true if both properties mean the same content of the same source.
pub(super) fn same_content(a: &Properties, b: &Properties) -> bool {
    let mut deciding = deciding_content();
    deciding.all(|name| a.get(name) == b.get(name))
}

/// The names of the properties that decide which image a source gives.
fn deciding_content() -> impl Iterator<Item = &'static str> {
    let deciding = PROPERTIES
        .iter()
        .filter(|property| property.decides_content);
    deciding.map(|property| property.name)
}

/// A digest of what decides the content: two that mean the same content have the same.
pub(super) fn content(properties: &Properties) -> Digest {
    let values: Vec<_> = deciding_content()
        .map(|name| properties.get(name))
        .collect();
    Digest::sha256(serde_json::json!(values).to_string().as_bytes())
}

/// What properties that may be malformed say about what is the resource's own: where it is and
/// under which tags, how that is reached, and whether it goes with the resource. What cannot be
/// read is not the resource's own, so it stays.
pub(super) struct Owned {
    pub(super) removal: RemovalPolicy,
    /// The tags are those of single platforms too.
    pub(super) targets: Vec<Target>,
    /// What is said about a `Destination` that cannot be read itself.
    rest: (Vec<Tag>, Access),
}

impl Owned {
    pub(super) fn read(properties: &Properties) -> Self {
        let mut reader = Reader::new(properties, PROPERTIES);
        let removal = reader.choice("RemovalPolicy", REMOVAL).unwrap_or_default();
        let mut owned = Self {
            removal,
            targets: targets(&mut reader).all,
            rest: (reader.parse_list("Tags"), access(&mut reader, &DESTINATION)),
        };
        let of_platforms = properties
            .get("PlatformTags")
            .and_then(|map| map.as_object());
        let of_platforms = of_platforms.into_iter().flat_map(|map| map.values());
        for tag in of_platforms.filter_map(|tag| scalar(tag)?.parse::<Tag>().ok()) {
            let tags = owned.targets.iter_mut().map(|target| &mut target.tags);
            for tags in tags.chain([&mut owned.rest.0]) {
                tags.push(tag.clone());
            }
        }
        owned
    }

    /// What is owned of an image that is called by `repository`: there at least.
    pub(super) fn targets_with(mut self, repository: &Repository) -> Vec<Target> {
        let mut known = self.targets.iter();
        if !known.any(|target| target.repository == *repository) {
            let (tags, access) = self.rest;
            let repository = repository.clone();
            self.targets.push(Target {
                repository,
                tags,
                access,
            });
        }
        self.targets
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

fn platform_tags(reader: &mut Reader<'_>, targets: &[Target]) -> Vec<(Platform, Tag)> {
    let tags: BTreeSet<&Tag> = targets.iter().flat_map(|target| &target.tags).collect();
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::deploy::Credentials;

    const REPOSITORY: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app";

    fn with(more: Value) -> Properties {
        let mut properties = json!({"Source": "nginx:1.27", "Destination": REPOSITORY});
        let (Value::Object(base), Value::Object(more)) = (&mut properties, more) else {
            panic!("no objects")
        };
        base.extend(more);
        std::mem::take(base)
    }

    fn image(more: Value) -> Image {
        read(&with(more)).unwrap().image
    }

    fn problem(more: Value) -> String {
        read(&with(more)).unwrap_err().to_string()
    }

    #[test]
    fn every_property_is_read() {
        let arn = "arn:aws:iam::123456789012:role/images";
        let secret = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:login-AbCdEf";
        let image = image(json!({
            "ServiceToken": "arn:aws:lambda:eu-west-1:123456789012:function:f",
            "ServiceTimeout": "1200",
            "Source": "s3://bucket/key.tar?versionId=7#app:1",
            "Destination": format!("docker://{REPOSITORY}:v1"),
            "Tags": ["v1", "v2", "v2"],
            "Platforms": "linux/amd64, linux/arm64",
            "PlatformTags": {"linux/arm64": "v1-arm64"},
            "Attestations": "drop",
            "Referrers": "copy",
            "Compression": "zstd",
            "SourceCredentials": secret,
            "DestinationCredentials": "team/login",
            "SourceRoleArn": arn,
            "SourceExternalId": "id",
            "DestinationRoleArn": arn,
            "RemovalPolicy": "Delete",
            "Refresh": 7,
            "MaxConcurrency": 4,
            "Retry": "9",
        }));
        let Location::S3(source) = &image.source else {
            panic!("{}", image.source)
        };
        assert_eq!(source.selector.as_deref(), Some("app:1"));
        assert_eq!(image.targets[0].repository.to_string(), REPOSITORY);
        let tags: Vec<_> = image.targets[0].tags.iter().map(Tag::as_str).collect();
        assert_eq!(tags, ["v1", "v2"]);
        let platforms: Vec<_> = image
            .platforms
            .iter()
            .flatten()
            .map(ToString::to_string)
            .collect();
        assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
        let (platform, tag) = &image.platform_tags[0];
        assert_eq!(
            (platform.to_string().as_str(), tag.as_str()),
            ("linux/arm64", "v1-arm64")
        );
        assert_eq!(image.attestations, Attestations::Drop);
        assert_eq!(image.referrers, Referrers::Copy);
        assert_eq!(image.compression, Compression::Zstd);
        assert_eq!(image.removal, RemovalPolicy::Delete);
        let stored = |name: &str| Some(Credentials::Stored(name.to_owned()));
        assert_eq!(image.source_access.credentials, stored(secret));
        assert_eq!(
            image.source_access.role.unwrap().external_id.as_deref(),
            Some("id")
        );
        let access = &image.targets[0].access;
        assert_eq!(access.credentials, stored("team/login"));
        assert_eq!(access.role.as_ref().unwrap().external_id, None);
        assert_eq!(image.max_concurrency.map(usize::from), Some(4));
        assert_eq!(image.retry.map(usize::from), Some(9));
    }

    #[test]
    fn what_is_absent_or_empty_has_its_default() {
        let empty = json!({"Tags": "", "Platforms": "", "Compression": "", "SourceRoleArn": null});
        for more in [
            json!({}),
            empty,
            json!({"Platforms": "All"}),
            json!({"Platforms": ["all"]}),
            // What it once was called where it was to be fast.
            json!({"Compression": "gzip-fast"}),
        ] {
            let image = image(more);
            assert!(image.targets[0].tags.is_empty() && image.platforms.is_none());
            assert_eq!(image.compression, Compression::Gzip);
            assert_eq!(image.removal, RemovalPolicy::Retain);
            assert_eq!(image.source_access, Access::default());
        }
    }

    #[test]
    fn every_problem_names_its_property_and_says_what_is_expected() {
        for (more, expected) in [
            (json!({"Source": ""}), "Source is required"),
            (
                json!({"Source": "oci:folder"}),
                "Source: a file cannot be the source of a resource",
            ),
            (
                json!({"Source": "s3://bucket"}),
                "Source: \"s3://bucket\" names no object",
            ),
            (
                json!({"Destination": format!("{REPOSITORY}@sha256:{}", "0".repeat(64))}),
                "Destination: the digest is that of the source",
            ),
            (
                json!({"Destination": "app:v1"}),
                "Destination: \"app:v1\" names no registry",
            ),
            (
                json!({"Destination": "team/docker.app:v1"}),
                "Destination: \"team/docker.app:v1\" names no registry",
            ),
            (
                json!({"Destination": "s3://b/k"}),
                "Destination: unknown scheme \"s3\"",
            ),
            (json!({"Tags": ["-x"]}), "Tags: malformed tag \"-x\""),
            (json!({"Platforms": []}), "Platforms: the list is empty"),
            (
                json!({"Platforms": ["amd64"]}),
                "Platforms: \"amd64\" is no platform",
            ),
            (
                json!({"Platforms": ["all", "linux/amd64"]}),
                "Platforms: \"all\" is no platform",
            ),
            (
                json!({"PlatformTags": "x"}),
                "PlatformTags: expected a map of texts, got a text",
            ),
            (
                json!({"PlatformTags": {"linux/arm64": "a"}, "Tags": ["a"]}),
                "PlatformTags: the tag a is given to more than one image",
            ),
            (
                json!({"Attestations": "x"}),
                "Attestations: expected keep or drop, got \"x\"",
            ),
            (
                json!({"Compression": "xz"}),
                "Compression: \"xz\" is no compression",
            ),
            (
                json!({"MaxConcurrency": 0}),
                "MaxConcurrency: expected a whole number from 1 to 32",
            ),
            (
                json!({"Retry": -1}),
                "Retry: expected a whole number from 1 to 20, got \"-1\"",
            ),
            (
                json!({"SourceExternalId": "x"}),
                "SourceExternalId: it needs SourceRoleArn",
            ),
            (
                json!({"SourceRoleArn": "role"}),
                "SourceRoleArn: expected arn:aws:iam::",
            ),
            (
                json!({"Tag": "a"}),
                "unknown property \"Tag\": did you mean Tags?",
            ),
            (json!({"platforms": "all"}), "did you mean Platforms?"),
            (
                json!({"Zzz": "a"}),
                "unknown property \"Zzz\": expected Source, Destination",
            ),
        ] {
            let text = problem(more);
            assert!(text.contains(expected), "{expected} in {text}");
        }
        let many: Vec<String> = (0..=1000).map(|n| format!("t{n}")).collect();
        assert!(problem(json!({"Tags": many})).contains("expected at most 1000 tags"));
    }

    #[test]
    fn docker_hub_is_a_destination_that_is_named() {
        for name in ["docker.io/team/app", "docker://index.docker.io/team/app:1"] {
            let image = image(json!({"Destination": name}));
            let repository = image.targets[0].repository.to_string();
            assert_eq!(repository, "docker.io/team/app");
        }
    }

    #[test]
    fn credentials_themselves_are_refused_and_not_shown() {
        for text in ["user:hidden", "user hidden", "{\"password\": \"hidden\"}"] {
            let text = problem(json!({"SourceCredentials": text}));
            assert!(
                text.starts_with("SourceCredentials: expected the ARN or the name"),
                "{text}"
            );
            assert!(!text.contains("hidden"), "{text}");
        }
    }

    #[test]
    fn the_table_has_each_name_once_and_says_what_it_means() {
        let names: BTreeSet<_> = PROPERTIES.iter().map(|property| property.name).collect();
        assert_eq!(names.len(), PROPERTIES.len());
        let deciding: Vec<_> = deciding_content().collect();
        let expected = [
            "Source",
            "Platforms",
            "Attestations",
            "Compression",
            "Refresh",
        ];
        assert_eq!(deciding, expected, "their order is part of noted digests");
        assert!(
            PROPERTIES
                .iter()
                .all(|property| property.doc.ends_with('.'))
        );
    }
}
