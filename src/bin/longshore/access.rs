//! The way in which a command reaches each side: the options for credentials and roles.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, bail};
use longshore::aws::{EcrHost, WrittenCredentials};
use longshore::deploy::{Access, Credentials, Location, Role, Target};

use crate::misuse::Misuse;
use crate::stdin;

/// Most bytes of credentials.
const MAX_CREDENTIALS: u64 = 64 << 10;

/// How the source is reached.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Reaching the source")]
#[expect(
    clippy::struct_field_names,
    reason = "a command has the options of both sides, each by its own name"
)]
pub(crate) struct SourceArgs {
    /// Where the credentials of its registry are: `file:PATH`, `env:NAME`, or - for standard
    /// input. They are USER:PASSWORD, or JSON with username and password.
    #[arg(long, value_name = "WHERE")]
    source_credentials: Option<CredentialsAt>,
    /// The role of AWS that is taken on for it.
    #[arg(long, value_name = "ARN", value_parser = role_arn)]
    source_role: Option<String>,
    /// The external ID that the role's trust policy asks for.
    #[arg(long, value_name = "ID", requires = "source_role")]
    source_external_id: Option<String>,
}

/// How the destination is reached.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Reaching the destination")]
#[expect(
    clippy::struct_field_names,
    reason = "a command has the options of both sides, each by its own name"
)]
pub(crate) struct DestinationArgs {
    /// Where the credentials of its registry are: `file:PATH`, `env:NAME`, or - for standard
    /// input. They are USER:PASSWORD, or JSON with username and password.
    #[arg(long, value_name = "WHERE")]
    destination_credentials: Option<CredentialsAt>,
    /// The role of AWS that is taken on for it.
    #[arg(long, value_name = "ARN", value_parser = role_arn)]
    destination_role: Option<String>,
    /// The external ID that the role's trust policy asks for.
    #[arg(long, value_name = "ID", requires = "destination_role")]
    destination_external_id: Option<String>,
}

impl SourceArgs {
    /// The options without their prefix.
    pub(crate) fn side(self) -> Side {
        Side {
            credentials: self.source_credentials,
            role: self.source_role,
            external_id: self.source_external_id,
        }
    }
}

impl DestinationArgs {
    /// The options without their prefix.
    pub(crate) fn side(self) -> Side {
        Side {
            credentials: self.destination_credentials,
            role: self.destination_role,
            external_id: self.destination_external_id,
        }
    }
}

/// The way in which one side is reached, as it was asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Side {
    pub(crate) credentials: Option<CredentialsAt>,
    pub(crate) role: Option<String>,
    pub(crate) external_id: Option<String>,
}

/// The place where credentials are. They are never on the command line itself, which every process
/// can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CredentialsAt {
    File(PathBuf),
    Variable(String),
    Stdin,
}

impl FromStr for CredentialsAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let file = text.strip_prefix("file:").and_then(given);
        let variable = text.strip_prefix("env:").and_then(given);
        match (file, variable) {
            (Some(path), _) => Ok(Self::File(path.into())),
            (_, Some(name)) => Ok(Self::Variable(name)),
            _ if text == "-" => Ok(Self::Stdin),
            _ => Err(
                "credentials do not stand on the command line, which every process can read: \
                 expected file:PATH, env:NAME, or - for standard input"
                    .to_owned(),
            ),
        }
    }
}

impl CredentialsAt {
    /// Reads the credentials, for these registries.
    fn read(&self, registries: &BTreeSet<&str>) -> anyhow::Result<Credentials> {
        let text = self.text()?;
        let written = WrittenCredentials::read(&text).with_context(|| {
            format!("{self} has no credentials: expected USER:PASSWORD, or JSON with username and password")
        })?;
        if let Some(other) = registries.iter().find(|host| !written.are_for(host)) {
            bail!(
                "the credentials of {self} are not for {other}: their registry says which they are for"
            );
        }
        Ok(Credentials::Given(written.credentials().clone()))
    }

    fn text(&self) -> anyhow::Result<String> {
        let mut text = String::new();
        let unreadable = || format!("cannot read credentials from {self}");
        match self {
            Self::Variable(name) => {
                let value = std::env::var(name).ok();
                return value
                    .with_context(|| format!("there is no variable {name} with credentials"));
            }
            Self::File(path) => {
                let file = std::fs::File::open(path).with_context(unreadable)?;
                let mut file = file.take(MAX_CREDENTIALS);
                file.read_to_string(&mut text).with_context(unreadable)?;
            }
            Self::Stdin if io::stdin().is_terminal() => {
                bail!("credentials are to come over stdin, which is a terminal: pipe them in")
            }
            Self::Stdin => {
                let mut stdin = io::stdin().lock().take(MAX_CREDENTIALS);
                stdin.read_to_string(&mut text).with_context(unreadable)?;
            }
        }
        Ok(text)
    }
}

