//! Images whose files lie in a directory instead of a tar: OCI layouts, archives unpacked.

use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::Error;
use super::file::File;
use super::index::Index;
use super::scan::{End, Found};
use crate::content::{self, ByteStream, FileError, FileObject, RangeRead, Task};

/// How deep directories are searched: `blobs/sha256/<hex>`.
const MAX_DEPTH: usize = 4;

/// The files of a directory as if they stood one behind the other.
pub(super) struct Directory {
    name: String,
    size: u64,
    /// With the offset at which each begins, ascending.
    files: Vec<(u64, PathBuf)>,
}

impl Directory {
    /// Finds the files of a directory.
    pub(super) async fn scan(path: PathBuf) -> Result<(Self, Index), Error> {
        Task::blocking(move || {
            let mut directory = Self {
                name: path.display().to_string(),
                size: 0,
                files: Vec::new(),
            };
            let mut index = Index::default();
            directory.add_all(&path, &path, &mut index, MAX_DEPTH)?;
            index.take(Found::End(End::Marked))?;
            Ok((directory, index))
        })
        .await
    }

    fn add_all(
        &mut self,
        root: &Path,
        directory: &Path,
        index: &mut Index,
        depth: usize,
    ) -> Result<(), Error> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            |source| Error::Read(content::Error::backend(FileError::Read { path, source }))
        };
        for entry in directory.read_dir().map_err(failed(directory))? {
            let path = entry.map_err(failed(directory))?.path();
            // A link that leads nowhere is no file.
            let Ok(metadata) = path.metadata() else {
                continue;
            };
            if metadata.is_file() {
                let begin = begin(&path).map_err(failed(&path))?;
                let name = path.strip_prefix(root).unwrap_or(&path);
                let name: Vec<_> = name.iter().map(|part| part.to_string_lossy()).collect();
                let data = self.size..self.size + metadata.len();
                let file = File::new(data.clone(), &begin);
                index.take(Found::File(name.join("/"), file, None))?;
                self.files.push((data.start, path));
                self.size = data.end;
            } else if metadata.is_dir() && depth > 0 {
                self.add_all(root, &path, index, depth - 1)?;
            }
        }
        Ok(())
    }
}

/// The first bytes of a file, by which its format is told.
fn begin(path: &Path) -> io::Result<Vec<u8>> {
    let mut begin = Vec::new();
    std::fs::File::open(path)?.take(8).read_to_end(&mut begin)?;
    Ok(begin)
}

impl RangeRead for Directory {
    fn size(&self) -> u64 {
        self.size
    }

    fn name(&self) -> &str {
        &self.name
    }

    /// Reads from one file; no range goes beyond it.
    fn read(&self, range: Range<u64>) -> BoxFuture<'_, content::Result<ByteStream>> {
        async move {
            let after = self
                .files
                .partition_point(|(start, _)| *start <= range.start);
            // Of files that begin at one offset, all but the last are empty.
            let Some((start, path)) = self.files[..after].last() else {
                return Ok(Box::pin(futures_util::stream::empty()) as ByteStream);
            };
            let file = FileObject::open(path)
                .await
                .map_err(content::Error::backend)?;
            file.read(range.start - start..range.end - start).await
        }
        .boxed()
    }
}
