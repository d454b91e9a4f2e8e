//! Content that is already in memory: configs, built manifests, test data.

use std::ops::Range;

use bytes::Bytes;
use futures_util::future::{BoxFuture, ready};
use futures_util::{FutureExt, StreamExt, stream};

use super::{ByteStream, Error, Opener, RangeRead, Result};
use crate::oci::{Descriptor, Digest, MediaType};

/// A blob in memory.
#[derive(Clone, Debug)]
pub struct MemoryOpener {
    descriptor: Descriptor,
    bytes: Bytes,
}

impl MemoryOpener {
    /// Wraps bytes under their SHA-256 digest.
    pub fn new(media_type: MediaType, bytes: Bytes) -> Self {
        let descriptor = Descriptor::new(media_type, Digest::sha256(&bytes), bytes.len() as u64);
        Self { descriptor, bytes }
    }
}

impl Opener for MemoryOpener {
    fn descriptor(&self) -> Option<Descriptor> {
        Some(self.descriptor.clone())
    }

    fn open(&self, offset: u64) -> BoxFuture<'_, Result<ByteStream>> {
        ready(slice(&self.bytes, offset..self.bytes.len() as u64).map(once)).boxed()
    }
}

/// An object in memory.
#[derive(Clone, Debug)]
pub struct MemoryObject {
    name: String,
    bytes: Bytes,
}

impl MemoryObject {
    /// Wraps bytes; errors call them `name`.
    pub fn new(name: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        Self {
            name: name.into(),
            bytes: bytes.into(),
        }
    }
}

impl RangeRead for MemoryObject {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn read(&self, range: Range<u64>) -> BoxFuture<'_, Result<ByteStream>> {
        ready(slice(&self.bytes, range).map(once)).boxed()
    }
}

fn slice(bytes: &Bytes, range: Range<u64>) -> Result<Bytes> {
    let outside = || Error::Size {
        expected: range.end,
        actual: bytes.len() as u64,
    };
    let start = usize::try_from(range.start).map_err(|_| outside())?;
    let end = usize::try_from(range.end).map_err(|_| outside())?;
    if start > end || end > bytes.len() {
        return Err(outside());
    }
    Ok(bytes.slice(start..end))
}

fn once(bytes: Bytes) -> ByteStream {
    stream::iter([Ok(bytes)]).boxed()
}
