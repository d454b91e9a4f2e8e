//! Images written to files: OCI layouts in directories, tars of them, and tars that `docker load`
//! takes.
//!
//! A [`Writer`] is a destination of the engine. What was there under its name stays until the
//! image is complete: a tar is written beside its name and renamed, a layout lists an image when
//! all of it is there. Nothing of a blob is held in memory but the pieces under way.

mod append;
mod docker;
mod docker_entry;
mod error;
mod file;
mod folder;
mod header;
mod index;
mod tar;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use serde_json::Value;
use tempfile::NamedTempFile;

use self::folder::Folder;
use self::index::{INDEX, IndexDocument, Listed, MARKER, MARKER_CONTENT};
use self::tar::Tar;
use super::Archive;
use crate::content::{
    self, ByteStream, Destination, FileObject, ManifestKey, Opener, Pushed, Source, Task, verified,
};
use crate::oci::{Descriptor, Digest, RawManifest, Tag};

pub use error::WriteError;
pub use file::{Form, ImageFile, InvalidFile};

/// An image on its way into a file or directory.
pub struct Writer {
    file: ImageFile,
    names: Vec<String>,
    storage: Arc<Storage>,
    written: Mutex<Written>,
}

enum Storage {
    Folder(Folder),
    Tar(Tar),
}

