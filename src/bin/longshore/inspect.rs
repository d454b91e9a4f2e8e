//! `longshore inspect`.

use std::process::ExitCode;

use anyhow::Context;
use bytes::Bytes;
use indicatif::HumanBytes;
use longshore::content::{Source, UnbuiltImage, collect};
use longshore::copy::describe;
use longshore::deploy::Content;
use longshore::oci::{Digest, ImageConfig, ImageManifest, Manifest, RawManifest};
use serde_json::{Value, json};

use crate::access::check_stdin;
use crate::args::InspectArgs;
use crate::place::Place;
use crate::stdin;
use crate::{look, output};

/// Largest config that is shown.
const MAX_CONFIG: u64 = 4 << 20;

pub(crate) async fn run(args: InspectArgs) -> anyhow::Result<ExitCode> {
    let side = args.source_side.clone().side();
    check_stdin([&side], Some(&args.source))?;
    let access = side.reaching(&args.source)?;
    stdin::settle(&args.source).await?;
    let place = Place::start(&args.place).await?;
    match look::open(&place, &args.source, &access).await? {
        Content::Stored { root, source } => {
            let root = look::of_platform(&*source, root, args.platform.clone()).await?;
            stored(&args, &root, &*source).await?;
        }
        Content::Unbuilt(image) => unbuilt(&args, &image)?,
    }
    place.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// Shows an image that has a manifest.
async fn stored(args: &InspectArgs, root: &RawManifest, source: &dyn Source) -> anyhow::Result<()> {
    if args.raw {
        output::bytes(root.bytes());
        return Ok(());
    }
    if args.config {
        output::bytes(&config_of(args, root, source).await?);
        return Ok(());
    }
    let description = describe(source, root).await?;
    let platforms: Vec<_> = description
        .platforms
        .iter()
        .map(ToString::to_string)
        .collect();
    if args.json {
        output::result(&format!(
            "{:#}",
            json!({
                "name": args.source.to_string(),
                "digest": root.digest(),
                "mediaType": root.media_type(),
                "size": description.size,
                "platforms": platforms,
                "missing": description.missing,
                "manifest": serde_json::from_slice::<Value>(root.bytes())?,
                "config": config(root, source).await?,
            })
        ));
        return Ok(());
    }
    field("name", &args.source);
    field("digest", root.digest());
    field("media type", root.media_type());
    field("size", HumanBytes(description.size));
    field("platforms", platforms.join(", "));
    let parsed = root.parse()?;
    let (kind, blobs) = match &parsed {
        Manifest::Image(image) => {
            field("config", &image.config.digest);
            ("layer", image.layers.as_slice())
        }
        Manifest::Index(_) => ("layer", [].as_slice()),
        Manifest::Other(other) => ("blob", other.blobs.as_slice()),
    };
    for blob in blobs {
        let size = HumanBytes(blob.size);
        field(
            kind,
            format_args!("{} {size} {}", blob.digest, blob.media_type),
        );
    }
    for entry in parsed.entries() {
        let platform = entry.platform.as_ref().map(ToString::to_string);
        let what = platform.unwrap_or_else(|| entry.media_type.to_string());
        field("manifest", format_args!("{} {what}", entry.digest));
    }
    for entry in &description.missing {
        let kind = if entry.is_attestation() {
            "attestation"
        } else {
            "manifest"
        };
        field("missing", format_args!("{} {kind}", entry.digest));
    }
    Ok(())
}

/// The config of a single image. An index, and an artifact whose config is no JSON, have none.
async fn config(root: &RawManifest, source: &dyn Source) -> anyhow::Result<Option<Value>> {
    let Manifest::Image(image) = root.parse()? else {
        return Ok(None);
    };
    let bytes = config_bytes(&image, source).await?;
    Ok(serde_json::from_slice(&bytes).ok())
}

/// The bytes of the config of a single image, which an index has for each platform.
async fn config_of(
    args: &InspectArgs,
    root: &RawManifest,
    source: &dyn Source,
) -> anyhow::Result<Bytes> {
    if let Manifest::Image(image) = root.parse()? {
        return config_bytes(&image, source).await;
    }
    let platforms = describe(source, root).await?.platforms;
    let platforms: Vec<_> = platforms.iter().map(ToString::to_string).collect();
    anyhow::bail!(
        "{} has a config for each platform: choose one with --platform; there is {}",
        args.source,
        platforms.join(", ")
    )
}

async fn config_bytes(image: &ImageManifest, source: &dyn Source) -> anyhow::Result<Bytes> {
    let stream = source.blob(&image.config).open(0).await?;
    let bytes = collect(stream, MAX_CONFIG).await;
    bytes.context("cannot read the config")
}

/// Shows an image of an archive that gets its manifest when it is pushed.
fn unbuilt(args: &InspectArgs, image: &UnbuiltImage) -> anyhow::Result<()> {
    let config: ImageConfig = serde_json::from_slice(&image.config).context("malformed config")?;
    let id = Digest::sha256(&image.config);
    if args.raw {
        anyhow::bail!(
            "{} has no manifest: one is built when it is pushed",
            args.source
        );
    }
    if let Some(wanted) = &args.platform
        && !wanted.matches(&config.platform)
    {
        anyhow::bail!(
            "{} has no image for {wanted}; it has one for {}",
            args.source,
            config.platform
        );
    }
    if args.config {
        output::bytes(&image.config);
        return Ok(());
    }
    if args.json {
        let diff_ids: Vec<_> = image.layers.iter().map(|layer| &layer.diff_id).collect();
        let document = json!({
            "name": args.source.to_string(),
            "imageId": id,
            "tags": image.tags,
            "platforms": [config.platform.to_string()],
            "diffIds": diff_ids,
            "config": serde_json::from_slice::<Value>(&image.config)?,
        });
        output::result(&format!("{document:#}"));
        return Ok(());
    }
    field("name", &args.source);
    field("image ID", id);
    field("tags", image.tags.join(", "));
    field("platforms", config.platform);
    for layer in &image.layers {
        field("diff ID", &layer.diff_id);
    }
    field("digest", "given when it is pushed");
    Ok(())
}

fn field(name: &str, value: impl std::fmt::Display) {
    output::result(&format!("{name:<11} {value}"));
}
