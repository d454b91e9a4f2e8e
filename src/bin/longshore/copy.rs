//! `longshore copy`.

use std::collections::HashSet;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use indicatif::HumanBytes;
use longshore::copy::{Meter, Report};
use longshore::deploy::{self, Deployed, Form, Image, ImageFile, Location, Preview, Target};
use longshore::oci::{Reference, Tag};
use serde_json::json;

use crate::access::{Side, check_stdin, reach_targets};
use crate::args::{Attestations, CopyArgs, Referrers};
use crate::destination::{Destination, is_source};
use crate::dry_run;
use crate::output;
use crate::place::Place;
use crate::progress::{Progress, count, moved};
use crate::stdin;

pub(crate) async fn run(args: CopyArgs) -> anyhow::Result<ExitCode> {
    let place = Place::start(&args.place).await?;
    let (json, is_dry_run) = (args.json, args.dry_run);
    let image = image(args)?;
    stdin::settle(&image.source).await?;
    let meter = Arc::new(Meter::default());
    if is_dry_run {
        let preview = place.deployer().preview(&image, &meter).await?;
        show_preview(&preview, &meter.report(), json);
        place.stop().await;
        return Ok(dry_run::status(!preview.is_empty()));
    }
    let progress = Progress::show(&meter, json);
    let deployed = place.deployer().run(&image, &meter).await?;
    drop(progress);
    show(&image, &deployed, &meter.report(), json);
    place.stop().await;
    Ok(ExitCode::SUCCESS)
}

fn image(args: CopyArgs) -> anyhow::Result<Image> {
    let source_side = args.source_side.side();
    let destination_side = args.destination_side.side();
    let to = args.to.iter().map(|(_, side)| side);
    check_stdin(
        to.chain([&source_side, &destination_side]),
        Some(&args.source),
    )?;
    let mut targets: Vec<(Target, Side)> = Vec::new();
    let mut files: Vec<ImageFile> = Vec::new();
    let first = args.destination.map(|first| (first, Side::default()));
    for (destination, side) in first.into_iter().chain(args.to) {
        let destination = match destination {
            Destination::Repository(destination) => destination,
            Destination::File(file) => {
                let file = ImageFile {
                    tags: args.tags.clone(),
                    append: args.append,
                    ..file
                };
                check_file(&file, &args.source, &files)?;
                files.push(file);
                continue;
            }
        };
        let target = target(&destination, &args.tags)?;
        let mut known = targets.iter();
        if known.any(|(known, _)| known.repository == target.repository) {
            bail!(
                "{} is named twice: give its image more tags by --tag",
                target.repository
            );
        }
        targets.push((target, side));
    }
    if args.append && !files.iter().any(is_archive) {
        bail!("--append adds to an archive, and no destination is one");
    }
    let mut dockers = files.iter().filter(|file| file.form == Form::DockerArchive);
    if let (Referrers::Copy, Some(docker)) = (args.referrers, dockers.next()) {
        bail!("{docker} has no room for referrers: write an oci-archive, or leave --referrers out");
    }
    reach_targets(&mut targets, &destination_side)?;
    Ok(Image {
        source_access: source_side.reaching(&args.source)?,
        targets: targets.into_iter().map(|(target, _)| target).collect(),
        files,
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
        ..Image::of(args.source)
    })
}

/// Tells a file that cannot take the image, before anything is read.
fn check_file(file: &ImageFile, source: &Location, others: &[ImageFile]) -> anyhow::Result<()> {
    if is_source(file, source) {
        bail!("{file} is the source, too: write another file, and rename it when it is complete");
    }
    if file.path.is_none() && file.append {
        bail!("--append adds to a file: {file} is standard output");
    }
    file.names()?;
    let is_same = |other: &&ImageFile| {
        other.path == file.path && (other.form != Form::Layout || other.name == file.name)
    };
    if others.iter().any(|other| is_same(&other)) {
        bail!("{file} is named twice: give its image more tags by --tag");
    }
    Ok(())
}

fn is_archive(file: &ImageFile) -> bool {
    file.form != Form::Layout
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

fn show_preview(preview: &Preview, report: &Report, json: bool) {
    if json {
        return output::result(&format!("{:#}", dry_run::document(preview)));
    }
    for line in dry_run::lines(preview) {
        output::result(&line);
    }
    if report.bytes_reused > 0 {
        output::note(&format!(
            "already there: {} ({})",
            count(report.blobs_reused, "blob"),
            HumanBytes(report.bytes_reused)
        ));
    }
}

fn show(image: &Image, deployed: &Deployed, report: &Report, json: bool) {
    // An archive on standard output has it for itself.
    let is_taken = image.files.iter().any(|file| file.path.is_none());
    let result = if is_taken {
        output::note
    } else {
        output::result
    };
    if !json {
        output::note(&moved(report));
        for place in &deployed.places {
            result(&deployed.uri_at(place));
        }
        for file in &image.files {
            result(&in_file(file, deployed));
        }
        return;
    }
    let place =
        |place: &deploy::Place| json!({"imageUri": deployed.uri_at(place), "tags": place.tags});
    let file = |file: &ImageFile| {
        let names = file.names().unwrap_or_default();
        json!({"file": file.to_string(), "image": in_file(file, deployed), "names": names})
    };
    let first = deployed.places.first();
    let places = deployed.places.iter().map(place);
    let document = json!({
        "imageUri": first.map(|place| deployed.uri_at(place)),
        "digest": deployed.digest,
        "mediaType": deployed.media_type,
        "tags": first.map(|place| &place.tags),
        "destinations": places.chain(image.files.iter().map(file)).collect::<Vec<_>>(),
        "size": deployed.size,
        "platforms": deployed.platforms.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "report": report,
    });
    result(&format!("{document:#}"));
}

/// The image in a file, as a source is written. An archive for Docker knows it by its config.
fn in_file(file: &ImageFile, deployed: &Deployed) -> String {
    let config = deployed.config.as_ref();
    let config = config.filter(|_| file.form == Form::DockerArchive);
    format!("{file}#@{}", config.unwrap_or(&deployed.digest))
}