/// Keeps something of an archive that is added to.
type Keep = fn(&mut Tar, append::Found<'_>) -> io::Result<()>;

/// The documents that end a layout or an archive.
#[derive(Default)]
struct Written {
    manifests: HashMap<Digest, RawManifest>,
    /// The images that are listed beside the image itself.
    listed: Vec<Listed>,
    /// The index of an archive that is added to.
    index: Option<IndexDocument>,
    /// The images of an archive for Docker that is added to.
    images: Vec<Value>,
}

impl Writer {
    /// Sees to it that `file` can be written to. What is there stays as it is.
    ///
    /// # Errors
    ///
    /// Where it holds something that is no image, or cannot be written to.
    pub async fn open(file: ImageFile) -> Result<Self, WriteError> {
        Self::open_with(file, Tar::take_over).await
    }

    /// Sees to it that `file` can be written to, and learns which blobs it keeps. Nothing is taken
    /// over from an archive that is added to: this writer is to be asked only.
    ///
    /// # Errors
    ///
    /// As [`Writer::open`].
    pub async fn look(file: ImageFile) -> Result<Self, WriteError> {
        Self::open_with(file, |tar, found| {
            tar.note(&found);
            Ok(())
        })
        .await
    }

    async fn open_with(file: ImageFile, keep: Keep) -> Result<Self, WriteError> {
        let names = file.names()?;
        let mut written = Written::default();
        let storage = match (&file.path, file.form) {
            (Some(path), Form::Layout) => Storage::Folder(Folder::open(path, file.to_string())?),
            (Some(path), _) => {
                check_present(path, &file).await?;
                let (tar, kept) = begin(&file, keep).await?;
                written.index = kept.index;
                written.images = kept.images;
                Storage::Tar(tar)
            }
            (None, _) => Storage::Tar(Tar::begin(&file)?),
        };
        Ok(Self {
            file,
            names,
            storage: Arc::new(storage),
            written: Mutex::new(written),
        })
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists what was written, and makes it what is under the file's name.
    async fn finish(&self, root: &RawManifest) -> content::Result<()> {
        let listed = self.listed(root);
        let tar = match &*self.storage {
            Storage::Folder(folder) => return Ok(folder.complete(&listed)?),
            Storage::Tar(tar) => tar,
        };
        let documents = if self.file.form == Form::DockerArchive {
            let images = self.written().images.clone();
            let names = listed.into_iter().filter_map(|listed| listed.name);
            let names: Vec<_> = names.collect();
            vec![(
                docker_entry::MANIFEST,
                docker::list(images, root, &names, tar)?,
            )]
        } else {
            let mut index = self.written().index.take();
            let index = index.get_or_insert_with(IndexDocument::empty);
            for listed in &listed {
                index.list(listed);
            }
            vec![(MARKER, MARKER_CONTENT.to_vec()), (INDEX, index.bytes())]
        };
        tar.complete(documents).await
    }

    /// The image under each of its names, and what is to be listed beside it.
    fn listed(&self, root: &RawManifest) -> Vec<Listed> {
        let of_root = |name| Listed {
            descriptor: root.descriptor(),
            name,
        };
        let mut listed: Vec<_> = self.names.iter().cloned().map(Some).map(of_root).collect();
        if listed.is_empty() {
            listed.push(of_root(None));
        }
        listed.extend(self.written().listed.iter().cloned());
        listed
    }

    async fn take_manifest(
        &self,
        manifest: &RawManifest,
        tag: Option<&Tag>,
    ) -> content::Result<()> {
        let name = tag.map(|tag| self.file.tagged(tag)).transpose();
        let name = name.map_err(WriteError::from)?;
        let descriptor = manifest.descriptor();
        let is_referrer = manifest
            .parse()
            .is_ok_and(|parsed| parsed.subject().is_some());
        match &*self.storage {
            _ if self.file.form == Form::DockerArchive => drop(docker::image_of(manifest)?),
            Storage::Folder(folder) => folder.put_bytes(&descriptor, manifest.bytes())?,
            Storage::Tar(tar) => tar.put_bytes(&descriptor, manifest.bytes()).await?,
        }
        let mut written = self.written();
        if name.is_some() || is_referrer {
            written.listed.push(Listed { descriptor, name });
        }
        let digest = manifest.digest().clone();
        written.manifests.insert(digest, manifest.clone());
        Ok(())
    }

    /// A manifest that was written. Those of others are written again: not all that they name may
    /// be there.
    fn manifest_of(&self, key: ManifestKey<'_>) -> Option<RawManifest> {
        let written = self.written();
        let digest = match key {
            ManifestKey::Digest(digest) => digest,
            ManifestKey::Tag(tag) => {
                let name = self.file.tagged(tag).ok();
                let mut listed = written.listed.iter();
                let named = |listed: &&Listed| listed.name.is_some() && listed.name == name;
                &listed.find(named)?.descriptor.digest
            }
        };
        written.manifests.get(digest).cloned()
    }
}

impl Destination for Writer {
    fn name(&self) -> &str {
        self.storage.name()
    }

    fn blob_size<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, content::Result<Option<u64>>> {
        ready(Ok(self.storage.size(digest))).boxed()
    }

    fn push_blob<'a>(
        &'a self,
        blob: &'a dyn Opener,
        _mount_from: &'a [String],
    ) -> BoxFuture<'a, content::Result<Pushed>> {
        async move {
            match &*self.storage {
                Storage::Folder(folder) => folder.put(blob).await?,
                Storage::Tar(tar) => tar.put(blob).await?,
            }
            Ok(Pushed::Uploaded)
        }
        .boxed()
    }

    fn manifest<'a>(
        &'a self,
        key: ManifestKey<'a>,
    ) -> BoxFuture<'a, content::Result<Option<RawManifest>>> {
        ready(Ok(self.manifest_of(key))).boxed()
    }

    fn manifest_digest<'a>(
        &'a self,
        key: ManifestKey<'a>,
    ) -> BoxFuture<'a, content::Result<Option<Digest>>> {
        let manifest = self.manifest_of(key);
        ready(Ok(manifest.map(|manifest| manifest.digest().clone()))).boxed()
    }

    fn push_manifest<'a>(
        &'a self,
        manifest: &'a RawManifest,
        tag: Option<&'a Tag>,
    ) -> BoxFuture<'a, content::Result<()>> {
        self.take_manifest(manifest, tag).boxed()
    }

    fn complete<'a>(&'a self, root: &'a RawManifest) -> BoxFuture<'a, content::Result<()>> {
        self.finish(root).boxed()
    }
}

/// The written image, as a place to describe it from.
impl Source for Writer {
    fn name(&self) -> &str {
        self.storage.name()
    }

