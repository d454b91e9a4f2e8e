//! `longshore hash`.

use std::process::ExitCode;

use crate::asset::AssetArgs;
use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct HashArgs {
    #[command(flatten)]
    asset: AssetArgs,
}

pub(crate) fn run(args: HashArgs) -> anyhow::Result<ExitCode> {
    output::result(&args.asset.into_asset().hash()?);
    Ok(ExitCode::SUCCESS)
}
