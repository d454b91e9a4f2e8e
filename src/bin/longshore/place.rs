//! The place where a command works: in the world, or on the embedded stand-ins.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use longshore::aws::Clients;
use longshore::deploy::{self, Deployer, Reach};
use longshore::local::{BucketOptions, Environment, EnvironmentOptions};
use longshore::registry::{self, Client};
use longshore::web::{self, Hosts};

use crate::credentials::DockerConfig;

/// The options that say where a command works.
#[derive(Debug, clap::Args)]
pub(crate) struct PlaceArgs {
    /// Use the embedded registry and bucket: no AWS account, no Docker, no network.
    #[arg(long)]
    pub(crate) local: bool,
    /// The profile of AWS's configuration files, in the place of `AWS_PROFILE`.
    #[arg(long, value_name = "NAME", conflicts_with = "local")]
    pub(crate) profile: Option<String>,
    /// AWS's region, in the place of `AWS_REGION`. A repository of ECR names its own.
    #[arg(long, value_name = "NAME", conflicts_with = "local", value_parser = region)]
    pub(crate) region: Option<String>,
    #[command(flatten)]
    pub(crate) kept: KeptArgs,
}

/// What the embedded registry and bucket keep.
#[derive(Debug, clap::Args)]
pub(crate) struct KeptArgs {
    /// Keep the embedded registry's content in this folder.
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) data: Option<PathBuf>,
    /// The folder whose folders are the embedded buckets.
    #[arg(long, value_name = "DIRECTORY", default_value = "events/buckets")]
    pub(crate) buckets: PathBuf,
}

/// The place where a command works.
pub(crate) struct Place {
    reach: Reach,
    local: Option<Environment>,
}

impl Place {
    /// Makes the clients, and starts the stand-ins if they are wanted.
    pub(crate) async fn start(args: &PlaceArgs) -> anyhow::Result<Self> {
        Self::start_as(args, |_| {}).await
    }

    /// The same, for a command that writes to buckets: of the stand-ins, those that are not there
    /// are made.
    pub(crate) async fn start_with_buckets(args: &PlaceArgs) -> anyhow::Result<Self> {
        let folder = args.kept.buckets.clone();
        Self::start_as(args, |options| options.bucket.made_in = Some(folder)).await
    }

    async fn start_as(
        args: &PlaceArgs,
        change: impl FnOnce(&mut EnvironmentOptions),
    ) -> anyhow::Result<Self> {
        if !args.local {
            let variable = |name: &str| std::env::var(name).ok();
            let config = deploy::registry_config(variable)?;
            let aws = Clients::load_as(args.profile.as_deref(), args.region.as_deref()).await;
            let reach = Reach::new(Client::new(config)?, aws)
                .with_logins(|repository| Arc::new(DockerConfig::of(repository)))
                .with_web(every_host(variable)?);
            return Ok(Self { reach, local: None });
        }
        let mut options = stand_ins(&args.kept)?;
        change(&mut options);
        let local = Environment::start(options).await;
        let local = local.context("cannot start the embedded registry and bucket")?;
        let variables = local.variables();
        let variable = |name: &str| variables.get(name).cloned();
        let config = registry::Config {
            stays_local: true,
            ..deploy::registry_config(variable)?
        };
        let aws = Clients::local(&local.aws.base_url(), &local.bucket.base_url()).await;
        let reach = Reach::new(Client::new(config)?, aws).with_web(this_machine(variable)?);
        Ok(Self {
            reach,
            local: Some(local),
        })
    }

    /// Reaches what is here.
    pub(crate) fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Deploys to what is here.
    pub(crate) fn deployer(&self) -> Deployer {
        Deployer::new(self.reach.clone())
    }

    /// Stops the stand-ins.
    pub(crate) async fn stop(self) {
        if let Some(local) = self.local {
            local.stop().await;
        }
    }
}

fn region(text: &str) -> Result<String, String> {
    let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if text.is_empty()
        || !text.chars().all(is_allowed)
        || !text.ends_with(|c: char| c.is_ascii_digit())
    {
        return Err("expected a region such as eu-west-1".to_owned());
    }
    Ok(text.to_owned())
}

/// Archives are read from any web server: the person who runs the command names it.
fn every_host(variable: impl Fn(&str) -> Option<String>) -> Result<web::Config, deploy::Error> {
    Ok(web::Config {
        hosts: Hosts::All,
        ..deploy::web_config(variable)?
    })
}

/// With the stand-ins, archives are read from web servers on this machine only.
fn this_machine(variable: impl Fn(&str) -> Option<String>) -> Result<web::Config, deploy::Error> {
    let hosts = ["127.0.0.1:*", "localhost:*"];
    Ok(web::Config {
        hosts: Hosts::Only(hosts.iter().filter_map(|host| host.parse().ok()).collect()),
        ..deploy::web_config(variable)?
    })
}

/// What the stand-ins keep and serve.
pub(crate) fn stand_ins(kept: &KeptArgs) -> anyhow::Result<EnvironmentOptions> {
    let mut options = EnvironmentOptions::default();
    options.registry.folder.clone_from(&kept.data);
    options.bucket = BucketOptions {
        folders: buckets(&kept.buckets)?,
        ..BucketOptions::default()
    };
    Ok(options)
}

/// The folders in `folder`, each a bucket. No folder: no bucket.
fn buckets(folder: &Path) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let mut buckets = BTreeMap::new();
    if !folder.exists() {
        return Ok(buckets);
    }
    let unreadable = || format!("cannot read the folder of buckets {}", folder.display());
    for entry in std::fs::read_dir(folder).with_context(unreadable)? {
        let path = entry.with_context(unreadable)?.path();
        if let Some(name) = path.file_name().filter(|_| path.is_dir()) {
            buckets.insert(name.to_string_lossy().into_owned(), path.clone());
        }
    }
    Ok(buckets)
}
