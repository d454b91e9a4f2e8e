//! `Custom::CDKECRDeployment`: the resource of the construct `cdk-ecr-deployment`, with its
//! properties and its meaning, so that its stacks need no change.
//!
//! The source is an image, or an archive whose selector stands after a colon. Of an index it
//! takes one platform, of Linux, unless it is told to take all. A physical ID is kept for good,
//! and Delete has no effect.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use serde::Deserialize;

use super::done::Done;
use super::ecr_image::{attributes, bring};
use super::error::Failure;
use super::invalid_properties::{InvalidProperties, Properties};
use super::property::{Property, optional, required};
use super::reader::Reader;
use super::request::Request;
use crate::copy::Meter;
use crate::deploy::{Access, Credentials, Deploy, Image, Location, S3Location, Target};
use crate::oci::{Platform, Reference, Tag};

/// The architecture that is taken of an index where none is named.
const DEFAULT_ARCHITECTURE: &str = "amd64";
/// Most attempts of one request, however many the resource asks for.
const MAX_ATTEMPTS: usize = 20;
/// Attempts of one request that every deployment has, whatever the resource asks for: there, the
/// number is of whole copies.
const LEAST_ATTEMPTS: usize = 5;

/// The properties of `Custom::CDKECRDeployment`.
pub const PROPERTIES: &[Property] = &[
    required(
        "SrcImage",
        "string",
        "`docker://<image>`, or `s3://bucket/key[:<name of the image in the archive>]`.",
    ),
    required(
        "DestImage",
        "string",
        "`docker://<registry>/<repository>[:tag]`. The tag is `latest` where there is none.",
    ),
    optional(
        "SrcCreds",
        "string",
        "none",
        "`user:password`, or the ARN or name of a secret in Secrets Manager.",
    ),
    optional(
        "DestCreds",
        "string",
        "none",
        "The same for the destination.",
    ),
    optional(
        "ImageArch",
        "string",
        "`amd64`",
        "The architecture that is taken of an index.",
    ),
    optional(
        "CopyImageIndex",
        "boolean",
        "`false`",
        "Whether an index is copied whole.",
    ),
    optional(
        "ArchImageTags",
        "JSON map of architectures to tags",
        "none",
        "Tags for single architectures of an index that is copied whole.",
    ),
    optional(
        "RetryConfigs",
        "JSON map of `numAttempts`, `baseDelay` and `maxDelay`",
        "a few attempts of each request",
        "How often is tried again. Requests are repeated, never a whole copy, and the delays are \
         those that a registry asks for.",
    ),
];

/// Create and Update.
pub(super) async fn put(
    deploy: &dyn Deploy,
    request: &Request,
    meter: &Arc<Meter>,
) -> Result<Done, Failure> {
    let read = read(request.readable()?).map_err(|problems| request.invalid(problems))?;
    let image = Image {
        resume: request.continuation.checkpoint.clone(),
        ..read
    };
    let deployed = bring(deploy, &image, meter).await?;
    let physical_resource_id = match request.physical_resource_id.as_str() {
        "" => format!("cdk-ecr-deployment/{}", request.request_id),
        kept => kept.to_owned(),
    };
    Ok(Done {
        physical_resource_id,
        attributes: attributes(&deployed),
    })
}

fn read(properties: &Properties) -> Result<Image, InvalidProperties> {
    let mut reader = Reader::lenient(properties, PROPERTIES);
    let source = source(&mut reader);
    let destination = destination(&mut reader);
    let whole_index = reader.choice("CopyImageIndex", BOOLEANS) == Some(true);
    let platform = platform(&mut reader);
    let platform_tags = platform_tags(&mut reader, whole_index);
    let retry = retry(&mut reader);
    let source_access = access(&mut reader, "SrcCreds");
    let destination_access = access(&mut reader, "DestCreds");
    let image = source.zip(destination).map(|(source, destination)| Image {
        targets: vec![Target {
            access: destination_access,
            ..Target::of(&destination)
        }],
        platforms: platform.filter(|_| !whole_index).map(|one| vec![one]),
        platform_tags,
        platforms_of_index_only: true,
        source_access,
        retry,
        ..Image::new(source, destination.repository().clone())
    });
    reader.finish(image)
}

const BOOLEANS: &[(&str, bool)] = &[("true", true), ("false", false)];

