//! Building images with the builder that is there.
//!
//! The result is an archive: of `docker save`'s kind for one platform, an OCI archive of an index
//! for several. It is kept under the asset's hash, and what has been built is not built again.

mod builder;
mod cache;
mod command;
mod context;
mod process;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::login::{BuildLogins, Configuration, ImageName, images};
use super::{Error, ImageAsset, Report};
pub use builder::Builder;
pub use cache::Cache;
use context::Context;
pub(super) use process::Program;

/// A build that takes longer is given up.
const WITHIN: Duration = Duration::from_hours(4);

/// An image that has been built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// The asset's hash, in lowercase hex.
    pub hash: String,
    /// The archive.
    pub archive: PathBuf,
    /// True if it was there already.
    pub reused: bool,
}

/// Builds an image whose hash is known, unless an archive with it is in the cache. The builder is
/// only looked for and logged in where it is needed. `report` takes what it says.
pub async fn build(
    hash: &str,
    asset: &ImageAsset,
    cache: &Cache,
    logins: &BuildLogins<'_>,
    report: Report<'_>,
) -> Result<Built, Error> {
    let built = |archive, reused| Built {
        hash: hash.to_owned(),
        archive,
        reused,
    };
    if !asset.no_cache
        && let Some(archive) = cache.find(hash)
    {
        return Ok(built(archive, true));
    }
    let builder = Builder::find().await?;
    let (staged, place) = (asset.clone(), cache.workplace());
    let context = blocking(move || Context::stage(&staged, &place)).await?;
    let output = cache.folder()?;
    let archive = output.path().join("image.tar");
    let name = format!("cdkasset-{}", hash.to_lowercase());
    let plan = command::plan(&builder, asset, &context, &name, &archive)?;
    let run = |arguments: Vec<OsString>, report| Run {
        builder: &builder,
        asset,
        arguments,
        logins: None,
        report,
    };
    let silent: Report<'_> = &|_| {};
    let is_there = match plan.look {
        Some(look) => run(look, silent).run().await.is_ok(),
        None => false,
    };
    if !is_there {
        if let Some(prepare) = plan.prepare {
            let _ = run(prepare, silent).run().await;
        }
        let configuration = logins
            .configure(&pulled(asset, &context)?, builder.reader())
            .await?;
        let run = Run {
            logins: configuration.as_ref(),
            ..run(plan.build, report)
        };
        run.run().await?;
    }
    if let Some(save) = plan.save {
        run(save, report).run().await?;
    }
    Ok(built(cache.keep(&archive, hash)?, false))
}

/// The images that are pulled to build an asset.
fn pulled(asset: &ImageAsset, context: &Context) -> Result<BTreeSet<ImageName>, Error> {
    let path = context.dockerfile();
    let dockerfile = fs::read(&path).map_err(|error| Error::read(&path, error))?;
    Ok(images(asset, &String::from_utf8_lossy(&dockerfile)))
}

impl Builder {
    /// Writes an image that the builder has to an archive.
    pub(super) async fn save(
        &self,
        image: &str,
        archive: &Path,
        report: Report<'_>,
    ) -> Result<(), Error> {
        let program = Program {
            name: &self.program,
            arguments: &command::save(self.kind, image, archive),
            directory: Path::new("."),
            variables: &[],
            within: WITHIN,
        };
        program.run(report).await.map(drop)
    }
}

struct Run<'a> {
    builder: &'a Builder,
    asset: &'a ImageAsset,
    arguments: Vec<OsString>,
    logins: Option<&'a Configuration>,
    report: Report<'a>,
}

impl Run<'_> {
    /// Runs the builder in the asset's directory, to which paths of secrets are relative.
    async fn run(&self) -> Result<(), Error> {
        let program = Program {
            name: &self.builder.program,
            arguments: &self.arguments,
            directory: &self.asset.directory,
            variables: self.logins.map_or(&[], |logins| &logins.variables),
            within: WITHIN,
        };
        program.run(self.report).await.map(drop)
    }
}

/// Does what waits for files off the async threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(stopped) if stopped.is_panic() => std::panic::resume_unwind(stopped.into_panic()),
        Err(_) => Err(Error::Stopped),
    }
}
