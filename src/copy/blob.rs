//! One blob on its way to the destination.

use std::sync::Arc;

use super::error::{Cause, at, blob_of};
use super::{Error, Operation, Result, Run, Side};
use crate::content::{Opener, Pushed};
use crate::oci::Descriptor;

/// A blob to be pushed.
pub(super) struct Item {
    /// How people see it on the way: the start of its digest or diff ID.
    pub(super) label: String,
    pub(super) opener: Arc<dyn Opener>,
}

impl Run {
    /// Brings one blob to the destination, unless it is there.
    pub(super) async fn push_blob(&self, item: &Item, mount_from: &[String]) -> Result<Descriptor> {
        if let Some(known) = item.opener.descriptor()
            && self.has_blob(&known).await?
        {
            self.count_reused(&known);
            return Ok(known);
        }
        let (progress, metered) = self
            .meter
            .blob(item.label.clone(), Arc::clone(&item.opener));
        let pushed = self.destination.push_blob(&metered, mount_from).await;
        self.meter.blob_done(&progress);
        let error = |cause: Cause| self.blob_error(item, cause);
        let pushed = pushed.map_err(|cause| error(cause.into()))?;
        let descriptor = item.opener.descriptor();
        let descriptor = descriptor.ok_or_else(|| error(Cause::NoDigest))?;
        self.meter.count(|report| match pushed {
            Pushed::Uploaded => report.blobs_uploaded += 1,
            Pushed::Mounted => {
                report.blobs_mounted += 1;
                report.bytes_mounted += descriptor.size;
            }
        });
        Ok(descriptor)
    }

    /// Whether the destination has a blob.
    pub(super) async fn has_blob(&self, blob: &Descriptor) -> Result<bool> {
        let destination = &*self.destination;
        let found = destination.blob_size(&blob.digest).await;
        let place = destination.name();
        found.map(|size| size.is_some()).map_err(at(
            Operation::Find,
            Side::Destination,
            place,
            blob_of(blob),
        ))
    }

    pub(super) fn count_reused(&self, blob: &Descriptor) {
        self.meter.count(|report| {
            report.blobs_reused += 1;
            report.bytes_reused += blob.size;
        });
    }

    fn blob_error(&self, item: &Item, cause: Cause) -> Error {
        let subject = match item.opener.descriptor() {
            Some(descriptor) => blob_of(&descriptor),
            None => format!("layer {}", item.label),
        };
        at(
            Operation::Push,
            Side::Destination,
            self.destination.name(),
            subject,
        )(cause)
    }
}