impl std::fmt::Display for CredentialsAt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Variable(name) => write!(f, "env:{name}"),
            Self::Stdin => f.write_str("standard input"),
        }
    }
}

impl Side {
    /// The way in which an image is reached.
    pub(crate) fn reaching(&self, location: &Location) -> anyhow::Result<Access> {
        let registry = match location {
            Location::Registry(reference) => Some(reference.repository().registry()),
            _ => None,
        };
        if self.credentials.is_some() && registry.is_none() {
            return Err(Misuse::new(format!(
                "{location} is in no registry that takes credentials"
            ))
            .into());
        }
        self.access(&registry.into_iter().collect())
    }

    /// The way in which these registries are reached.
    pub(crate) fn access(&self, registries: &BTreeSet<&str>) -> anyhow::Result<Access> {
        let credentials = self.credentials.as_ref();
        let credentials = credentials.map(|at| at.read(registries)).transpose()?;
        Ok(Access {
            credentials,
            role: self.role(),
        })
    }

    fn role(&self) -> Option<Role> {
        let arn = self.role.clone()?;
        Some(Role {
            arn,
            external_id: self.external_id.clone(),
            purpose: "command-line".to_owned(),
        })
    }

    fn reads_stdin(&self) -> bool {
        self.credentials == Some(CredentialsAt::Stdin)
    }
}

/// Sees that one thing at the most comes over standard input.
pub(crate) fn check_stdin<'a>(
    sides: impl IntoIterator<Item = &'a Side>,
    source: Option<&Location>,
) -> anyhow::Result<()> {
    let credentials = sides.into_iter().filter(|side| side.reads_stdin()).count();
    let archive = usize::from(source.is_some_and(stdin::is_read_by));
    if credentials > 0 && credentials + archive > 1 {
        return Err(Misuse::new(
            "two things are to come over standard input: take credentials from file:PATH or \
             env:NAME",
        )
        .into());
    }
    Ok(())
}

/// Gives targets their own way of being reached, or else that of all. Credentials for all go to one
/// registry only.
pub(crate) fn reach_targets(targets: &mut [(Target, Side)], all: &Side) -> anyhow::Result<()> {
    let common: BTreeSet<String> = targets
        .iter()
        .filter(|(_, side)| side.credentials.is_none())
        .map(|(target, _)| target.repository.registry().to_owned())
        .collect();
    let beyond_ecr: BTreeSet<&str> = common
        .iter()
        .map(String::as_str)
        .filter(|host| common.len() == 1 || EcrHost::parse(host).is_none())
        .collect();
    if all.credentials.is_some() && beyond_ecr.len() != 1 {
        return Err(Misuse::new(
            "--destination-credentials are for one registry: name those of each destination as \
             --to DESTINATION,credentials=WHERE",
        )
        .into());
    }
    let shared = all.access(&beyond_ecr)?;
    for (target, side) in targets {
        let host = target.repository.registry().to_owned();
        target.access = side.access(&BTreeSet::from([host.as_str()]))?;
        if side.role.is_none() {
            target.access.role.clone_from(&shared.role);
        }
        if side.credentials.is_none() && beyond_ecr.contains(host.as_str()) {
            target.access.credentials.clone_from(&shared.credentials);
        }
    }
    Ok(())
}

/// Reads the ARN of a role.
pub(crate) fn role_arn(text: &str) -> Result<String, String> {
    let parts: Vec<_> = text.splitn(6, ':').collect();
    match parts[..] {
        ["arn", _, "iam", "", account, resource]
            if account.len() == 12 && resource.starts_with("role/") =>
        {
            Ok(text.to_owned())
        }
        _ => Err("expected the ARN of a role: arn:aws:iam::ACCOUNT:role/NAME".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_never_stand_on_the_command_line() {
        let at = |text: &str| text.parse::<CredentialsAt>();
        assert_eq!(at("file:a:b"), Ok(CredentialsAt::File("a:b".into())));
        assert_eq!(at("env:A"), Ok(CredentialsAt::Variable("A".to_owned())));
        assert_eq!(at("-"), Ok(CredentialsAt::Stdin));
        for text in ["me:hidden", "", "file:", "env:", "hidden"] {
            let error = at(text).unwrap_err();
            assert!(
                error.contains("env:NAME") && !error.contains("hidden"),
                "{error}"
            );
        }
    }
}
