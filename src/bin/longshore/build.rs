//! `longshore build`.

use std::path::PathBuf;
use std::process::ExitCode;

use longshore::assets::{Built, Cache, ImageAsset, build};
use serde_json::json;

use crate::asset::AssetArgs;
use crate::output;

#[derive(Debug, clap::Args)]
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
    /// Print the result as JSON, and nothing of what the builder says.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: BuildArgs) -> anyhow::Result<ExitCode> {
    let cache = match args.cache {
        Some(directory) => Cache::new(directory),
        None => Cache::of_user()?,
    };
    let asset = ImageAsset {
        cache_from: args.cache_from,
        cache_to: args.cache_to,
        no_cache: args.no_cache,
        ..args.asset.into_asset()
    };
    let report: &(dyn Fn(&str) + Send + Sync) = if args.json { &|_| {} } else { &output::note };
    let built = build(&asset, &cache, report).await?;
    show(&built, args.json);
    Ok(ExitCode::SUCCESS)
}

fn show(built: &Built, json: bool) {
    let archive = built.archive.display().to_string();
    if json {
        let document = json!({
            "assetHash": built.hash,
            "archive": archive,
            "reused": built.reused,
        });
        output::result(&format!("{document:#}"));
        return;
    }
    let how = if built.reused {
        "already built"
    } else {
        "built"
    };
    output::note(&format!("{how}: {}", built.hash));
    output::result(&archive);
}
