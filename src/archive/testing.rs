//! Archives for tests.

use std::io::Write;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::compression::Format;
use super::{Archive, Error};
use crate::content::{self, ByteStream, MemoryObject, Opener, RangeRead, collect};
use crate::oci::Digest;

/// Builds a tar in memory.
#[derive(Default)]
pub(super) struct Tar(Vec<u8>);

impl Tar {
    pub(super) fn file(self, name: &str, data: impl AsRef<[u8]>) -> Self {
        self.entry(name, data.as_ref(), |_| {})
    }

    pub(super) fn json(self, name: &str, value: &Value) -> Self {
        self.file(name, value.to_string())
    }

    pub(super) fn symlink(self, name: &str, target: &str) -> Self {
        self.link(name, target, tar::EntryType::Symlink)
    }

    pub(super) fn hard_link(self, name: &str, target: &str) -> Self {
        self.link(name, target, tar::EntryType::Link)
    }

    fn link(self, name: &str, target: &str, kind: tar::EntryType) -> Self {
        self.entry(name, &[], |header| {
            header.set_entry_type(kind);
            header.set_link_name_literal(target).unwrap();
        })
    }

    /// An entry whose header `change` has the last word on.
    pub(super) fn entry(
        mut self,
        name: &str,
        data: &[u8],
        change: impl FnOnce(&mut tar::Header),
    ) -> Self {
        let mut header = tar::Header::new_gnu();
        header.set_size(data.len() as u64);
        let field = &mut header.as_old_mut().name;
        field[..name.len()].copy_from_slice(name.as_bytes());
        change(&mut header);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    /// A PAX header with these records before the next entry.
    pub(super) fn pax(self, records: &[(&str, &str)]) -> Self {
        let data: Vec<u8> = records
            .iter()
            .flat_map(|(key, value)| super::pax::tests::record(key, value.as_bytes()))
            .collect();
        self.entry("PaxHeaders/x", &data, |header| {
            header.set_entry_type(tar::EntryType::XHeader);
        })
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }

    /// The bytes without an end marker.
    pub(super) fn unfinished(self) -> Vec<u8> {
        self.0
    }
}

/// An object that counts what is read of it.
pub(super) struct Counting {
    object: MemoryObject,
    requests: AtomicU64,
    bytes: AtomicU64,
}

impl Counting {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self {
            object: MemoryObject::new("test.tar", bytes),
            requests: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl RangeRead for Counting {
    fn size(&self) -> u64 {
        self.object.size()
    }

    fn name(&self) -> &str {
        self.object.name()
    }

    fn read(&self, range: Range<u64>) -> BoxFuture<'_, content::Result<ByteStream>> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.bytes
            .fetch_add(range.end - range.start, Ordering::Relaxed);
        self.object.read(range)
    }
}

/// Bytes that do not compress, the same on every run.
pub(super) fn noise(length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(length as u64);
    std::iter::repeat_with(|| random.u8(..))
        .take(length)
        .collect()
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(1));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn packed(bytes: &[u8]) -> [(Format, Vec<u8>); 2] {
    [
        (Format::Gzip, gzip(bytes)),
        (Format::Zstd, zstd::encode_all(bytes, 1).unwrap()),
    ]
}

/// An image config with these layers.
pub(super) fn config(layers: &[&[u8]]) -> Value {
    let diff_ids: Vec<_> = layers.iter().map(|layer| Digest::sha256(layer)).collect();
    json!({
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    })
}

pub(super) async fn open(bytes: impl Into<Bytes>) -> Result<Archive, Error> {
    Archive::open(Arc::new(MemoryObject::new("test.tar", bytes))).await
}

/// The content behind an opener.
pub(super) async fn read(opener: &dyn Opener) -> Bytes {
    drain(opener.open(0).await.unwrap()).await.unwrap()
}

pub(super) async fn drain(stream: ByteStream) -> content::Result<Bytes> {
    collect(stream, 1 << 30).await
}