    fn manifest<'a>(
        &'a self,
        descriptor: &'a Descriptor,
    ) -> BoxFuture<'a, content::Result<RawManifest>> {
        let manifest = self.manifest_of(ManifestKey::Digest(&descriptor.digest));
        let incomplete = || WriteError::Incomplete(self.storage.name().to_owned()).into();
        ready(manifest.ok_or_else(incomplete)).boxed()
    }

    fn listed<'a>(
        &'a self,
        descriptor: &'a Descriptor,
    ) -> BoxFuture<'a, content::Result<Option<RawManifest>>> {
        let manifest = self.manifest_of(ManifestKey::Digest(&descriptor.digest));
        ready(Ok(manifest)).boxed()
    }

    fn blob(&self, descriptor: &Descriptor) -> Arc<dyn Opener> {
        Arc::new(WrittenBlob {
            storage: Arc::clone(&self.storage),
            descriptor: descriptor.clone(),
        })
    }

    fn referrers<'a>(
        &'a self,
        _digest: &'a Digest,
    ) -> BoxFuture<'a, content::Result<Vec<Descriptor>>> {
        ready(Ok(Vec::new())).boxed()
    }

    fn tagged<'a>(&'a self, tag: &'a Tag) -> BoxFuture<'a, content::Result<Option<RawManifest>>> {
        ready(Ok(self.manifest_of(ManifestKey::Tag(tag)))).boxed()
    }
}

impl Storage {
    fn name(&self) -> &str {
        match self {
            Self::Folder(folder) => folder.name(),
            Self::Tar(tar) => tar.name(),
        }
    }

    fn size(&self, digest: &Digest) -> Option<u64> {
        match self {
            Self::Folder(folder) => folder.size(digest),
            Self::Tar(tar) => tar.size(digest),
        }
    }

    async fn read(&self, digest: &Digest, offset: u64) -> content::Result<ByteStream> {
        match self {
            Self::Folder(folder) => folder.read(digest, offset).await,
            Self::Tar(tar) => {
                let stream = tar.read(digest, offset);
                Ok(stream.ok_or_else(|| WriteError::Incomplete(tar.name().to_owned()))?)
            }
        }
    }
}

/// A blob that was written.
struct WrittenBlob {
    storage: Arc<Storage>,
    descriptor: Descriptor,
}

impl Opener for WrittenBlob {
    fn descriptor(&self) -> Option<Descriptor> {
        Some(self.descriptor.clone())
    }

    fn open(&self, offset: u64) -> BoxFuture<'_, content::Result<ByteStream>> {
        async move {
            let stream = self.storage.read(&self.descriptor.digest, offset).await?;
            if offset > 0 {
                return Ok(stream);
            }
            Ok(verified(stream, &self.descriptor))
        }
        .boxed()
    }
}

/// Tells a path where no archive can be put.
async fn check_present(path: &Path, file: &ImageFile) -> Result<(), WriteError> {
    let Ok(metadata) = path.metadata() else {
        return Ok(());
    };
    if metadata.is_dir() {
        return Err(WriteError::IsDirectory(path.display().to_string()));
    }
    // One that is empty was made to be written to, as by `mktemp`.
    if !metadata.is_file() || metadata.len() == 0 {
        return Ok(());
    }
    let no_archive = |source| WriteError::NoArchive {
        place: file.to_string(),
        source: Box::new(source),
    };
    let present = FileObject::open(path).await;
    let present = present.map_err(|error| super::Error::Read(content::Error::backend(error)));
    let present = Arc::new(present.map_err(no_archive)?);
    Archive::open(present).await.map(drop).map_err(no_archive)
}

/// Begins a tar, with what is in the one that it replaces where it adds to that.
async fn begin(file: &ImageFile, keep: Keep) -> Result<(Tar, append::Kept), WriteError> {
    let file = file.clone();
    Task::blocking(move || {
        let mut tar = Tar::begin(&file)?;
        let present = file.path.as_ref().filter(|_| file.append);
        let present = present.filter(|path| path.metadata().is_ok_and(|there| there.len() > 0));
        let kept = match present {
            Some(path) => append::read(path, file.form, &file.to_string(), |found| {
                keep(&mut tar, found)
            })?,
            None => append::Kept::default(),
        };
        Ok((tar, kept))
    })
    .await
}

/// The path of a blob in a layout.
fn blob_path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.hex())
}

/// A file that is to get another name in its folder, with the permissions of a usual one.
fn scratch(folder: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new()
        .prefix(".longshore-")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)
        // Without the name that nobody has asked for.
        .map_err(|error| error.kind().into())
}
