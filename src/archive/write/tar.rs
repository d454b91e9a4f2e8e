//! A tar that is written beside its name, with several blobs under way at once.
//!
//! A blob whose size is known gets its room at the end of the file and is written there, whatever
//! comes behind it meanwhile. One that is made on the way has the end of the file for itself until
//! its size is known.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use tempfile::TempPath;

use super::append::{Found, digest_of};
use super::header::{self, BLOCK, padded};
use super::{Form, ImageFile, WriteError, docker_entry, scratch};
use crate::content::{self, ByteStream, Opener, Task};
use crate::oci::{Descriptor, Digest};

/// Bytes read back at once.
const PIECE: u64 = 1 << 20;

/// The tar.
pub(super) struct Tar {
    form: Form,
    name: String,
    file: Arc<File>,
    goal: Mutex<Option<Goal>>,
    /// The end of what is written or has its room.
    end: tokio::sync::Mutex<u64>,
    /// Blobs that have their room and are not whole.
    unfinished: AtomicUsize,
    blobs: Mutex<HashMap<Digest, Stored>>,
}

/// The place where the tar is to be when it is complete.
enum Goal {
    /// At this path, in the place of what is there.
    File(TempPath, PathBuf),
    /// In a pipe or a device.
    Stream(File),
}

/// A blob that is in the tar.
#[derive(Clone)]
struct Stored {
    entry: String,
    start: u64,
    size: u64,
}

