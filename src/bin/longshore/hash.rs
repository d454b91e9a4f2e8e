//! `longshore hash`.

use std::process::ExitCode;

use serde_json::json;

use crate::asset::AssetArgs;
use crate::output;

const EXAMPLES: &str = "\
Examples:
  longshore hash app
  longshore hash --build-arg VERSION=1.0 --platform linux/arm64 app";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct HashArgs {
    #[command(flatten)]
    asset: AssetArgs,
    /// Print the hash as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: HashArgs) -> anyhow::Result<ExitCode> {
    let hash = args.asset.into_asset().hash()?;
    if args.json {
        output::result(&format!("{:#}", json!({ "assetHash": hash })));
    } else {
        output::result(&hash);
    }
    Ok(ExitCode::SUCCESS)
}
