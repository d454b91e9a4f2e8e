//! The preview of a deployment: what it would write, and where.

use std::sync::Arc;

use super::deployment::Deployment;
use super::open::Opened;
use super::reach::Reach;
use super::{Error, Image, Target};
use crate::archive::Writer;
use crate::content::{Destination, ManifestKey};
use crate::copy::{self, Changes, Meter, Rehearsal};
use crate::oci::Digest;

/// The writes that a deployment would make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// The digest that the destinations get. `None`: the image has no manifest before its layers
    /// are compressed.
    pub digest: Option<Digest>,
    /// Layers that are compressed on their way, beside the blobs of each destination.
    pub layers: u64,
    /// The destinations: repositories, then files.
    pub destinations: Vec<DestinationPreview>,
}

/// The writes that a deployment would make at one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestinationPreview {
    /// The repository or the file.
    pub name: String,
    /// True if it is a repository of ECR that does not exist. `false`, too, where ECR does not
    /// tell.
    pub is_missing: bool,
    /// The writes that it would get.
    pub changes: Changes,
}

impl Preview {
    pub(super) async fn find(
        reach: &Reach,
        image: &Image,
        files: Vec<Writer>,
        opened: Opened,
        meter: &Arc<Meter>,
    ) -> Result<Self, Error> {
        let mut rehearsals = Vec::new();
        let record = |destination: Arc<dyn Destination>| -> Arc<dyn Destination> {
            let rehearsal = Arc::new(Rehearsal::of(destination));
            rehearsals.push(Arc::clone(&rehearsal));
            rehearsal
        };
        let deployment = Deployment::prepare(reach, image, files, meter, record).await?;
        let rehearsed = deployment.rehearse(opened).await;
        let rehearsed = deployment.rehearsed(rehearsed)?;
        if rehearsed.manifest.is_none() {
            record_tags(image, &rehearsals).await?;
        }
        let mut missing = Vec::with_capacity(rehearsals.len());
        for target in &image.targets {
            missing.push(is_missing(reach, target).await);
        }
        missing.resize(rehearsals.len(), false);
        let destinations = rehearsals.iter().zip(missing);
        Ok(Self {
            digest: rehearsed.manifest.map(|manifest| manifest.digest().clone()),
            layers: rehearsed.layers,
            destinations: destinations
                .map(|(rehearsal, is_missing)| DestinationPreview {
                    name: rehearsal.name().to_owned(),
                    is_missing,
                    changes: rehearsal.changes(),
                })
                .collect(),
        })
    }

    /// Returns true if the deployment would write nothing.
    pub fn is_empty(&self) -> bool {
        let mut destinations = self.destinations.iter();
        self.layers == 0
            && destinations.all(|destination| destination.changes == Changes::default())
    }
}

/// Records the tags of an image whose manifest is not made yet.
async fn record_tags(image: &Image, rehearsals: &[Arc<Rehearsal>]) -> Result<(), Error> {
    let platform_tags = || image.platform_tags.iter().map(|(_, tag)| tag);
    for (target, rehearsal) in image.targets.iter().zip(rehearsals) {
        for tag in target.tags.iter().chain(platform_tags()) {
            let recorded = rehearsal.tag(tag).await;
            recorded.map_err(|error| {
                let key = ManifestKey::Tag(tag);
                let error = copy::Error::finding(rehearsal.name(), &key, error);
                Error::copy(Some(&target.repository), error)
            })?;
        }
    }
    Ok(())
}

async fn is_missing(reach: &Reach, target: &Target) -> bool {
    match reach.ecr(&target.repository, &target.access).await {
        Some(ecr) => matches!(ecr.uri().await, Ok(None)),
        None => false,
    }
}