impl Tar {
    /// Begins a tar for `file`. What is there under its name stays until the tar is complete.
    pub(super) fn begin(file: &ImageFile) -> Result<Self, WriteError> {
        let name = file.to_string();
        let failed = |source| WriteError::Write {
            place: name.clone(),
            source,
        };
        let (scratch, goal) = match &file.path {
            None if io::stdout().is_terminal() => return Err(WriteError::Terminal),
            None => {
                let stdout = io::stdout().as_fd().try_clone_to_owned();
                streamed(stdout.map_err(failed)?.into())?
            }
            Some(path) if is_device(path) => {
                let device = File::options().write(true).open(path);
                streamed(device.map_err(failed)?)?
            }
            Some(path) => {
                let path = path.canonicalize().unwrap_or_else(|_| path.clone());
                let (scratch, temporary) = beside(&path, &name)?;
                (scratch, Goal::File(temporary, path))
            }
        };
        Ok(Self {
            form: file.form,
            name,
            file: Arc::new(scratch),
            goal: Mutex::new(Some(goal)),
            end: tokio::sync::Mutex::new(0),
            unfinished: AtomicUsize::new(0),
            blobs: Mutex::default(),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The size of a blob that is in the tar.
    pub(super) fn size(&self, digest: &Digest) -> Option<u64> {
        self.blobs().get(digest).map(|stored| stored.size)
    }

    /// The name of a blob's entry.
    pub(super) fn entry_of(&self, digest: &Digest) -> Option<String> {
        self.blobs().get(digest).map(|stored| stored.entry.clone())
    }

    /// Takes over what another archive holds.
    pub(super) fn take_over(&mut self, found: Found<'_>) -> io::Result<()> {
        let end = self.end.get_mut();
        match found {
            Found::Link(name, kind, target) => {
                let header = header::link(name, kind, target)?;
                self.file.write_all_at(&header, *end)?;
                *end += header.len() as u64;
            }
            Found::File(name, size, content) => {
                let header = header::file(name, size)?;
                self.file.write_all_at(&header, *end)?;
                let start = *end + header.len() as u64;
                io::Seek::seek(&mut &*self.file, io::SeekFrom::Start(start))?;
                let copied = io::copy(content, &mut &*self.file)?;
                if copied != size {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                *end = start + padded(size);
                self.file.set_len(*end)?;
                if let Some(digest) = digest_of(name) {
                    self.keep(&digest, name.to_owned(), start, size);
                }
            }
        }
        Ok(())
    }

    /// Learns that another archive holds a blob, and leaves it there.
    pub(super) fn note(&self, found: &Found<'_>) {
        if let Found::File(name, size, _) = found
            && let Some(digest) = digest_of(name)
        {
            self.keep(&digest, (*name).to_owned(), 0, *size);
        }
    }

    /// Takes a blob; what it is, is known then.
    pub(super) async fn put(&self, blob: &dyn Opener) -> content::Result<()> {
        match blob.descriptor() {
            Some(known) => self.put_known(blob, &known).await,
            None => self.put_made(blob).await,
        }
    }

    async fn put_known(&self, blob: &dyn Opener, known: &Descriptor) -> content::Result<()> {
        let entry = self.entry_name(known);
        let header = header::file(&entry, known.size).map_err(failed)?;
        let stream = blob.open(0).await?;
        let (at, after) = self.reserve(header.len() as u64 + padded(known.size)).await;
        let start = at + header.len() as u64;
        let filled = self.fill(stream, start).await.and_then(|size| {
            let expected = known.size;
            let wrong = content::Error::Size {
                expected,
                actual: size,
            };
            if size == expected { Ok(()) } else { Err(wrong) }
        });
        if let Err(error) = filled {
            self.give_back(at, after).await;
            return Err(error);
        }
        self.write(header.into(), at).await?;
        self.unfinished.fetch_sub(1, Ordering::Relaxed);
        self.keep(&known.digest, entry, start, known.size);
        Ok(())
    }

    async fn put_made(&self, blob: &dyn Opener) -> content::Result<()> {
        let mut end = self.end.lock().await;
        let start = *end + BLOCK;
        let stream = blob.open(0).await?;
        let size = self.fill(stream, start).await?;
        let made = blob.descriptor().filter(|made| made.size == size);
        let incomplete = || WriteError::Incomplete(self.name.clone());
        let made = made.ok_or_else(incomplete)?;
        let entry = self.entry_name(&made);
        let header = header::file(&entry, size).map_err(failed)?;
        if header.len() as u64 != BLOCK {
            return Err(incomplete().into());
        }
        self.write(header.into(), *end).await?;
        *end = start + padded(size);
        self.keep(&made.digest, entry, start, size);
        Ok(())
    }

    /// Takes a blob that is in memory.
    pub(super) async fn put_bytes(&self, blob: &Descriptor, bytes: &Bytes) -> content::Result<()> {
        if self.size(&blob.digest).is_none() {
            let entry = self.entry_name(blob);
            let start = self.add(&entry, bytes).await?;
            self.keep(&blob.digest, entry, start, blob.size);
        }
        Ok(())
    }

    /// Reads a blob that is in the tar.
    pub(super) fn read(&self, digest: &Digest, offset: u64) -> Option<ByteStream> {
        let stored = self.blobs().get(digest).cloned()?;
        let range = stored.start + offset..stored.start + stored.size;
        let state = (Arc::clone(&self.file), range);
        let pieces = stream::try_unfold(state, |(file, mut range)| async move {
            if range.is_empty() {
                return Ok(None);
            }
            let length = PIECE.min(range.end - range.start);
            let at = range.start;
            range.start += length;
            let reading = Arc::clone(&file);
            let piece = Task::blocking(move || {
                let mut piece = vec![0; usize::try_from(length).unwrap_or(0)];
                reading.read_exact_at(&mut piece, at).map(|()| piece)
            });
            let piece: io::Result<Vec<u8>> = piece.await;
            piece.map(|piece| Some((Bytes::from(piece), (file, range))))
        });
        Some(pieces.map_err(failed).boxed())
    }

    /// Ends the tar with these documents, and puts it in its place.
    pub(super) async fn complete(&self, documents: Vec<(&str, Vec<u8>)>) -> content::Result<()> {
        if self.unfinished.load(Ordering::Relaxed) > 0 {
            return Err(WriteError::Incomplete(self.name.clone()).into());
        }
        for (entry, bytes) in documents {
            self.add(entry, &bytes.into()).await?;
        }
        let end = *self.end.lock().await;
        self.write(vec![0; 2 * header::SIZE].into(), end).await?;
        let file = Arc::clone(&self.file);
        let goal = self
            .goal
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let finished = detached(move || {
            file.set_len(end + 2 * BLOCK)?;
            match goal {
                None => Ok(()),
                Some(Goal::File(temporary, path)) => Ok(temporary.persist(path)?),
                Some(Goal::Stream(mut stream)) => {
                    io::Seek::rewind(&mut &*file)?;
                    io::copy(&mut &*file, &mut stream).map(drop)
                }
            }
        });
        finished.await.map_err(failed)
    }

    /// Writes a whole entry at the end; where its content begins.
    async fn add(&self, entry: &str, bytes: &Bytes) -> content::Result<u64> {
        let size = bytes.len() as u64;
        let mut whole = header::file(entry, size).map_err(failed)?;
        let begins = whole.len() as u64;
        whole.extend_from_slice(bytes);
        let length = begins + padded(size);
        whole.resize(usize::try_from(length).unwrap_or(whole.len()), 0);
        let mut end = self.end.lock().await;
        self.write(whole.into(), *end).await?;
        let start = *end + begins;
        *end += length;
        Ok(start)
    }

    async fn reserve(&self, length: u64) -> (u64, u64) {
        let mut end = self.end.lock().await;
        let at = *end;
        *end += length;
        self.unfinished.fetch_add(1, Ordering::Relaxed);
        (at, *end)
    }

    /// Takes back room at the end. Room before others stays, and the tar cannot be completed.
    async fn give_back(&self, at: u64, after: u64) {
        let mut end = self.end.lock().await;
        if *end == after {
            *end = at;
            self.unfinished.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Writes a stream and zeros up to the next block; the stream's length.
    async fn fill(&self, mut stream: ByteStream, start: u64) -> content::Result<u64> {
        let mut size = 0;
        while let Some(piece) = stream.next().await.transpose()? {
            let length = piece.len() as u64;
            self.write(piece, start + size).await?;
            size += length;
        }
        let zeros = usize::try_from(padded(size) - size).unwrap_or(0);
        self.write(vec![0; zeros].into(), start + size).await?;
        Ok(size)
    }

    async fn write(&self, bytes: Bytes, at: u64) -> content::Result<()> {
        let file = Arc::clone(&self.file);
        let writing = Task::blocking(move || file.write_all_at(&bytes, at));
        writing.await.map_err(failed)
    }

    fn keep(&self, digest: &Digest, entry: String, start: u64, size: u64) {
        let stored = Stored { entry, start, size };
        self.blobs().insert(digest.clone(), stored);
    }

    fn entry_name(&self, blob: &Descriptor) -> String {
        match self.form {
            Form::DockerArchive => docker_entry::entry_name(blob),
            Form::Layout | Form::OciArchive => super::blob_path(&blob.digest),
        }
    }

    fn blobs(&self) -> MutexGuard<'_, HashMap<Digest, Stored>> {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failed(source: io::Error) -> content::Error {
    WriteError::System(source).into()
}

/// A file beside the one that it is to replace.
fn beside(path: &Path, name: &str) -> Result<(File, TempPath), WriteError> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if !folder.is_dir() {
        return Err(WriteError::NoDirectory(folder.display().to_string()));
    }
    let begun = scratch(folder).and_then(|scratch| {
        // Who could not read the old file cannot read the new one.
        if let Ok(present) = path.metadata() {
            scratch.as_file().set_permissions(present.permissions())?;
        }
        Ok(scratch.into_parts())
    });
    begun.map_err(|source| WriteError::Write {
        place: name.to_owned(),
        source,
    })
}

/// A file without a name, whose content goes to `stream` in the end.
fn streamed(stream: File) -> Result<(File, Goal), WriteError> {
    let scratch = tempfile::tempfile().map_err(|source| WriteError::Write {
        place: format!(
            "{} (TMPDIR names another folder)",
            std::env::temp_dir().display()
        ),
        source,
    })?;
    Ok((scratch, Goal::Stream(stream)))
}

fn is_device(path: &Path) -> bool {
    let kind = path.metadata().map(|metadata| metadata.file_type());
    kind.is_ok_and(|kind| kind.is_fifo() || kind.is_char_device())
}

/// Does what may wait for a reader on a thread that nobody waits for where this is dropped.
async fn detached(work: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<()> {
    let (done, finished) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || done.send(work()));
    let gone = |_| Err(io::Error::other("the writing ended early"));
    finished.await.unwrap_or_else(gone)
}
