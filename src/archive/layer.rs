//! Blobs of an archive, opened as often as needed.

use std::sync::{Arc, OnceLock};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryStreamExt};

use super::Error;
use super::compression::{Check, Codec, Compression, Expected, Format, compress, pass};
use super::index::File;
use super::store::Store;
use crate::content::{ByteStream, Opener, Result};
use crate::oci::{Descriptor, Digest};

/// A blob that is pushed as it is stored, under a digest that is known.
pub(super) struct StoredBlob {
    pub(super) store: Arc<Store>,
    /// The blob's file in the archive.
    pub(super) entry: String,
    /// What names the blob, for the error where it is missing.
    pub(super) named_by: String,
    pub(super) descriptor: Descriptor,
    /// What a wrong digest means.
    pub(super) mismatch: fn(String, Digest, Digest) -> Error,
}

impl StoredBlob {
    fn stream(&self, offset: u64) -> std::result::Result<ByteStream, Error> {
        let file = self.store.index.file(&self.entry, &self.named_by)?;
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
        std::future::ready(self.stream(offset).map_err(Into::into)).boxed()
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

/// What is done to a layer on its way.
pub(super) enum Making {
    Compress(Arc<dyn Codec>),
    Pass,
}

impl MadeLayer {
    fn stream(&self) -> Result<ByteStream> {
        let format = match self.making {
            Making::Compress(_) => Format::Plain,
            Making::Pass => self.file.format,
        };
        let check = Check::decompressed(format, &self.diff_id);
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
        let bytes = self.store.stream(self.file, 0);
        let made = Arc::clone(&self.made);
        match &self.making {
            Making::Compress(codec) => compress(bytes, expected, Arc::clone(codec), made),
            Making::Pass => {
                let media_type = self.file.format.layer_media_type().unwrap_or_default();
                Ok(pass(bytes, expected, Some((media_type, made))))
            }
        }
    }
}

impl Opener for MadeLayer {
    fn descriptor(&self) -> Option<Descriptor> {
        self.made.get().cloned()
    }

    fn open(&self, offset: u64) -> BoxFuture<'_, Result<ByteStream>> {
        std::future::ready(self.stream().map(|stream| skip(stream, offset))).boxed()
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

/// The layer `entry`, as it is pushed.
pub(super) fn layer(
    store: &Arc<Store>,
    entry: &str,
    named_by: &str,
    diff_id: &Digest,
    compression: Compression,
) -> std::result::Result<Arc<dyn Opener>, Error> {
    let file = store.index.file(entry, named_by)?;
    let codec = compression.codec().filter(|_| file.format.is_plain());
    let media_type = file
        .format
        .layer_media_type()
        .ok_or_else(|| Error::LayerFormat {
            entry: entry.to_owned(),
            format: file.format.name(),
        })?;
    let stored = |digest: Digest, mismatch| StoredBlob {
        store: Arc::clone(store),
        entry: entry.to_owned(),
        named_by: named_by.to_owned(),
        descriptor: Descriptor::new(media_type.clone(), digest, file.size),
        mismatch,
    };
    Ok(match (codec, digest_in_name(entry)) {
        (None, _) if file.format.is_plain() => Arc::new(stored(diff_id.clone(), diff_id_mismatch)),
        (None, Some(digest)) => Arc::new(stored(digest, digest_mismatch)),
        (codec, _) => Arc::new(MadeLayer {
            store: Arc::clone(store),
            entry: entry.to_owned(),
            file,
            diff_id: diff_id.clone(),
            making: codec.map_or(Making::Pass, Making::Compress),
            made: Arc::default(),
        }),
    })
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
