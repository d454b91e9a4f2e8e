//! `longshore copy`.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use longshore::copy::{Meter, Report};
use longshore::deploy::{self, Deployed, Image};
use longshore::oci::Tag;
use serde_json::json;

use crate::args::{Attestations, CopyArgs, Referrers};
use crate::output;
use crate::place::Place;
use crate::progress::{Progress, moved};

pub(crate) async fn run(args: CopyArgs) -> anyhow::Result<ExitCode> {
    let place = Place::start(&args.place).await?;
    let json = args.json;
    let image = image(args)?;
    let meter = Arc::new(Meter::default());
    let progress = Progress::show(&meter, json);
    let deployed = place.deployer().run(&image, &meter).await?;
    drop(progress);
    show(&deployed, &meter.report(), json);
    place.stop().await;
    Ok(ExitCode::SUCCESS)
}

fn image(args: CopyArgs) -> anyhow::Result<Image> {
    if args.destination.digest().is_some() {
        bail!(
            "the destination {} has a digest: give a tag or none",
            args.destination
        );
    }
    let mut tags: Vec<Tag> = args.destination.tag().cloned().into_iter().collect();
    tags.extend(args.tags);
    let mut seen = std::collections::HashSet::new();
    tags.retain(|tag| seen.insert(tag.clone()));
    let image = Image::new(args.source, args.destination.repository().clone());
    Ok(Image {
        tags,
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

fn show(deployed: &Deployed, report: &Report, json: bool) {
    if !json {
        output::note(&moved(report));
        output::result(&deployed.uri());
        return;
    }
    let document = json!({
        "imageUri": deployed.uri(),
        "digest": deployed.digest,
        "mediaType": deployed.media_type,
        "tags": deployed.tags,
        "size": deployed.size,
        "platforms": deployed.platforms.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "report": report,
    });
    output::result(&format!("{document:#}"));
}
