//! Blobs of an archive, opened as often as needed.

use std::sync::{Arc, OnceLock};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};

use super::Error;
use super::compression::{Check, Codec, Compression, Expected, Format, compress, pass, window_log};
use super::file::File;
use super::store::Store;
use crate::content::{ByteStream, DecoderMemory, Opener, Result};
use crate::oci::{Descriptor, Digest};

/// A blob that is pushed as it is stored, under a digest that is known.
pub(super) struct StoredBlob {
    pub(super) store: Arc<Store>,
    /// The blob's file in the archive.
    pub(super) entry: String,
    /// The document that names the blob, for the error where it is missing.
    pub(super) named_by: String,
    pub(super) descriptor: Descriptor,
    /// The error of a wrong digest.
    pub(super) mismatch: fn(String, Digest, Digest) -> Error,
}

impl StoredBlob {
    async fn stream(&self, offset: u64) -> std::result::Result<ByteStream, Error> {
        let file = self.store.find(&self.entry, &self.named_by).await?;
        if file.size != self.descriptor.size {
            return Err(Error::Size {
                entry: self.entry.clone(),
                expected: self.descriptor.size,
                actual: file.size,
            });
        }
        let bytes = self.store.stream(file, offset);
        if offset > 0 {
            // What was sent before was checked; the receiver checks the whole by its digest.
            return Ok(bytes);
        }
        let expected = Expected {
            entry: self.entry.clone(),
            size: file.size,
            digest: self.descriptor.digest.clone(),
            check: Check::stored(&self.descriptor.digest),
            mismatch: self.mismatch,
        };
        Ok(pass(bytes, expected, None))
    }
}

impl Opener for StoredBlob {
    fn descriptor(&self) -> Option<Descriptor> {
        Some(self.descriptor.clone())
    }

    fn open(&self, offset: u64) -> BoxFuture<'_, Result<ByteStream>> {
        async move { Ok(self.stream(offset).await?) }.boxed()
    }
}

/// A layer whose digest is known when it has been read once: compressed on the way, or stored
/// compressed under a name that is not its digest.
pub(super) struct MadeLayer {
    pub(super) store: Arc<Store>,
    pub(super) entry: String,
    pub(super) file: File,
    pub(super) diff_id: Digest,
    pub(super) making: Making,
    pub(super) made: Arc<OnceLock<Descriptor>>,
}

/// The treatment of a layer on its way.
pub(super) enum Making {
    Compress(Arc<dyn Codec>),
    Pass,
}

impl MadeLayer {
    async fn stream(&self) -> Result<ByteStream> {
        let format = match self.making {
            Making::Compress(_) => Format::Plain,
            Making::Pass => self.file.format,
        };
        let mut bytes = self.store.stream(self.file, 0);
        let (mut memory, mut log) = (None, 0);
        if format == Format::Zstd {
            let first = bytes.try_next().await?.unwrap_or_default();
            log = window_log(&first);
            let taken = DecoderMemory::take(1 << log).await;
            memory = Some(taken.map_err(|source| Error::Memory {
                entry: self.entry.clone(),
                source,
            })?);
            bytes = stream::iter([Ok(first)]).chain(bytes).boxed();
        }
        let check = Check::decompressed(format, &self.diff_id, log);
        let expected = Expected {
            entry: self.entry.clone(),
            size: self.file.size,
            digest: self.diff_id.clone(),
            check: check.map_err(|source| Error::Corrupt {
                entry: self.entry.clone(),
                source,
            })?,
            mismatch: diff_id_mismatch,
        };
        let made = Arc::clone(&self.made);
        match &self.making {
            Making::Compress(codec) => Ok(compress(bytes, expected, Arc::clone(codec), made)),
            Making::Pass => {
                let media_type = self.file.format.layer_media_type().unwrap_or_default();
                let stream = pass(bytes, expected, Some((media_type, made)));
                Ok(holding(stream, memory))
            }
        }
    }
}

impl Opener for MadeLayer {
    fn descriptor(&self) -> Option<Descriptor> {
        self.made.get().cloned()
    }

    fn open(&self, offset: u64) -> BoxFuture<'_, Result<ByteStream>> {
        async move { Ok(skip(self.stream().await?, offset)) }.boxed()
    }
}

