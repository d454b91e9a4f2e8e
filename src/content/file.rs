//! Files on this machine, for the command line and the embedded stand-ins.

use std::io::{self, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::{Buffer, ByteStream, Error, RangeRead, Result, Retryable};

/// Bytes read at once.
const PIECE: usize = Buffer::BLOCK;

/// A file, pinned by its length and time of change.
#[derive(Clone, Debug)]
pub struct FileObject {
    path: PathBuf,
    name: String,
    size: u64,
    modified: Option<SystemTime>,
}

/// A file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The system refuses.
    #[error("cannot read file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// It is a directory or a device.
    #[error("{} is no file", path.display())]
    NoFile {
        /// What is not a file.
        path: PathBuf,
    },
    /// Someone wrote to it while it was read.
    #[error("file {} changed while it was read; try again", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
}

impl Retryable for FileError {
    fn is_retryable(&self) -> bool {
        false
    }
}

impl FileObject {
    /// Finds a file and notes its length and time of change.
    pub async fn open(path: impl Into<PathBuf>) -> std::result::Result<Self, FileError> {
        let path = path.into();
        let metadata = match tokio::fs::metadata(&path).await {
            Ok(metadata) if metadata.is_file() => metadata,
            Ok(_) => return Err(FileError::NoFile { path }),
            Err(source) => return Err(FileError::Read { path, source }),
        };
        Ok(Self {
            name: path.display().to_string(),
            path,
            size: metadata.len(),
            modified: metadata.modified().ok(),
        })
    }

    /// The place where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn error(&self, source: io::Error) -> Error {
        Error::backend(FileError::Read {
            path: self.path.clone(),
            source,
        })
    }

    async fn open_at(&self, offset: u64) -> Result<File> {
        let open = async {
            let mut file = File::open(&self.path).await?;
            let metadata = file.metadata().await?;
            file.seek(SeekFrom::Start(offset)).await?;
            Ok((file, metadata))
        };
        let (file, metadata) = open.await.map_err(|source| self.error(source))?;
        if metadata.len() != self.size || metadata.modified().ok() != self.modified {
            return Err(self.changed());
        }
        Ok(file)
    }

    async fn piece(&self, file: &mut File, left: u64) -> Result<Bytes> {
        let length = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
        let mut piece = Buffer::take();
        match file.read_exact(&mut piece.room()[..length]).await {
            Ok(_) => {
                piece.advance(length);
                Ok(piece.freeze())
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(self.changed()),
            Err(source) => Err(self.error(source)),
        }
    }

    fn changed(&self) -> Error {
        Error::backend(FileError::Changed {
            path: self.path.clone(),
        })
    }
}

impl RangeRead for FileObject {
    fn size(&self) -> u64 {
        self.size
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn read(&self, range: Range<u64>) -> BoxFuture<'_, Result<ByteStream>> {
        async move {
            let file = self.open_at(range.start).await?;
            let state = (self.clone(), file, range.end - range.start);
            let pieces = stream::try_unfold(state, |(object, mut file, left)| async move {
                if left == 0 {
                    return Ok(None);
                }
                let piece = object.piece(&mut file, left).await?;
                let left = left - piece.len() as u64;
                Ok(Some((piece, (object, file, left))))
            });
            Ok(pieces.boxed())
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::collect;

    #[tokio::test]
    async fn reads_ranges() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let bytes: Vec<u8> = (0..=255).cycle().take(2 * PIECE + 99).collect();
        std::fs::write(&path, &bytes).unwrap();
        let file = FileObject::open(&path).await.unwrap();
        assert_eq!(file.size(), bytes.len() as u64);
        for range in [0..0, 5..6, 3..bytes.len(), PIECE..2 * PIECE] {
            let stream = file.read(range.start as u64..range.end as u64).await;
            let read = collect(stream.unwrap(), 1 << 30).await.unwrap();
            assert!(read == bytes[range]);
        }
    }

    #[tokio::test]
    async fn notices_a_change() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, "before").unwrap();
        let file = FileObject::open(&path).await.unwrap();
        std::fs::write(&path, "after it").unwrap();
        let error = file.read(0..1).await.err().unwrap();
        assert!(error.to_string().contains("changed while"), "{error}");
    }

    #[tokio::test]
    async fn only_files_are_files() {
        let directory = tempfile::tempdir().unwrap();
        let error = FileObject::open(directory.path()).await.unwrap_err();
        assert!(matches!(error, FileError::NoFile { .. }), "{error}");
        let error = FileObject::open(directory.path().join("none")).await;
        assert!(matches!(error, Err(FileError::Read { .. })));
    }
}
