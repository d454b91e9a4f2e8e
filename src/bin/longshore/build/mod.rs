//! `longshore build`.

mod preview;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use longshore::archive::Compression;
use longshore::assets::{self, Cache, ImageAsset, Logins, Report, Staged, Staging};
use longshore::copy::Meter;
use longshore::deploy::{Access, FileLocation, Image, Location};
use longshore::oci::{Reference, Tag};
use serde_json::{Value, json};

use self::preview::Preview;
use crate::asset::AssetArgs;
use crate::dry_run::status;
use crate::output;
use crate::place::{Place, PlaceArgs};
use crate::progress::{Progress, moved};
use crate::resource::Resource;

const EXAMPLES: &str = "\
Exit status of a dry run: 3 if there is something to build, to stage or to push.

Examples:
  longshore build app
  longshore build app --push 123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:1.0
  longshore build app --dry-run --platform linux/arm64 --stage s3://my-staging-bucket/images";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BuildArgs {
    #[command(flatten)]
    asset: AssetArgs,
    /// Where layers are taken from, such as type=registry,ref=HOST/NAME.
    #[arg(long, value_name = "CACHE")]
    cache_from: Vec<String>,
    /// Where layers are kept.
    #[arg(long, value_name = "CACHE")]
    cache_to: Option<String>,
    /// Build anew, even if an archive with the hash is there.
    #[arg(long)]
    no_cache: bool,
    /// The folder that archives are kept in, instead of the user's.
    #[arg(long, value_name = "DIRECTORY")]
    cache: Option<PathBuf>,
    /// Upload the archive as HASH.tar, unless it is there, and print the resource that deploys it.
    #[arg(long, value_name = "s3://BUCKET/PREFIX")]
    stage: Option<Staging>,
    /// Where the resource deploys to: HOST/NAME. Otherwise to the template's resource Repository.
    #[arg(long, value_name = "DESTINATION", requires = "stage")]
    destination: Option<String>,
    /// The stack that exports the resource's service token.
    #[arg(long, value_name = "STACK", default_value = "longshore")]
    provider_stack: String,
    /// Push the image: HOST/NAME[:TAG].
    #[arg(long, value_name = "DESTINATION")]
    push: Option<Reference>,
    /// One more tag for the image that is pushed. Can be given several times.
    #[arg(long = "tag", value_name = "TAG", requires = "push")]
    tags: Vec<Tag>,
    /// How layers are compressed when they are pushed: gzip, gzip-small, zstd or none.
    #[arg(long, default_value = "gzip")]
    compression: Compression,
    /// Say what would be built, staged and pushed, and do nothing of it.
    #[arg(long)]
    dry_run: bool,
    /// Print the result as JSON, and nothing of what the builder says.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: PlaceArgs,
}

/// What came of a build.
#[derive(Default)]
struct Outcome {
    hash: String,
    /// Not there where the staged archive made a build needless.
    archive: Option<PathBuf>,
    reused: bool,
    resource: Option<Resource>,
    staged_before: bool,
    image_uri: Option<String>,
}

pub(crate) async fn run(args: BuildArgs) -> anyhow::Result<ExitCode> {
    if let Some(push) = args.push.as_ref().filter(|push| push.digest().is_some()) {
        bail!("the destination {push} has a digest: give a tag or none");
    }
    let json = args.json;
    let place = Place::start_with_buckets(&args.place).await?;
    if args.dry_run {
        let preview = Preview::find(&args, &place).await?;
        preview.show(json);
        place.stop().await;
        return Ok(status(preview.has_changes()));
    }
    let outcome = Box::pin(bring(args, &place)).await;
    place.stop().await;
    show(&outcome?, json);
    Ok(ExitCode::SUCCESS)
}

/// Hashes what is to be built.
async fn hashed(args: &BuildArgs) -> anyhow::Result<(Outcome, ImageAsset)> {
    let asset = ImageAsset {
        cache_from: args.cache_from.clone(),
        cache_to: args.cache_to.clone(),
        no_cache: args.no_cache,
        ..args.asset.clone().into_asset()
    };
    let hashed = asset.clone();
    let hash = tokio::task::spawn_blocking(move || hashed.hash()).await??;
    let outcome = Outcome {
        hash,
        ..Outcome::default()
    };
    Ok((outcome, asset))
}