/// The stream, with the memory of its decoder until it is dropped.
fn holding(stream: ByteStream, memory: Option<DecoderMemory>) -> ByteStream {
    match memory {
        None => stream,
        Some(memory) => stream::unfold((stream, memory), |(mut stream, memory)| async {
            let piece = stream.next().await?;
            Some((piece, (stream, memory)))
        })
        .boxed(),
    }
}

/// The stream without its first `offset` bytes.
fn skip(stream: ByteStream, offset: u64) -> ByteStream {
    let mut left = offset;
    stream
        .map_ok(move |mut piece| {
            let skipped = usize::try_from(left).map_or(piece.len(), |left| left.min(piece.len()));
            left -= skipped as u64;
            piece.split_off(skipped)
        })
        .try_filter(|piece| std::future::ready(!piece.is_empty()))
        .boxed()
}

/// A layer of an archive whose files may not all be known yet: what is pushed of it turns out when
/// its file is found.
pub(super) struct Layer {
    pub(super) store: Arc<Store>,
    pub(super) entry: String,
    /// The document that names the layer, for the error where it is missing.
    pub(super) named_by: &'static str,
    pub(super) diff_id: Digest,
    pub(super) compression: Compression,
    pub(super) pushed: OnceLock<Arc<dyn Opener>>,
}

impl Layer {
    /// The content that is pushed, now that the file is known.
    pub(super) fn pushed(&self, file: File) -> std::result::Result<&Arc<dyn Opener>, Error> {
        if let Some(pushed) = self.pushed.get() {
            return Ok(pushed);
        }
        let pushed = self.as_pushed(file)?;
        Ok(self.pushed.get_or_init(|| pushed))
    }

    fn as_pushed(&self, file: File) -> std::result::Result<Arc<dyn Opener>, Error> {
        let media_type = file
            .format
            .layer_media_type()
            .ok_or_else(|| Error::LayerFormat {
                entry: self.entry.clone(),
                format: file.format.name(),
            })?;
        let stored = |digest: Digest, mismatch| StoredBlob {
            store: Arc::clone(&self.store),
            entry: self.entry.clone(),
            named_by: self.named_by.to_owned(),
            descriptor: Descriptor::new(media_type.clone(), digest, file.size),
            mismatch,
        };
        let codec = self.compression.codec();
        let codec = codec.filter(|_| file.format.is_plain());
        Ok(match (codec, digest_in_name(&self.entry)) {
            (None, _) if file.format.is_plain() => {
                Arc::new(stored(self.diff_id.clone(), diff_id_mismatch))
            }
            (None, Some(digest)) => Arc::new(stored(digest, digest_mismatch)),
            (codec, _) => Arc::new(MadeLayer {
                store: Arc::clone(&self.store),
                entry: self.entry.clone(),
                file,
                diff_id: self.diff_id.clone(),
                making: codec.map_or(Making::Pass, Making::Compress),
                made: Arc::default(),
            }),
        })
    }
}

impl Opener for Layer {
    fn descriptor(&self) -> Option<Descriptor> {
        let file = self.store.known_file(&self.entry, self.named_by).ok()??;
        self.pushed(file).ok()?.descriptor()
    }

    fn open(&self, offset: u64) -> BoxFuture<'_, Result<ByteStream>> {
        async move {
            let file = self.store.find(&self.entry, self.named_by).await?;
            self.pushed(file)?.open(offset).await
        }
        .boxed()
    }
}

/// The digest that an entry of a blob directory (`blobs/sha256/…`) has in its name.
pub(super) fn digest_in_name(entry: &str) -> Option<Digest> {
    let (algorithm, hex) = entry.strip_prefix("blobs/")?.split_once('/')?;
    format!("{algorithm}:{hex}").parse().ok()
}

pub(super) fn digest_mismatch(entry: String, expected: Digest, actual: Digest) -> Error {
    Error::Digest {
        entry,
        expected,
        actual,
    }
}

fn diff_id_mismatch(entry: String, expected: Digest, actual: Digest) -> Error {
    Error::DiffId {
        entry,
        expected,
        actual,
    }
}
