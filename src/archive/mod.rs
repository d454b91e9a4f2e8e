//! Archives of images: tars that `docker save` and exporters of OCI layouts write, read by ranges
//! where they lie and never unpacked.
//!
//! [`Archive::open`] finds out where every file is, reading headers and skipping data.
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
mod compression;
mod directory;
mod docker;
mod error;
mod header;
mod index;
mod layer;
mod layout;
mod outer;
mod pax;
mod selector;
mod store;
#[cfg(test)]
mod testing;
mod walk;
mod window;

use std::path::PathBuf;
use std::sync::Arc;

pub use choice::Choices;
pub use compression::{Compression, InvalidCompression};
pub use error::Error;
pub use selector::{InvalidSelector, Selector};

use self::compression::Format;
use self::directory::Directory;
use self::docker::Docker;
use self::header::BLOCK;
use self::index::{Index, Reader};
use self::layout::Layout;
use self::outer::{Cursor, Unpacked};
use self::store::Store;
use self::window::Window;
use crate::content::{RangeRead, Source, UnbuiltImage};
use crate::oci::{Manifest, MediaType, RawManifest};

/// An archive whose files are known.
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
    /// Finds the files of an archive, reading its headers. An archive that is compressed as a whole
    /// is decompressed for that from beginning to end.
    pub async fn open(object: Arc<dyn RangeRead>) -> Result<Self, Error> {
        let mut window = Window::new(object.as_ref());
        let begin = window.read(0..BLOCK as u64).await.map_err(Error::Read)?;
        match Format::of(&begin) {
            format @ (Format::Gzip | Format::Zstd | Format::Xz | Format::Bzip2) => {
                Self::open_compressed(object, format).await
            }
            Format::Json | Format::Plain => {
                expect_tar(&begin)?;
                let index = Index::scan(&mut window).await?;
                Ok(Self::over(object, index, false))
            }
        }
    }

    async fn open_compressed(object: Arc<dyn RangeRead>, format: Format) -> Result<Self, Error> {
        let mut cursor = Cursor::new(&object, format);
        let begin = cursor.read(0..BLOCK as u64).await.map_err(Error::Read)?;
        expect_tar(&begin)?;
        let index = Index::scan(&mut cursor).await?;
        let size = cursor.position();
        let object = Arc::new(Unpacked::new(object, format, size));
        Ok(Self::over(object, index, true))
    }

    /// Finds the files of an image that lies unpacked in a directory, such as an OCI layout.
    pub async fn open_directory(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let (directory, index) = Directory::scan(path.into()).await?;
        Ok(Self::over(Arc::new(directory), index, false))
    }

    fn over(object: Arc<dyn RangeRead>, index: Index, sequential: bool) -> Self {
        let store = Arc::new(Store {
            object,
            index,
            sequential,
        });
        Self { store }
    }

    /// Whether the archive as a whole is compressed: then it can only be read from the beginning
    /// on, and blobs are best copied one at a time in order of their position.
    pub fn is_sequential(&self) -> bool {
        self.store.sequential
    }

    /// The image that `selector` means, or the only one. `compression` is for layers that the
    /// archive holds uncompressed.
    pub async fn select(
        &self,
        selector: Option<&Selector>,
        compression: Compression,
    ) -> Result<Selected, Error> {
        let docker = if self.store.index.has(docker::MANIFEST) {
            Some(Docker::read(&self.store).await?)
        } else {
            None
        };
        match (self.layout(selector).await, docker) {
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

    /// What the OCI layout of the archive, if it has one, says of the image.
    async fn layout(
        &self,
        selector: Option<&Selector>,
    ) -> Option<Result<(RawManifest, Layout), Error>> {
        if !self.store.index.has(layout::INDEX) {
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
        let names = || self.store.index.names();
        if names().any(|name| name == "repositories") {
            return ": it was written by Docker before 1.10, load and save it with a current one";
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
    let Ok(Manifest::Image(image)) = root.parse() else {
        return None;
    };
    let plain = [MediaType::OCI_LAYER, MediaType::DOCKER_LAYER];
    if !image
        .layers
        .iter()
        .any(|layer| plain.contains(&layer.media_type))
    {
        return None;
    }
    docker.with_config(&image.config.digest, compression).await
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
