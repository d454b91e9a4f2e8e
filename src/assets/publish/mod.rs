//! Publishing the assets of a manifest: what `cdk-assets publish` does.
//!
//! Every destination is looked at first, and what all of them have is not even made. Assets are
//! published side by side, but only some builders run at once. One that fails does not stop the
//! others.

mod material;
mod placeholders;
mod tarball;
mod target;
mod zip;

use std::num::NonZeroUsize;
use std::sync::Arc;

use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt, stream};
use tokio::sync::Semaphore;

use super::{Asset, Cache, Destination, Error, Logins, Manifest, Place};
use crate::copy::Meter;
use crate::deploy::{Access, Reach};
use placeholders::Environment;
use target::Target;

/// The reason for which a role was assumed, as an auditor sees it.
const PURPOSE: &str = "publish";
/// Assets under way at once.
const ASSETS: usize = 8;

/// The way in which assets are published.
#[derive(Clone, Debug)]
pub struct PublishOptions {
    /// Builders and commands that run at once.
    pub builders: NonZeroUsize,
    /// True if the registry makes repositories that are not there, as a stand-in does.
    pub makes_repositories: bool,
    /// True if destinations are only looked at: nothing is made, and nothing is uploaded.
    pub dry_run: bool,
}

impl Default for PublishOptions {
    fn default() -> Self {
        Self {
            builders: NonZeroUsize::MIN,
            makes_repositories: false,
            dry_run: false,
        }
    }
}

/// Publishes assets.
pub struct Publisher {
    reach: Reach,
    cache: Cache,
    options: PublishOptions,
    meter: Arc<Meter>,
    builders: Semaphore,
    logins: Logins,
}

/// The result for an asset at one destination.
#[derive(Clone, Debug)]
pub struct Published {
    /// The asset's ID.
    pub asset: String,
    /// The name of the asset that people read.
    pub name: String,
    /// The destination's ID.
    pub destination: String,
    /// The place where that is, without placeholders: `s3://bucket/key` or `repository:tag`.
    pub place: String,
    /// The result.
    pub result: Result<Done, Arc<Error>>,
}

/// The work that was done for an asset at one destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// It was there.
    Present,
    /// It was brought there.
    Uploaded,
    /// It is not there, and a dry run left it so.
    Lacking,
}

/// The progress of an asset.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// It is being built, packed, or made by its command.
    Making,
    /// A line of the builder or the command.
    Said(&'a str),
    /// Something that may go wrong later, such as a login that was refused.
    Warned(&'a str),
    /// It is finished at one destination.
    Finished(&'a Published),
}

/// Takes what is told of an asset by its name.
pub type Progress<'a> = &'a (dyn Fn(&str, Step<'_>) + Send + Sync);

impl Publisher {
    /// Publishes to what `reach` reaches, and keeps archives of images in `cache`. `meter` counts
    /// what is sent.
    pub fn new(reach: Reach, cache: Cache, options: PublishOptions, meter: Arc<Meter>) -> Self {
        Self {
            cache,
            builders: Semaphore::new(options.builders.get()),
            logins: Logins::new(reach.clone(), PURPOSE),
            options,
            meter,
            reach,
        }
    }

    /// Publishes all assets to all their destinations. The results come in the order of the
    /// manifest.
    pub async fn run(&self, manifest: &Manifest, progress: Progress<'_>) -> Vec<Published> {
        let environment = Environment::new(self.reach.clients(&Access::default()).await);
        let published: Vec<Vec<Published>> = stream::iter(&manifest.assets)
            .map(|asset| self.publish(asset, &environment, progress).boxed())
            .buffered(ASSETS)
            .collect()
            .await;
        published.into_iter().flatten().collect()
    }

    async fn publish(
        &self,
        asset: &Asset,
        environment: &Environment,
        progress: Progress<'_>,
    ) -> Vec<Published> {
        let finding = asset.destinations.iter();
        let finding = finding.map(|destination| self.find(destination, environment));
        let found = join_all(finding).await;
        let is_lacking = |(_, target): &(String, Result<Target, Error>)| {
            target.as_ref().is_ok_and(|target| !target.has_it())
        };
        let material = if !self.options.dry_run && found.iter().any(is_lacking) {
            let targets = found.iter().filter_map(|(_, target)| target.as_ref().ok());
            let lacking = targets.filter_map(Target::lacking_registry);
            Some(
                self.make(asset, lacking.collect(), progress)
                    .await
                    .map_err(Arc::new),
            )
        } else {
            None
        };
        let putting = found.into_iter().map(|(place, target)| {
            let material = material.as_ref();
            async move {
                let result = match (target, material) {
                    (Err(error), _) => Err(Arc::new(error)),
                    (Ok(target), _) if target.has_it() => Ok(Done::Present),
                    (Ok(target), Some(Ok(material))) => {
                        let put = target.put(self, material).await;
                        put.map(|()| Done::Uploaded).map_err(Arc::new)
                    }
                    (Ok(_), Some(Err(error))) => Err(Arc::clone(error)),
                    (Ok(_), None) => Ok(Done::Lacking),
                };
                (place, result)
            }
        });
        let results = join_all(putting).await;
        let published = results.into_iter().zip(&asset.destinations);
        let published: Vec<Published> = published
            .map(|((place, result), destination)| Published {
                asset: asset.id.clone(),
                name: asset.name.clone(),
                destination: destination.id.clone(),
                place,
                result,
            })
            .collect();
        for published in &published {
            progress(&asset.name, Step::Finished(published));
        }
        published
    }

    /// The place where a destination is, and what was found there.
    async fn find(
        &self,
        destination: &Destination,
        environment: &Environment,
    ) -> (String, Result<Target, Error>) {
        match environment.fill(destination).await {
            Err(error) => (destination.place.to_string(), Err(error)),
            Ok((destination, region)) => {
                let found = Target::find(self, &destination, &region).await;
                (destination.place.to_string(), found)
            }
        }
    }

    async fn make(
        &self,
        asset: &Asset,
        lacking: Vec<(String, Access)>,
        progress: Progress<'_>,
    ) -> Result<material::Material, Error> {
        let _turn = if material::takes_builder(&asset.source) {
            self.builders.acquire().await.ok()
        } else {
            None
        };
        progress(&asset.name, Step::Making);
        let report = |line: &str| progress(&asset.name, Step::Said(line));
        let warn = |warning: &str| progress(&asset.name, Step::Warned(warning));
        let logins = self.logins.of_build(lacking, &warn);
        material::make(&asset.id, &asset.source, &self.cache, &logins, &report).await
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Repository { name, tag } => write!(f, "{name}:{tag}"),
            Self::Bucket { name, key } => write!(f, "s3://{name}/{key}"),
        }
    }
}
