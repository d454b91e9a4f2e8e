//! Deploying an image: from its source to its tags.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use tokio::time::Instant;

use super::deployment::Deployment;
use super::error::partly;
use super::open::Opened;
use super::reach::Reach;
use super::{
    Deploy, Deployed, Error, Granted, Image, Memo, MemoPlace, PolicyPart, Preview, PushedImage,
};
use crate::archive::Writer;
use crate::content::BoxError;
use crate::copy::{Meter, Phase};
use crate::policy::Grants;

/// Deploys images.
#[derive(Clone)]
pub struct Deployer {
    reach: Reach,
}

impl Deployer {
    /// Deploys images that `reach` reaches.
    pub fn new(reach: Reach) -> Self {
        Self { reach }
    }

    /// Brings the image to its targets, with all its tags. What fails at one of several does not
    /// keep it from the others.
    pub async fn run(&self, image: &Image, meter: &Arc<Meter>) -> Result<Deployed, Error> {
        let reach = self.reach_for(image, meter);
        let mut files = Vec::new();
        for file in &image.files {
            files.push(Writer::open(file.clone()).await.map_err(Error::Write)?);
        }
        let opened = open(&reach, image, meter).await;
        if opened.is_ok() {
            create_missing(&reach, image).await?;
        }
        let deployment =
            Deployment::prepare(&reach, image, files, meter, |written| written).await?;
        let brought = match opened {
            Ok(opened) => deployment.bring(opened).await,
            Err(error) => deployment.fall_back(error).await,
        };
        deployment.finish(brought)
    }

    /// Finds out what [`Deployer::run`] would do, by the same steps, and writes nothing.
    ///
    /// # Errors
    ///
    /// Those of `run` that show before a write. Where one of several destinations fails, all do.
    pub async fn preview(&self, image: &Image, meter: &Arc<Meter>) -> Result<Preview, Error> {
        let reach = self.reach_for(image, meter);
        let mut files = Vec::new();
        for file in &image.files {
            files.push(Writer::look(file.clone()).await.map_err(Error::Write)?);
        }
        let opened = open(&reach, image, meter).await?;
        Preview::find(&reach, image, files, opened, meter).await
    }

    fn reach_for(&self, image: &Image, meter: &Meter) -> Reach {
        let reach = self.reach.with_attempts(image.retry);
        reach.with_tally(meter.tally())
    }
}

/// Opens the image's source.
async fn open(reach: &Reach, image: &Image, meter: &Arc<Meter>) -> Result<Opened, Error> {
    let source = image.pinned_source();
    let opening = reach.open(&source, &image.source_access, image.compression, meter);
    meter.time(Phase::Resolve, opening.boxed()).await
}

/// Creates the repositories that are missing, if the image asks for it.
async fn create_missing(reach: &Reach, image: &Image) -> Result<(), Error> {
    let Some(settings) = &image.create_repository else {
        return Ok(());
    };
    let creating = image.targets.iter();
    let creating = creating.map(|target| reach.ensure(target, settings).boxed());
    let created = join_all(creating).await.into_iter();
    let errors: Vec<_> = created.filter_map(Result::err).collect();
    if errors.is_empty() {
        return Ok(());
    }
    // Nothing was copied yet, so no target has the image.
    Err(partly(image, |_| false, errors))
}

impl Deploy for Deployer {
    fn deploy<'a>(
        &'a self,
        image: &'a Image,
        meter: &'a Arc<Meter>,
    ) -> BoxFuture<'a, Result<Deployed, BoxError>> {
        async { Ok(Box::pin(self.run(image, meter)).await?) }.boxed()
    }

    fn remove<'a>(&'a self, pushed: &'a PushedImage) -> BoxFuture<'a, Result<(), BoxError>> {
        async { Ok(self.reach.remove(pushed).await?) }.boxed()
    }

    fn untag<'a>(&'a self, pushed: &'a PushedImage) -> BoxFuture<'a, Result<(), BoxError>> {
        async { Ok(self.reach.untag(pushed).await?) }.boxed()
    }

    fn recall<'a>(&'a self, place: &'a MemoPlace) -> BoxFuture<'a, Result<Memo, BoxError>> {
        async { Ok(self.reach.recall(place).await?) }.boxed()
    }

    fn note<'a>(
        &'a self,
        place: &'a MemoPlace,
        memo: &'a Memo,
    ) -> BoxFuture<'a, Result<(), BoxError>> {
        async { Ok(self.reach.note(place, memo).await?) }.boxed()
    }

    fn forget<'a>(&'a self, place: &'a MemoPlace) -> BoxFuture<'a, Result<(), BoxError>> {
        async { Ok(self.reach.forget(place).await?) }.boxed()
    }

    fn grant<'a>(
        &'a self,
        part: &'a PolicyPart,
        grants: &'a Grants,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Granted, BoxError>> {
        async move { Ok(self.reach.grant(part, grants, deadline).await?) }.boxed()
    }

    fn revoke<'a>(
        &'a self,
        part: &'a PolicyPart,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<(), BoxError>> {
        async move { Ok(self.reach.revoke(part, deadline).await?) }.boxed()
    }
}
