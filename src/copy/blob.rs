//! One blob on its way to the targets.

use std::sync::Arc;

use futures_util::future::{BoxFuture, join_all};
use futures_util::{FutureExt, StreamExt, TryStreamExt};

use super::error::{Cause, at, blob_of};
use super::target::Places;
use super::tee::tee;
use super::{Error, Operation, Result, Run, Side, Target};
use crate::content::{self, ByteStream, Destination, Opener, Pushed, Source};
use crate::oci::Descriptor;

/// A blob to be pushed.
pub(super) struct Item<'a> {
    /// The name of the place that it is read from.
    pub(super) from: &'a str,
    /// Its name for people on the way: the start of its digest or diff ID.
    pub(super) label: String,
    pub(super) opener: Arc<dyn Opener>,
    pub(super) mounts: Mounts<'a>,
}

impl<'a> Item<'a> {
    /// A blob that `source` has.
    pub(super) fn of(source: &'a dyn Source, blob: &Descriptor) -> Self {
        Self {
            from: source.name(),
            label: blob.digest.hex().chars().take(12).collect(),
            opener: source.blob(blob),
            mounts: Mounts {
                origin: Some(source),
                listed: true,
            },
        }
    }
}

/// Which repositories a blob may be mounted from.
#[derive(Clone, Copy, Default)]
pub(super) struct Mounts<'a> {
    /// The place that has it.
    pub(super) origin: Option<&'a dyn Source>,
    /// True if those that a target lists may have it.
    pub(super) listed: bool,
}

impl Mounts<'_> {
    fn at(self, target: &Target) -> Vec<String> {
        let listed = target.mount_from.iter().filter(|_| self.listed).cloned();
        let origin = self
            .origin
            .and_then(|origin| origin.mountable_from(&*target.destination));
        listed.chain(origin).collect()
    }
}

impl Run {
    /// Brings one blob to those of `places` that lack it, reading it once.
    pub(super) async fn push_blob(&self, item: &Item<'_>, places: &Places) -> Result<()> {
        match item.opener.descriptor() {
            Some(blob) => {
                let lacking = self.lacking_blob(&blob, places).await?;
                self.send_blob(item, &lacking).await
            }
            None => self.send_blob(item, places).await,
        }
    }

    /// Those of `places` that lack a blob.
    pub(super) async fn lacking_blob(&self, blob: &Descriptor, places: &Places) -> Result<Places> {
        let asked = self.each(places, |target| {
            async move { has_blob(&*target.destination, blob).await }.boxed()
        });
        let mut lacking = Places::new();
        for (place, has) in asked.await? {
            if has {
                self.count_reused(blob);
            } else {
                lacking.insert(place);
            }
        }
        Ok(lacking)
    }

    /// Brings one blob to `places`, which lack it, reading it once.
    pub(super) async fn send_blob(&self, item: &Item<'_>, places: &Places) -> Result<()> {
        for (place, error) in self.try_blob(item, places).await {
            self.give_up(place, error)?;
        }
        Ok(())
    }

    /// As [`Run::push_blob`] for all targets; what the blob is, is known then.
    pub(super) async fn push_described(&self, item: &Item<'_>) -> Result<Descriptor> {
        self.push_blob(item, &self.places).await?;
        item.opener.descriptor().ok_or_else(|| {
            let subject = format!("layer {}", item.label);
            at(Operation::Read, Side::Source, "the image", subject)(Cause::NoDigest)
        })
    }

    /// As [`Run::send_blob`], and tells where it failed.
    pub(super) async fn try_blob(&self, item: &Item<'_>, places: &Places) -> Vec<(usize, Error)> {
        let places = self.spared(places);
        if places.is_empty() {
            return Vec::new();
        }
        let (openers, feeding) = tee(&item.opener, places.len());
        let pushes = places.into_iter().zip(openers).map(|(place, opener)| {
            async move {
                let pushed = self.push_to(&self.targets[place], item, opener).await;
                pushed.err().map(|error| (place, error))
            }
            .boxed()
        });
        tokio::select! {
            failed = join_all(pushes) => failed.into_iter().flatten().collect(),
            never = feeding => match never {},
        }
    }

    async fn push_to(
        &self,
        target: &Target,
        item: &Item<'_>,
        opener: Arc<dyn Opener>,
    ) -> Result<()> {
        let destination = &*target.destination;
        let opener = Arc::new(Marked(opener));
        let (progress, metered) = self.meter.blob(item.label.clone(), opener);
        let mount_from = item.mounts.at(target);
        let pushed = destination.push_blob(&metered, &mount_from).await;
        self.meter.blob_done(&progress);
        let error = |cause: Cause| blob_error(destination, item, cause);
        let pushed = pushed.map_err(|cause| error(cause.into()))?;
        let size = item.opener.descriptor().ok_or(Cause::NoDigest);
        let size = size.map_err(error)?.size;
        self.meter.count(|report| match pushed {
            Pushed::Uploaded => report.blobs_uploaded += 1,
            Pushed::Mounted => {
                report.blobs_mounted += 1;
                report.bytes_mounted += size;
            }
        });
        Ok(())
    }

    fn count_reused(&self, blob: &Descriptor) {
        self.meter.count(|report| {
            report.blobs_reused += 1;
            report.bytes_reused += blob.size;
        });
    }
}

/// Returns true if a destination has a blob, of the size that it must have.
async fn has_blob(destination: &dyn Destination, blob: &Descriptor) -> Result<bool> {
    let found = destination.blob_size(&blob.digest).await;
    found.map(|size| size == Some(blob.size)).map_err(at(
        Operation::Find,
        Side::Destination,
        destination.name(),
        blob_of(blob),
    ))
}

fn blob_error(destination: &dyn Destination, item: &Item<'_>, cause: Cause) -> Error {
    let subject = match item.opener.descriptor() {
        Some(descriptor) => blob_of(&descriptor),
        None => format!("layer {}", item.label),
    };
    if matches!(&cause, Cause::Content(error) if error.is_read()) {
        return at(Operation::Fetch, Side::Source, item.from, subject)(cause);
    }
    let place = destination.name();
    at(Operation::Push, Side::Destination, place, subject)(cause)
}

/// An opener whose errors are told from those of the destination that it is given to.
struct Marked(Arc<dyn Opener>);

impl Opener for Marked {
    fn descriptor(&self) -> Option<Descriptor> {
        self.0.descriptor()
    }

    fn open(&self, offset: u64) -> BoxFuture<'_, content::Result<ByteStream>> {
        let read = |error| content::Error::Read(Box::new(error));
        async move {
            let stream = self.0.open(offset).await.map_err(read)?;
            Ok(stream.map_err(read).boxed())
        }
        .boxed()
    }
}
