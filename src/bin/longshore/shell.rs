//! `longshore completions` and `longshore man`: what a shell and `man` know of the command line.

use std::process::ExitCode;

use anyhow::Context;
use clap::CommandFactory;

use crate::args::{Args, CompletionsArgs, ManArgs};
use crate::output;

pub(crate) fn complete(args: &CompletionsArgs) -> ExitCode {
    let mut script = Vec::new();
    let mut command = Args::command();
    let name = command.get_name().to_owned();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    output::bytes(&script);
    ExitCode::SUCCESS
}

pub(crate) fn write_manual(args: &ManArgs) -> anyhow::Result<ExitCode> {
    let directory = &args.directory;
    let unwritten = || format!("cannot write manual pages to {}", directory.display());
    std::fs::create_dir_all(directory).with_context(unwritten)?;
    clap_mangen::generate_to(Args::command(), directory).with_context(unwritten)?;
    Ok(ExitCode::SUCCESS)
}
