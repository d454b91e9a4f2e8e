//! Opening a source: from how it is written to what the engine copies.

use std::sync::Arc;

use super::reach::Reach;
use super::{Access, Error, Location};
use crate::archive::{self, Archive, Compression, Selected, Selector};
use crate::content::{FileObject, RangeRead, Source, UnbuiltImage};
use crate::copy::{Meter, MeteredObject, MeteredSource};
use crate::oci::{Digest, RawManifest, Reference};

/// A source that was found.
pub struct Opened {
    /// The content.
    pub content: Content,
    /// Where what it holds is only what it said at first.
    early: Option<Early>,
}

/// An archive that told what it holds before its end was known, and how it was asked.
struct Early {
    archive: Archive,
    location: Location,
    selector: Option<Selector>,
    compression: Compression,
}

impl Opened {
    /// Returns true if [`Opened::settle`] has nothing more to read.
    pub fn is_read(&self) -> bool {
        let early = self.early.as_ref();
        early.is_none_or(|early| early.archive.is_complete())
    }

    /// Reads an archive that told early what it holds to its end. Tells whether it holds something
    /// else after all.
    ///
    /// # Errors
    ///
    /// When the archive cannot be read to its end, or holds no such image then.
    pub async fn settle(&mut self) -> Result<bool, Error> {
        let Some(early) = self.early.take() else {
            return Ok(false);
        };
        let settled = early.settled().await.map_err(|error| Error::Archive {
            location: early.location,
            source: Box::new(error),
        })?;
        let is_other = !self.content.is_same(&settled);
        if is_other {
            self.content = settled;
        }
        Ok(is_other)
    }
}

impl Early {
    async fn settled(&self) -> Result<Content, archive::Error> {
        self.archive.complete().await?;
        let selected = self
            .archive
            .select(self.selector.as_ref(), self.compression);
        Ok(selected.await?.into())
    }
}

/// The content of a source.
pub enum Content {
    /// An image with a manifest, which is copied exactly.
    Stored {
        /// The manifest or index.
        root: RawManifest,
        /// The source that has it.
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
        let content = selected.map_err(unreadable)?.into();
        let early = (!archive.is_complete()).then(|| Early {
            archive,
            location: location.clone(),
            selector,
            compression,
        });
        Ok(Opened { content, early })
    }

    /// The digest of an image in a registry, without reading its manifest where the registry tells.
    pub async fn digest(&self, reference: &Reference, access: &Access) -> Result<Digest, Error> {
        let source = self.source(reference.repository(), access).await?;
        let digest = source.resolve_digest(reference).await;
        digest.map_err(|error| Error::unresolved(reference, error))
    }

    /// The image of a registry. Its tag is resolved here, once; all that follows asks by digest.
    async fn open_reference(
        &self,
        reference: &Reference,
        access: &Access,
        meter: &Arc<Meter>,
    ) -> Result<Opened, Error> {
        let source = self.source(reference.repository(), access).await?;
        let root = source.resolve(reference).await;
        let root = root.map_err(|error| Error::unresolved(reference, error))?;
        meter.resolved(root.digest());
        let source = Arc::new(MeteredSource::new(source, Arc::clone(meter)));
        Ok(Opened {
            content: Content::Stored { root, source },
            early: None,
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

impl Content {
    /// Returns true if this is the same image.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Stored { root: one, .. }, Self::Stored { root: other, .. }) => {
                one.digest() == other.digest()
            }
            (Self::Unbuilt(one), Self::Unbuilt(other)) => one.config == other.config,
            _ => false,
        }
    }
}

impl From<Selected> for Content {
    fn from(selected: Selected) -> Self {
        match selected {
            Selected::Stored { root, source } => Self::Stored { root, source },
            Selected::Unbuilt(image) => Self::Unbuilt(image),
        }
    }
}
