//! `longshore publish` and `longshore list`.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use longshore::assets::{
    Asset, Cache, Done, Manifest, Pattern, PublishOptions, Published, Publisher, Step,
};
use longshore::copy::Meter;
use serde_json::{Value, json};

use crate::dry_run::status;
use crate::output;
use crate::place::{Place, PlaceArgs};
use crate::progress::{Progress, moved};

#[derive(Debug, clap::Args)]
pub(crate) struct ManifestArgs {
    /// CDK's output directory, or one of its *.assets.json.
    pub(crate) manifest: PathBuf,
    /// Only these assets: ASSET or ASSET:DESTINATION, either of which may be *.
    #[arg(value_name = "ASSET")]
    assets: Vec<Pattern>,
}

impl ManifestArgs {
    fn read(&self) -> anyhow::Result<Manifest> {
        Ok(Manifest::read(&self.manifest)?.select(&self.assets)?)
    }
}

const PUBLISH_EXAMPLES: &str = "\
Exit status of a dry run: 3 if an asset is to be published.

Examples:
  longshore publish cdk.out
  longshore publish --dry-run cdk.out
  longshore publish cdk.out/App.assets.json 3c1f*:current_account-eu-west-1";

#[derive(Debug, clap::Args)]
#[command(after_help = PUBLISH_EXAMPLES)]
pub(crate) struct PublishArgs {
    #[command(flatten)]
    manifest: ManifestArgs,
    /// Builders and commands that run at once.
    #[arg(long, value_name = "NUMBER", default_value = "1")]
    builders: NonZeroUsize,
    /// The folder that archives of images are kept in, instead of the user's.
    #[arg(long, value_name = "DIRECTORY")]
    cache: Option<PathBuf>,
    /// Say what would be published, and make and upload nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print the results as JSON, and no progress.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: PlaceArgs,
}

const LIST_EXAMPLES: &str = "\
Examples:
  longshore list cdk.out
  longshore list --json cdk.out/App.assets.json";

#[derive(Debug, clap::Args)]
#[command(after_help = LIST_EXAMPLES)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    manifest: ManifestArgs,
    /// Print everything as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: PublishArgs) -> anyhow::Result<ExitCode> {
    let manifest = args.manifest.read()?;
    let cache = Cache::at(args.cache.as_deref())?;
    let place = Place::start_with_buckets(&args.place).await?;
    let options = PublishOptions {
        builders: args.builders,
        makes_repositories: args.place.local,
        dry_run: args.dry_run,
    };
    let meter = Arc::new(Meter::default());
    let publisher = Publisher::new(place.reach().clone(), cache, options, Arc::clone(&meter));
    let bars = Progress::show(&meter, args.json);
    let show: longshore::assets::Progress<'_> = if args.json {
        &|name, step| warn(&bars, name, step)
    } else {
        &|name, step| say(&bars, name, step)
    };
    let results = publisher.run(&manifest, show).await;
    drop(bars);
    place.stop().await;
    let failed = results.iter().filter(|one| one.result.is_err()).count();
    if args.json {
        let assets: Vec<Value> = results.iter().map(result).collect();
        output::result(&format!("{:#}", json!({ "assets": assets })));
    } else if !args.dry_run {
        output::note(&moved(&meter.report()));
    }
    if failed > 0 {
        output::note(&format!(
            "longshore: {failed} of {} were not published",
            results.len()
        ));
        return Ok(ExitCode::FAILURE);
    }
    let is_lacking = |one: &Published| matches!(one.result, Ok(Done::Lacking));
    Ok(status(results.iter().any(is_lacking)))
}

fn warn(bars: &Progress, name: &str, step: Step<'_>) {
    if let Step::Warned(warning) = step {
        bars.note(&format!("{name}: warning: {warning}"));
    }
}

fn say(bars: &Progress, name: &str, step: Step<'_>) {
    match step {
        Step::Warned(_) => warn(bars, name, step),
        Step::Making => bars.note(&format!("{name}: being made")),
        Step::Said(line) => bars.note(&format!("{name}: {line}")),
        Step::Finished(published) => match &published.result {
            Ok(done) => {
                let how = match done {
                    Done::Present => "already at",
                    Done::Uploaded => "published to",
                    Done::Lacking => "to be published to",
                };
                bars.result(&format!("{name}: {how} {}", published.place));
            }
            Err(error) => bars.note(&format!(
                "{name}: not published to {}: {:#}",
                published.place,
                anyhow::Error::new(Arc::clone(error))
            )),
        },
    }
}

fn result(published: &Published) -> Value {
    let mut result = json!({
        "id": published.asset,
        "displayName": published.name,
        "destination": published.destination,
        "place": published.place,
    });
    match &published.result {
        Ok(done) => result["present"] = json!(*done == Done::Present),
        Err(error) => {
            result["error"] = json!(format!("{:#}", anyhow::Error::new(Arc::clone(error))));
        }
    }
    result
}

pub(crate) fn list(args: &ListArgs) -> anyhow::Result<ExitCode> {
    let manifest = args.manifest.read()?;
    if args.json {
        let assets: Vec<Value> = manifest.assets.iter().map(listed).collect();
        output::result(&format!("{:#}", json!({ "assets": assets })));
        return Ok(ExitCode::SUCCESS);
    }
    for asset in &manifest.assets {
        output::result(&format!(
            "{} {} {}",
            asset.id,
            asset.source.kind(),
            asset.name
        ));
        for destination in &asset.destinations {
            let region = destination.region.as_deref().unwrap_or("any region");
            output::result(&format!(
                "  {}: {} in {region}",
                destination.id, destination.place
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn listed(asset: &Asset) -> Value {
    let destinations = asset.destinations.iter().map(|destination| {
        json!({
            "id": destination.id,
            "place": destination.place.to_string(),
            "region": destination.region,
            "assumeRoleArn": destination.role_arn,
        })
    });
    json!({
        "id": asset.id,
        "type": asset.source.kind(),
        "displayName": asset.name,
        "destinations": destinations.collect::<Vec<_>>(),
    })
}
