//! `longshore copy`.

use std::collections::HashSet;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use longshore::copy::{Meter, Report};
use longshore::deploy::{self, Deployed, Image, Target};
use longshore::oci::{Reference, Tag};
use serde_json::json;

use crate::args::{Attestations, CopyArgs, Referrers};
use crate::output;
use crate::place::Place;
use crate::progress::{Progress, moved};
use crate::stdin;

pub(crate) async fn run(args: CopyArgs) -> anyhow::Result<ExitCode> {
    let place = Place::start(&args.place).await?;
    let json = args.json;
    let image = image(args)?;
    stdin::settle(&image.source).await?;
    let meter = Arc::new(Meter::default());
    let progress = Progress::show(&meter, json);
    let deployed = place.deployer().run(&image, &meter).await?;
    drop(progress);
    show(&deployed, &meter.report(), json);
    place.stop().await;
    Ok(ExitCode::SUCCESS)
}

fn image(args: CopyArgs) -> anyhow::Result<Image> {
    let mut targets: Vec<Target> = Vec::new();
    for destination in args.destination.into_iter().chain(args.to) {
        let target = target(&destination, &args.tags)?;
        let mut known = targets.iter();
        if known.any(|known| known.repository == target.repository) {
            bail!(
                "{} is named twice: give its image more tags by --tag",
                target.repository
            );
        }
        targets.push(target);
    }
    let Some(first) = targets.first() else {
        bail!("no destination: give one, or --to");
    };
    let image = Image::new(args.source, first.repository.clone());
    Ok(Image {
        targets,
        create_repository: args
            .create_repository
            .then(deploy::RepositorySettings::default),
        platforms: (!args.platforms.is_empty()).then_some(args.platforms),
        platform_tags: args.platform_tags,
        attestations: match args.attestations {
            Attestations::Keep => deploy::Attestations::Keep,
            Attestations::Drop => deploy::Attestations::Drop,
        },
        referrers: match args.referrers {
            Referrers::None => deploy::Referrers::None,
            Referrers::Copy => deploy::Referrers::Copy,
        },
        compression: args.compression,
        max_concurrency: args.concurrency,
        reuse_from: args.reuse_from,
        ..image
    })
}

/// A destination, with its own tag before those that the image has everywhere.
fn target(destination: &Reference, tags: &[Tag]) -> anyhow::Result<Target> {
    if destination.digest().is_some() {
        bail!("the destination {destination} has a digest: give a tag or none");
    }
    let mut target = Target::of(destination);
    target.tags.extend_from_slice(tags);
    let mut seen = HashSet::new();
    target.tags.retain(|tag| seen.insert(tag.clone()));
    Ok(target)
}

fn show(deployed: &Deployed, report: &Report, json: bool) {
    if !json {
        output::note(&moved(report));
        for place in &deployed.places {
            output::result(&deployed.uri_at(place));
        }
        return;
    }
    let place =
        |place: &deploy::Place| json!({"imageUri": deployed.uri_at(place), "tags": place.tags});
    let document = json!({
        "imageUri": deployed.uri(),
        "digest": deployed.digest,
        "mediaType": deployed.media_type,
        "tags": deployed.first().tags,
        "destinations": deployed.places.iter().map(place).collect::<Vec<_>>(),
        "size": deployed.size,
        "platforms": deployed.platforms.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "report": report,
    });
    output::result(&format!("{document:#}"));
}