fn source(reader: &mut Reader<'_>) -> Option<Location> {
    let text = reader.text("SrcImage")?;
    let Some(rest) = text.strip_prefix("s3://") else {
        return reader.parse_text("SrcImage", &text).map(Location::Registry);
    };
    // Nothing is escaped here; a key ends at its first colon.
    let (object, selector) = match rest.split_once(':') {
        Some((object, selector)) => (object, Some(selector.to_owned())),
        None => (rest, None),
    };
    match object.split_once('/') {
        Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() => {
            Some(Location::S3(S3Location {
                bucket: bucket.to_owned(),
                key: key.to_owned(),
                version_id: None,
                selector,
            }))
        }
        _ => {
            let why = format_args!("{text:?} names no object: expected s3://bucket/key");
            reader.problem("SrcImage", why);
            None
        }
    }
}

fn destination(reader: &mut Reader<'_>) -> Option<Reference> {
    let destination: Reference = reader.parse("DestImage")?;
    if destination.digest().is_some() {
        reader.problem(
            "DestImage",
            "the digest is that of the source and cannot be chosen",
        );
        return None;
    }
    if destination.tag().is_some() {
        return Some(destination);
    }
    let latest: Tag = reader.parse_text("DestImage", "latest")?;
    Some(destination.repository().tagged(&latest))
}

fn platform(reader: &mut Reader<'_>) -> Option<Platform> {
    let architecture = reader.text("ImageArch");
    let architecture = architecture.as_deref().unwrap_or(DEFAULT_ARCHITECTURE);
    linux(reader, "ImageArch", architecture)
}

fn linux(reader: &mut Reader<'_>, name: &str, architecture: &str) -> Option<Platform> {
    reader.parse_text(name, &format!("linux/{architecture}"))
}

