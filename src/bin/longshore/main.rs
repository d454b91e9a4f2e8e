//! The command line.

mod access;
mod args;
mod asset;
mod build;
mod copy;
mod credentials;
mod delete;
mod destination;
mod diff;
mod docker_config;
mod docker_login;
mod dry_run;
mod failure;
mod fleet;
mod foreign;
mod grant;
mod hash;
mod inspect;
mod invoke;
mod local;
mod login;
mod look;
mod misuse;
mod names;
mod output;
mod place;
mod progress;
mod publish;
mod resource;
mod shell;
mod stdin;
mod stop;
mod sync;

use std::process::ExitCode;

use clap::Parser;
use clap::error::{ContextKind, ContextValue};
use longshore::redact::{remember_environment, without_credentials};

use args::{Args, Command};
use failure::{Sides, sentence};
use misuse::Misuse;

fn main() -> ExitCode {
    remember_environment();
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let Some(answer) = foreign::answer(&error) else {
                without_secrets(error).exit()
            };
            output::warn(&format!("longshore: {answer}"));
            return ExitCode::from(misuse::STATUS);
        }
    };
    if args.quiet {
        output::be_quiet();
    }
    let sides = Sides::of(&args.command);
    match run(args) {
        Ok(code) => code,
        Err(error) => {
            output::warn(&format!("longshore: {}", sentence(&error, sides)));
            if error.is::<Misuse>() {
                return ExitCode::from(misuse::STATUS);
            }
            ExitCode::FAILURE
        }
    }
}

/// `error` without the argument that it repeats, where that holds a password or a query.
fn without_secrets(mut error: clap::Error) -> clap::Error {
    if is_about_credentials(&error) {
        let hidden = ContextValue::String("[not shown]".to_owned());
        error.insert(ContextKind::InvalidValue, hidden);
    }
    for kind in [
        ContextKind::InvalidArg,
        ContextKind::InvalidValue,
        ContextKind::InvalidSubcommand,
    ] {
        let Some(ContextValue::String(text)) = error.get(kind) else {
            continue;
        };
        let shown = without_credentials(text);
        if shown != *text {
            error.insert(kind, ContextValue::String(shown));
        }
    }
    error
}

/// Returns true if an argument is refused that credentials may stand in.
fn is_about_credentials(error: &clap::Error) -> bool {
    let has = |kind, part: &str| {
        let value = error.get(kind);
        matches!(value, Some(ContextValue::String(text)) if text.contains(part))
    };
    has(ContextKind::InvalidArg, "-credentials") || has(ContextKind::InvalidValue, ",credentials=")
}

#[tokio::main]
async fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Copy(args) => stop::or_stopped(Box::pin(copy::run(*args))).await,
        Command::Sync(args) => stop::or_stopped(Box::pin(sync::run(args))).await,
        Command::Inspect(args) => inspect::run(args).await,
        Command::Tags(args) => look::tags(args).await,
        Command::Digest(args) => look::digest(args).await,
        Command::Diff(args) => Box::pin(diff::run(args)).await,
        Command::Delete(args) => delete::run(args).await,
        Command::Login(args) => login::login(args).await,
        Command::Logout(args) => login::logout(args).await,
        Command::Grant(args) => grant::run(args).await,
        Command::Build(args) => stop::or_stopped(Box::pin(build::run(*args))).await,
        Command::Hash(args) => hash::run(args),
        Command::Publish(args) => stop::or_stopped(Box::pin(publish::run(args))).await,
        Command::List(args) => publish::list(&args),
        Command::Invoke(args) => invoke::run(args).await,
        Command::Local(args) => local::run(args).await,
        Command::Completions(args) => Ok(shell::complete(&args)),
        Command::Man(args) => shell::write_manual(&args),
    }
}
