//! An OCI image layout in a directory. Blobs that are whole stay where a run fails, and are found
//! by the next one; `index.json` changes when all are there.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use tempfile::NamedTempFile;

use super::index::{INDEX, IndexDocument, Listed, MARKER, MARKER_CONTENT};
use super::{WriteError, blob_path, scratch};
use crate::content::{self, ByteStream, FileObject, Opener, RangeRead, Task};
use crate::oci::{Descriptor, Digest};

/// The directory.
pub(super) struct Folder {
    root: PathBuf,
    name: String,
}

impl Folder {
    /// Looks at a directory that is one already, that is empty, or that is not there yet.
    pub(super) fn open(root: &Path, name: String) -> Result<Self, WriteError> {
        let shown = || root.display().to_string();
        if root.is_file() {
            return Err(WriteError::IsFile(shown()));
        }
        let folder = Self {
            root: root.to_owned(),
            name,
        };
        if root.is_dir() {
            let is_layout = root.join(MARKER).exists() || root.join(INDEX).exists();
            if !is_layout && folder.has_files()? {
                return Err(WriteError::NoLayout(shown()));
            }
            folder.index()?;
        }
        let mut existing = root.ancestors().filter(|ancestor| ancestor.is_dir());
        let existing = existing.next().unwrap_or(Path::new("."));
        match scratch(existing) {
            Ok(_) => Ok(folder),
            Err(source) => Err(WriteError::Write {
                place: folder.name,
                source,
            }),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The size of a blob that is there.
    pub(super) fn size(&self, digest: &Digest) -> Option<u64> {
        let metadata = fs::metadata(self.path(digest)).ok()?;
        metadata.is_file().then_some(metadata.len())
    }

    /// Takes a blob; what it is, is known then.
    pub(super) async fn put(&self, blob: &dyn Opener) -> content::Result<()> {
        let mut stream = blob.open(0).await?;
        let scratch = self.scratch()?;
        let file = Arc::new(scratch.reopen().map_err(WriteError::System)?);
        while let Some(piece) = stream.next().await.transpose()? {
            let file = Arc::clone(&file);
            let writing = Task::blocking(move || io::Write::write_all(&mut &*file, &piece));
            writing.await.map_err(WriteError::System)?;
        }
        let incomplete = || WriteError::Incomplete(self.name.clone());
        let made = blob.descriptor().ok_or_else(incomplete)?;
        Ok(self.keep(scratch, &blob_path(&made.digest))?)
    }

    /// Takes a blob that is in memory.
    pub(super) fn put_bytes(&self, blob: &Descriptor, bytes: &Bytes) -> Result<(), WriteError> {
        if self.size(&blob.digest) == Some(blob.size) {
            return Ok(());
        }
        self.write(&blob_path(&blob.digest), bytes)
    }

    /// Reads a blob that is there.
    pub(super) async fn read(&self, digest: &Digest, offset: u64) -> content::Result<ByteStream> {
        let file = FileObject::open(self.path(digest)).await;
        let file = file.map_err(content::Error::backend)?;
        file.read(offset..file.size()).await
    }

    /// Lists what was written, beside what others listed.
    pub(super) fn complete(&self, listed: &[Listed]) -> Result<(), WriteError> {
        let failed = WriteError::System;
        fs::create_dir_all(&self.root).map_err(failed)?;
        // Held until the file is closed.
        let lock = File::open(&self.root).map_err(failed)?;
        lock.lock().map_err(failed)?;
        let mut index = self.index()?;
        for listed in listed {
            index.list(listed);
        }
        if !self.root.join(MARKER).exists() {
            self.write(MARKER, MARKER_CONTENT)?;
        }
        self.write(INDEX, &index.bytes())
    }

    fn index(&self) -> Result<IndexDocument, WriteError> {
        match fs::read(self.root.join(INDEX)) {
            Ok(bytes) => IndexDocument::parse(&bytes, &self.name),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(IndexDocument::empty()),
            Err(error) => Err(WriteError::System(error)),
        }
    }

    fn has_files(&self) -> Result<bool, WriteError> {
        let mut files = fs::read_dir(&self.root).map_err(WriteError::System)?;
        Ok(files.next().is_some())
    }

    /// Writes a file that appears whole.
    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), WriteError> {
        let scratch = self.scratch()?;
        io::Write::write_all(&mut scratch.as_file(), bytes).map_err(WriteError::System)?;
        self.keep(scratch, name)
    }

    fn scratch(&self) -> Result<NamedTempFile, WriteError> {
        let made = fs::create_dir_all(&self.root).and_then(|()| scratch(&self.root));
        made.map_err(WriteError::System)
    }

    fn keep(&self, scratch: NamedTempFile, name: &str) -> Result<(), WriteError> {
        let path = self.root.join(name);
        let folder = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder).map_err(WriteError::System)?;
        let kept = scratch.persist(path);
        kept.map(drop)
            .map_err(|error| WriteError::System(error.error))
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.root.join(blob_path(digest))
    }
}