fn platform_tags(reader: &mut Reader<'_>, whole_index: bool) -> Vec<(Platform, Tag)> {
    let tags: BTreeMap<String, String> = reader.json("ArchImageTags").unwrap_or_default();
    if !tags.is_empty() && !whole_index {
        reader.problem("ArchImageTags", "it needs CopyImageIndex to be true");
    }
    let mut read = Vec::new();
    for (architecture, tag) in &tags {
        let platform = linux(reader, "ArchImageTags", architecture);
        let tag = reader.parse_text("ArchImageTags", tag);
        read.extend(platform.zip(tag));
    }
    read
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct RetryConfigs {
    num_attempts: i64,
    base_delay: f64,
    max_delay: f64,
}

impl Default for RetryConfigs {
    fn default() -> Self {
        Self {
            num_attempts: 1,
            base_delay: 1.0,
            max_delay: 1.0,
        }
    }
}

fn retry(reader: &mut Reader<'_>) -> Option<NonZeroUsize> {
    let configs: RetryConfigs = reader.json("RetryConfigs")?;
    if configs.num_attempts < 1 {
        reader.problem("RetryConfigs", "numAttempts cannot be less than 1");
    }
    if configs.base_delay <= 0.0 || configs.max_delay < configs.base_delay {
        reader.problem(
            "RetryConfigs",
            "expected a baseDelay above 0 and a maxDelay that is not below it",
        );
    }
    let attempts = usize::try_from(configs.num_attempts).unwrap_or(MAX_ATTEMPTS);
    NonZeroUsize::new(attempts.clamp(LEAST_ATTEMPTS, MAX_ATTEMPTS))
}

/// `user:password`, or the ARN or name of a secret.
fn access(reader: &mut Reader<'_>, name: &str) -> Access {
    let credentials = reader.text(name).map(|text| match text.split_once(':') {
        Some((username, password)) if !text.starts_with("arn:aws") => {
            Credentials::basic(username, password)
        }
        _ => Credentials::Stored(text),
    });
    Access {
        credentials,
        role: None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const DESTINATION: &str = "docker://123456789012.dkr.ecr.eu-west-1.amazonaws.com/app";

    fn with(more: Value) -> Result<Image, InvalidProperties> {
        let mut properties = Properties::new();
        properties.insert("SrcImage".to_owned(), "docker://nginx:1.27".into());
        properties.insert("DestImage".to_owned(), format!("{DESTINATION}:v1").into());
        if let Value::Object(more) = more {
            properties.extend(more);
        }
        read(&properties)
    }

    fn platforms(image: &Image) -> Option<Vec<String>> {
        let platforms = image.platforms.as_ref()?;
        Some(platforms.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn one_platform_of_an_index_unless_all_are_asked_for() {
        let image = with(json!({"ServiceToken": "arn", "SomethingNew": "ignored"})).unwrap();
        assert_eq!(platforms(&image), Some(vec!["linux/amd64".to_owned()]));
        assert!(image.platforms_of_index_only);
        assert_eq!(image.targets[0].tags[0].as_str(), "v1");
        let arm = with(json!({"ImageArch": "arm64"})).unwrap();
        assert_eq!(platforms(&arm), Some(vec!["linux/arm64".to_owned()]));
        for value in [json!("true"), json!(true)] {
            let tags = json!(r#"{"amd64": "v1-amd64", "arm64": "v1-arm64"}"#);
            let all = with(json!({"CopyImageIndex": value, "ArchImageTags": tags})).unwrap();
            assert_eq!(platforms(&all), None);
            let tags: Vec<_> = all
                .platform_tags
                .iter()
                .map(|(platform, tag)| format!("{platform}={tag}"))
                .collect();
            assert_eq!(tags, ["linux/amd64=v1-amd64", "linux/arm64=v1-arm64"]);
        }
    }

    #[test]
    fn sources_are_images_and_archives() {
        for (text, source) in [
            ("docker://nginx:1.27", "docker.io/library/nginx:1.27"),
            ("s3://bucket/a%b#c?d.tar", "s3://bucket/a%b#c?d.tar"),
            (
                "s3://bucket/key.tar:nginx:latest",
                "s3://bucket/key.tar#nginx:latest",
            ),
            ("s3://bucket/key.tar:@1", "s3://bucket/key.tar#@1"),
        ] {
            let image = with(json!({"SrcImage": text})).unwrap();
            assert_eq!(image.source.to_string(), source);
        }
        let untagged = with(json!({"DestImage": DESTINATION})).unwrap();
        assert_eq!(untagged.targets[0].tags[0].as_str(), "latest");
    }

    #[test]
    fn credentials_are_text_or_a_secret() {
        let credentials = |text: &str| {
            let image = with(json!({"SrcCreds": text})).unwrap();
            image.source_access.credentials
        };
        let given = Credentials::basic("user", "pass:word");
        assert_eq!(credentials("user:pass:word"), Some(given));
        for name in [
            "name",
            "arn:aws:secretsmanager:us-west-2:000000000000:secret:id",
        ] {
            assert_eq!(
                credentials(name),
                Some(Credentials::Stored(name.to_owned()))
            );
        }
        assert_eq!(credentials(""), None);
        let shown = format!("{:?}", with(json!({"SrcCreds": "user:hidden"})));
        assert!(!shown.contains("hidden"), "{shown}");
    }

    #[test]
    fn retries_are_bounded() {
        let retry = |text: &str| with(json!({"RetryConfigs": text})).unwrap().retry;
        assert_eq!(
            retry(r#"{"numAttempts": 8, "baseDelay": 0.5}"#),
            NonZeroUsize::new(8)
        );
        assert_eq!(
            retry(r#"{"numAttempts": 1000}"#),
            NonZeroUsize::new(MAX_ATTEMPTS)
        );
        assert_eq!(
            retry(r#"{"numAttempts": 2}"#),
            NonZeroUsize::new(LEAST_ATTEMPTS)
        );
    }

    #[test]
    fn problems_are_named() {
        for (more, expected) in [
            (
                json!({"SrcImage": "s3://bucket"}),
                "SrcImage: \"s3://bucket\" names no object",
            ),
            (json!({"SrcImage": null}), "SrcImage is required"),
            (
                json!({"CopyImageIndex": "yes"}),
                "CopyImageIndex: expected true or false",
            ),
            (
                json!({"ArchImageTags": "{\"amd64\": \"a\"}"}),
                "it needs CopyImageIndex",
            ),
            (
                json!({"ArchImageTags": "amd64"}),
                "ArchImageTags: malformed JSON",
            ),
            (
                json!({"RetryConfigs": "{\"attempts\": 1}"}),
                "RetryConfigs: malformed JSON",
            ),
            (
                json!({"RetryConfigs": "{\"numAttempts\": 0}"}),
                "cannot be less than 1",
            ),
            (
                json!({"RetryConfigs": "{\"baseDelay\": 2}"}),
                "expected a baseDelay above 0",
            ),
        ] {
            let text = with(more).unwrap_err().to_string();
            assert!(text.contains(expected), "{expected} in {text}");
        }
    }
}