/// Looks whether the archive is staged already, where it is to be staged.
async fn staged(args: &BuildArgs, hash: &str, place: &Place) -> anyhow::Result<Option<Staged>> {
    let Some(staging) = &args.stage else {
        return Ok(None);
    };
    let clients = place.reach().clients(&Access::default()).await;
    Ok(Some(staging.find(hash, &clients).await?))
}

/// Builds, and stages and pushes what was built where that is wanted.
async fn bring(args: BuildArgs, place: &Place) -> anyhow::Result<Outcome> {
    let (mut outcome, asset) = hashed(&args).await?;
    let staged = staged(&args, &outcome.hash, place).await?;
    outcome.staged_before = staged.as_ref().is_some_and(Staged::is_there) && !args.no_cache;
    if !outcome.staged_before || args.push.is_some() {
        outcome.build(&asset, &args, place).await?;
    }
    if staged.is_none() && args.push.is_none() {
        return Ok(outcome);
    }
    let meter = Arc::new(Meter::default());
    let progress = Progress::show(&meter, args.json);
    if let Some(staged) = &staged {
        if let Some(archive) = outcome.archive.as_ref().filter(|_| !outcome.staged_before) {
            staged.upload(archive, &meter).await?;
        }
        outcome.resource = Some(Resource {
            source: staged.source().to_owned(),
            destination: args.destination,
            tag: outcome.hash.clone(),
            provider_stack: args.provider_stack,
        });
    }
    if let (Some(push), Some(archive)) = (&args.push, &outcome.archive) {
        let image = image(archive.clone(), push, &args.tags, args.compression);
        outcome.image_uri = Some(place.deployer().run(&image, &meter).await?.uri());
    }
    drop(progress);
    if !args.json {
        output::note(&moved(&meter.report()));
    }
    Ok(outcome)
}

impl Outcome {
    async fn build(
        &mut self,
        asset: &ImageAsset,
        args: &BuildArgs,
        place: &Place,
    ) -> anyhow::Result<()> {
        let cache = Cache::at(args.cache.as_deref())?;
        let report: Report<'_> = if args.json { &|_| {} } else { &output::note };
        let logins = Logins::new(place.reach().clone(), "build");
        let registries = args.push.iter().map(|push| push.repository().registry());
        let registries = registries.map(|registry| (registry.to_owned(), Access::default()));
        let logins = logins.of_build(registries, &|warning| {
            output::warn(&format!("longshore: warning: {warning}"));
        });
        let built = assets::build(&self.hash, asset, &cache, &logins, report).await?;
        self.reused = built.reused;
        self.archive = Some(built.archive);
        Ok(())
    }
}

fn image(archive: PathBuf, push: &Reference, tags: &[Tag], compression: Compression) -> Image {
    let source = Location::File(FileLocation {
        path: archive,
        selector: None,
    });
    let tags = push.tag().into_iter().chain(tags).cloned();
    let mut seen = std::collections::HashSet::new();
    let mut image = Image::new(source, push.repository().clone());
    image.targets[0].tags = tags.filter(|tag| seen.insert(tag.clone())).collect();
    Image {
        compression,
        ..image
    }
}

fn show(outcome: &Outcome, json: bool) {
    let archive = outcome.archive.as_ref();
    let archive = archive.map(|archive| archive.display().to_string());
    if json {
        output::result(&format!("{:#}", document(outcome, archive.as_deref())));
        return;
    }
    let how = match (outcome.reused, &archive) {
        (_, None) => "staged before",
        (true, _) => "already built",
        (false, _) => "built",
    };
    output::note(&format!("{how}: {}", outcome.hash));
    if let Some(uri) = &outcome.image_uri {
        match outcome.resource {
            Some(_) => output::note(&format!("pushed: {uri}")),
            None => output::result(uri),
        }
    }
    match (&outcome.resource, &outcome.image_uri, archive) {
        (Some(resource), ..) => output::result(&resource.yaml()),
        (None, None, Some(archive)) => output::result(&archive),
        _ => {}
    }
}

fn document(outcome: &Outcome, archive: Option<&str>) -> Value {
    let mut document = json!({
        "assetHash": outcome.hash,
        "archive": archive,
        "reused": outcome.reused,
    });
    if let Some(resource) = &outcome.resource {
        document["source"] = json!(resource.source);
        document["stagedBefore"] = json!(outcome.staged_before);
        document["resource"] = resource.json();
    }
    if let Some(uri) = &outcome.image_uri {
        document["imageUri"] = json!(uri);
    }
    document
}
