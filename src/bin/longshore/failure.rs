//! The sentence of a failure, with the options that help.

use longshore::aws;
use longshore::deploy::{self, Advice};

use crate::args::Command;

/// Which sides a command has options for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sides {
    /// It has none.
    None,
    /// The image that is read.
    Source,
    /// The repository that is written to.
    Destination,
    /// One for each.
    Both,
    /// Two images, both of which are read.
    Either,
}

impl Sides {
    /// The sides of a command.
    pub(crate) fn of(command: &Command) -> Self {
        match command {
            Command::Copy(_) => Self::Both,
            Command::Inspect(_) | Command::Tags(_) | Command::Digest(_) => Self::Source,
            Command::Delete(_) => Self::Destination,
            Command::Diff(_) => Self::Either,
            _ => Self::None,
        }
    }

    /// The options for what is pulled from or pushed to, with this ending.
    fn options(self, pulls: bool, ending: &str) -> Option<String> {
        let (source, destination) = (
            format!("--source-{ending}"),
            format!("--destination-{ending}"),
        );
        match self {
            Self::None => None,
            Self::Source => Some(source),
            Self::Both if pulls => Some(source),
            Self::Destination | Self::Both => Some(destination),
            Self::Either => Some(format!("{source} (of the second image, {destination})")),
        }
    }
}

/// The way in which the failure to read a file begins, and that to read what is in it.
const FILE: &str = "cannot read file ";
const READING: &str = "cannot read ";

/// An error and its causes on one line, each once.
pub(crate) fn sentence(error: &anyhow::Error, sides: Sides) -> String {
    let mut texts: Vec<String> = Vec::new();
    for cause in error.chain() {
        let text = match advice(cause).and_then(|advice| help(advice, sides)) {
            Some(help) => format!("{cause}{help}"),
            None => unreached(cause).unwrap_or_else(|| cause.to_string()),
        };
        // The sentence of a file says the same of its source.
        while text.starts_with(FILE) && texts.last().is_some_and(|last| last.starts_with(READING)) {
            texts.pop();
        }
        if texts.last() != Some(&text) {
            texts.push(text);
        }
    }
    texts.join(": ")
}

fn advice<'a>(cause: &'a (dyn std::error::Error + 'static)) -> Option<&'a Advice> {
    match cause.downcast_ref::<deploy::Error>() {
        Some(deploy::Error::Advised { advice, .. }) => Some(advice),
        _ => cause.downcast_ref::<Advice>(),
    }
}

/// The sentence of a service that was not reached: a person has no VPC to look at.
fn unreached(cause: &(dyn std::error::Error + 'static)) -> Option<String> {
    let error = match cause.downcast_ref::<deploy::Error>() {
        Some(deploy::Error::Object(error) | deploy::Error::Create(error)) => error,
        _ => cause.downcast_ref::<aws::Error>()?,
    };
    let aws::Error::Unreachable {
        call,
        service,
        region,
        ..
    } = error
    else {
        return None;
    };
    Some(format!(
        "{call} failed: {service} in {region} was not reached: see that the region is right, and the \
         network"
    ))
}

/// The commands and options that help.
fn help(advice: &Advice, sides: Sides) -> Option<String> {
    match advice {
        Advice::Credentials { repository, pulls } => {
            let host = repository.split('/').next().unwrap_or_default();
            let option = sides.options(*pulls, "credentials");
            let option = option.map(|option| format!(", or give them by {option}"));
            Some(format!(
                " (`docker login {host}` or `longshore login {host}` keeps them{})",
                option.unwrap_or_default()
            ))
        }
        Advice::Allow { pulls, .. } => {
            let option = sides.options(*pulls, "role")?;
            Some(format!(" ({option} and --profile choose who asks)"))
        }
        _ => None,
    }
}
