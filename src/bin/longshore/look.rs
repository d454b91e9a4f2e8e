//! `longshore tags` and `longshore digest`.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use longshore::archive::Compression;
use longshore::content::Source;
use longshore::copy::{Meter, Selection, select};
use longshore::deploy::{Access, Content, Location};
use longshore::oci::{Platform, RawManifest};
use serde_json::json;

use crate::access::check_stdin;
use crate::args::{DigestArgs, TagsArgs};
use crate::output;
use crate::place::Place;
use crate::stdin;

/// Prints the tags of a repository, each on a line.
pub(crate) async fn tags(args: TagsArgs) -> anyhow::Result<ExitCode> {
    let registries = [args.repository.registry()].into_iter().collect();
    let access = args.source_side.side().access(&registries)?;
    let place = Place::start(&args.place).await?;
    let tags = place.reach().tags(&args.repository, &access).await?;
    if args.json {
        let document = json!({"repository": args.repository.to_string(), "tags": tags});
        output::result(&format!("{document:#}"));
    } else {
        for tag in &tags {
            output::result(tag.as_str());
        }
    }
    place.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// Prints the digest of an image.
pub(crate) async fn digest(args: DigestArgs) -> anyhow::Result<ExitCode> {
    let side = args.source_side.side();
    check_stdin([&side], Some(&args.source))?;
    let access = side.reaching(&args.source)?;
    stdin::settle(&args.source).await?;
    let place = Place::start(&args.place).await?;
    if let Location::Registry(reference) = &args.source
        && args.platform.is_none()
        && !args.json
    {
        // Docker Hub counts manifests that are read, and not digests that are asked for.
        let digest = place.reach().digest(reference, &access).await?;
        output::result(&digest.to_string());
        place.stop().await;
        return Ok(ExitCode::SUCCESS);
    }
    let (root, source) = match open(&place, &args.source, &access).await? {
        Content::Stored { root, source } => (root, source),
        Content::Unbuilt(_) => bail!(
            "{} has no digest before it is pushed; `longshore inspect` shows its image ID",
            args.source
        ),
    };
    let root = of_platform(&*source, root, args.platform).await?;
    if args.json {
        let document = json!({
            "name": args.source.to_string(),
            "digest": root.digest(),
            "mediaType": root.media_type(),
            "size": root.bytes().len(),
        });
        output::result(&format!("{document:#}"));
    } else {
        output::result(&root.digest().to_string());
    }
    place.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// Opens an image to look at it.
pub(crate) async fn open(
    place: &Place,
    location: &Location,
    access: &Access,
) -> anyhow::Result<Content> {
    let meter = Arc::new(Meter::default());
    let opening = place
        .reach()
        .open(location, access, Compression::default(), &meter);
    let mut opened = opening.await?;
    opened.settle().await?;
    Ok(opened.content)
}

/// The image of one platform, or all of it.
pub(crate) async fn of_platform(
    source: &dyn Source,
    root: RawManifest,
    platform: Option<Platform>,
) -> anyhow::Result<RawManifest> {
    let Some(platform) = platform else {
        return Ok(root);
    };
    let wanted = Selection {
        platforms: Some(vec![platform]),
        ..Selection::default()
    };
    Ok(select(source, &root, &wanted).await?)
}
