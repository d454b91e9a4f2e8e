//! Archives of images: tars that `docker save` and exporters of OCI layouts write, read by ranges
//! where they lie and never unpacked; and what is written to files ([`Writer`]).
//!
//! [`Archive::open`] finds out where every file is, reading headers and skipping data. In an archive
//! that is compressed as a whole that is not possible: there files are found on the way past them.
//! [`Archive::select`] finds the image. What comes out is either [`Selected::Stored`], an image
//! that has its manifest and is copied exactly, or [`Selected::Unbuilt`], one whose layers become
//! blobs on the way.
//!
//! # Which description counts
//!
//! An archive may describe its images twice, as an OCI layout (`index.json`) and for Docker
//! (`manifest.json`). The layout comes first, since it preserves digests. `manifest.json` counts
//! where there is no layout, where the layout is incomplete or contradicts itself, and where the
//! layout is one that `docker save` made up over uncompressed layers: its manifest exists nowhere
//! else, and pushed as it is would cost every pull three times the bytes. (With
//! [`Compression::None`] even that one is copied exactly.)
//!
//! # Limits
//!
//! All that is kept of an archive is bounded: names, documents, extensions, the number of files,
//! the depth of links and of nested indexes.

mod choice;
mod choose;
mod compression;
mod directory;
mod docker;
mod error;
mod file;
mod header;
mod index;
mod layer;
mod layout;
mod order;
mod outer;
mod passes;
mod pax;
mod scan;
mod selector;
mod store;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod walk;
mod window;
mod write;

use std::path::PathBuf;
use std::sync::Arc;

pub use choice::Choices;
pub use compression::{Compression, InvalidCompression};
pub use error::Error;
pub use selector::{InvalidSelector, Selector};
pub use write::{Form, ImageFile, InvalidFile, WriteError, Writer};

use self::compression::Format;
use self::directory::Directory;
use self::docker::Docker;
use self::header::BLOCK;
use self::index::Index;
use self::layout::Layout;
use self::passes::Passes;
use self::scan::Reader;
use self::store::Store;
use self::window::Window;
use crate::content::{RangeRead, Source, UnbuiltImage};
use crate::oci::{Manifest, MediaType, RawManifest};

/// An archive, and what is known of its files.
#[derive(Clone)]
pub struct Archive {
    store: Arc<Store>,
}

/// An image of an archive.
pub enum Selected {
    /// One that has its manifest and is copied exactly.
    Stored {
        /// The manifest or index.
        root: RawManifest,
        /// The archive, as a place that has this and what is below it.
        source: Arc<dyn Source>,
    },
    /// One whose manifest is built when its layers are pushed.
    Unbuilt(UnbuiltImage),
}

impl Archive {
    /// Finds the files of an archive, reading its headers. In an archive that is compressed as a
    /// whole they are found later, on the way.
    pub async fn open(object: Arc<dyn RangeRead>) -> Result<Self, Error> {
        let mut window = Window::new(object.as_ref());
        let begin = window.read(0..BLOCK as u64).await.map_err(Error::Read)?;
        match Format::of(&begin) {
            format @ (Format::Gzip | Format::Zstd | Format::Xz | Format::Bzip2) => {
                let passes = Passes::new(object, format);
                expect_tar(&passes.begin().await.map_err(Error::Read)?)?;
                Ok(Self::of(Store::passing(passes)))
            }
            Format::Json | Format::Plain => {
                expect_tar(&begin)?;
                let index = Index::scan(&mut window).await?;
                Ok(Self::of(Store::known(object, index)))
            }
        }
    }

    /// Finds the files of an image that lies unpacked in a directory, such as an OCI layout.
    pub async fn open_directory(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let (directory, index) = Directory::scan(path.into()).await?;
        Ok(Self::of(Store::known(Arc::new(directory), index)))
    }

    fn of(store: Store) -> Self {
        let store = Arc::new(store);
        Self { store }
    }

    /// Returns true if all files are known. Until then, what was selected is what the archive said
    /// so far: something behind may say otherwise.
    pub fn is_complete(&self) -> bool {
        self.store.is_complete()
    }

    /// Reads on to the end, to know all files.
    pub async fn complete(&self) -> Result<(), Error> {
        self.store.find_all().await
    }

    /// The image that `selector` means, or the only one. `compression` is for layers that the
    /// archive holds uncompressed.
    ///
    /// An archive that is compressed as a whole is read on until it has said enough to tell: where
    /// it does so before its layers, they can be read in the same pass.
    pub async fn select(
        &self,
        selector: Option<&Selector>,
        compression: Compression,
    ) -> Result<Selected, Error> {
        if let Some(early) = self.select_early(selector, compression).await? {
            return Ok(early);
        }
        self.complete().await?;
        self.select_known(selector, compression).await
    }

