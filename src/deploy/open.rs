//! Opening a source: from how it is written to what the engine copies.

use std::sync::Arc;

use super::reach::Reach;
use super::{Access, Advice, Error, Location};
use crate::archive::{Archive, Compression, Selected, Selector};
use crate::content::{FileObject, RangeRead, Source, UnbuiltImage};
use crate::copy::{Meter, MeteredObject, MeteredSource};
use crate::oci::{RawManifest, Reference};

/// A source that was found.
pub struct Opened {
    /// What it holds.
    pub content: Content,
    /// Whether its blobs are best read one at a time, in the order of their positions.
    pub sequential: bool,
}

/// What a source holds.
pub enum Content {
    /// An image with a manifest, which is copied exactly.
    Stored {
        /// The manifest or index.
        root: RawManifest,
        /// What has it.
        source: Arc<dyn Source>,
    },
    /// An image without a manifest.
    Unbuilt(UnbuiltImage),
}

impl Reach {
    /// Finds the image at `location`, and counts what is read of it. `compression` is for layers
    /// that an archive holds uncompressed.
    pub async fn open(
        &self,
        location: &Location,
        access: &Access,
        compression: Compression,
        meter: &Arc<Meter>,
    ) -> Result<Opened, Error> {
        let archive = match location {
            Location::Registry(reference) => {
                return self.open_reference(reference, access, meter).await;
            }
            Location::S3(at) => {
                let object = self.object(at, access).await?;
                Archive::open(metered(object, meter)).await
            }
            Location::Https(at) => {
                let object = self.web_object(at).await?;
                Archive::open(metered(object, meter)).await
            }
            Location::File(at) => {
                let object = FileObject::open(&at.path).await;
                let object = object.map_err(|source| Error::File {
                    location: location.clone(),
                    source,
                })?;
                Archive::open(metered(object, meter)).await
            }
            Location::Directory(at) => Archive::open_directory(&at.path).await,
        };
        let unreadable = |error| Error::Archive {
            location: location.clone(),
            source: Box::new(error),
        };
        let archive = archive.map_err(unreadable)?;
        let selector = selector(location)?;
        let selected = archive.select(selector.as_ref(), compression).await;
        Ok(Opened {
            content: selected.map_err(unreadable)?.into(),
            sequential: archive.is_sequential(),
        })
    }

    /// The image of a registry. Its tag is resolved here, once; all that follows asks by digest.
    async fn open_reference(
        &self,
        reference: &Reference,
        access: &Access,
        meter: &Arc<Meter>,
    ) -> Result<Opened, Error> {
        let source = self.source(reference.repository(), access).await?;
        let root = source.resolve(reference).await.map_err(|error| {
            let advice = Advice::on(&error, reference.repository(), true);
            let reference = reference.clone();
            if error.is_not_found() {
                return Error::NoImage { reference, advice };
            }
            let failed = Error::Resolve {
                reference,
                source: error,
            };
            failed.with(advice)
        })?;
        meter.resolved(root.digest());
        let source = Arc::new(MeteredSource::new(source, Arc::clone(meter)));
        Ok(Opened {
            content: Content::Stored { root, source },
            sequential: false,
        })
    }
}

fn metered(object: impl RangeRead + 'static, meter: &Arc<Meter>) -> Arc<dyn RangeRead> {
    Arc::new(MeteredObject::new(Arc::new(object), Arc::clone(meter)))
}

fn selector(location: &Location) -> Result<Option<Selector>, Error> {
    let text = match location {
        Location::Registry(_) => None,
        Location::S3(at) => at.selector.as_deref(),
        Location::Https(at) => at.selector.as_deref(),
        Location::File(at) | Location::Directory(at) => at.selector.as_deref(),
    };
    text.map(str::parse)
        .transpose()
        .map_err(|source| Error::Selector {
            location: location.clone(),
            source,
        })
}

impl From<Selected> for Content {
    fn from(selected: Selected) -> Self {
        match selected {
            Selected::Stored { root, source } => Self::Stored { root, source },
            Selected::Unbuilt(image) => Self::Unbuilt(image),
        }
    }
}