    /// The image, if the archive tells before its end is known.
    async fn select_early(
        &self,
        selector: Option<&Selector>,
        compression: Compression,
    ) -> Result<Option<Selected>, Error> {
        self.find_any(&[layout::INDEX, docker::MANIFEST]).await?;
        if !self.has(layout::INDEX) && self.may_have_layout().await? {
            self.find_any(&[layout::INDEX]).await?;
        }
        let early = self.select_so_far(selector, compression).await?;
        match &early {
            Some(Selected::Stored { root, .. })
                if compression != Compression::None && has_plain_layers(root) =>
            {
                self.find_any(&[docker::MANIFEST]).await?;
                self.select_so_far(selector, compression).await
            }
            _ => Ok(early),
        }
    }

    /// Reads on until there is one of these files, or to the end.
    async fn find_any(&self, names: &[&str]) -> Result<(), Error> {
        while !names.iter().any(|name| self.has(name)) {
            if !self.store.find_more().await? {
                break;
            }
        }
        Ok(())
    }

    /// Returns true if an archive whose `manifest.json` came first looks as if a layout comes
    /// behind it.
    async fn may_have_layout(&self) -> Result<bool, Error> {
        Ok(self.has(docker::MANIFEST) && Docker::read(&self.store).await?.is_beside_layout())
    }

    /// The image, if the archive has told it and is not read to its end.
    async fn select_so_far(
        &self,
        selector: Option<&Selector>,
        compression: Compression,
    ) -> Result<Option<Selected>, Error> {
        if self.is_complete() {
            return Ok(None);
        }
        match self.select_known(selector, compression).await {
            Err(error @ Error::Read(_)) => Err(error),
            Ok(selected) if !self.is_complete() => Ok(Some(selected)),
            // With more of the archive it may be another, or an error none.
            _ => Ok(None),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.store.index().has(name)
    }

    /// The image by what is known of the archive.
    async fn select_known(
        &self,
        selector: Option<&Selector>,
        compression: Compression,
    ) -> Result<Selected, Error> {
        // Finds more of the archive, maybe the other description.
        let layout = self.layout(selector).await;
        let docker = if self.has(docker::MANIFEST) {
            Some(Docker::read(&self.store).await?)
        } else {
            None
        };
        match (layout, docker) {
            (None, None) => Err(Error::NoImage { hint: self.hint() }),
            (Some(Err(error)), None) | (Some(Err(error @ Error::Ambiguous { .. })), Some(_)) => {
                Err(error)
            }
            (None | Some(Err(_)), Some(docker)) => {
                let image = docker.select(selector, compression).await?;
                Ok(Selected::Unbuilt(image))
            }
            (Some(Ok((root, layout))), docker) => {
                if let Some(docker) = docker
                    && compression != Compression::None
                    && let Some(image) = uncompressed(&root, &docker, compression).await
                {
                    return image.map(Selected::Unbuilt);
                }
                let source = Arc::new(layout);
                Ok(Selected::Stored { root, source })
            }
        }
    }

    /// The image of the archive's OCI layout, if there is one.
    async fn layout(
        &self,
        selector: Option<&Selector>,
    ) -> Option<Result<(RawManifest, Layout), Error>> {
        if !self.has(layout::INDEX) {
            return None;
        }
        let read = async {
            let layout = Layout::read(&self.store).await?;
            let root = layout.select(selector).await?;
            Ok((root, layout))
        };
        Some(read.await)
    }

    fn hint(&self) -> &'static str {
        let index = self.store.index();
        let names = || index.names();
        if names().any(|name| name == "repositories") {
            return ": it was written by Docker before 1.10, load and save it with a current one";
        }
        if names().any(|name| name.starts_with("etc/")) {
            return ": it is the file system of a container, as `docker export` and `crane export` \
                    write it; save the image, as with `docker save` or `crane pull`";
        }
        let ends = |name: &str| name.ends_with("/index.json") || name.ends_with("/manifest.json");
        if names().any(ends) {
            return ": they are in a directory, write the archive from inside it";
        }
        ""
    }
}

/// The image as `manifest.json` has it, if `root` is a manifest that names plain layers.
async fn uncompressed(
    root: &RawManifest,
    docker: &Docker,
    compression: Compression,
) -> Option<Result<UnbuiltImage, Error>> {
    if !has_plain_layers(root) {
        return None;
    }
    let Ok(Manifest::Image(image)) = root.parse() else {
        return None;
    };
    docker.with_config(&image.config.digest, compression).await
}

fn has_plain_layers(root: &RawManifest) -> bool {
    let plain = [MediaType::OCI_LAYER, MediaType::DOCKER_LAYER];
    let Ok(Manifest::Image(image)) = root.parse() else {
        return false;
    };
    let mut layers = image.layers.iter();
    layers.any(|layer| plain.contains(&layer.media_type))
}

/// Tells what is certainly no tar by how it begins.
fn expect_tar(begin: &[u8]) -> Result<(), Error> {
    let found = match begin {
        [] => "empty",
        [b'P', b'K', 3, 4, ..] => "a zip file",
        [b'<', ..] => "an HTML or XML page",
        begin if begin.len() < BLOCK => "too short for one",
        begin if begin.iter().all(|byte| *byte == 0) => return Ok(()),
        begin => {
            let header = begin.first_chunk().map(header::Header::parse);
            match header {
                Some(Ok(_)) => return Ok(()),
                _ => "something else",
            }
        }
    };
    Err(Error::NotTar { found })
}
