//! Zstandard, in parallel, as one frame a block.
//!
//! Frames stand one behind the other, as the format has it
//! ([RFC 8878, 3](https://www.rfc-editor.org/rfc/rfc8878#section-3)): decoders give the content of
//! all of them. It takes a percent more bytes than one frame, since a block does not refer to those
//! before it, and less memory of whoever reads it.

use std::io;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

use super::codec::{Codec, Join};
use super::spare::Spare;
use crate::content::Buffer;
use crate::oci::MediaType;

/// The fastest level whose layers are smaller than those of zlib's default.
const LEVEL: i32 = 2;
/// A table of half the level's size: a twentieth less time, for a hundredth more bytes.
const HASH_LOG: u32 = 15;

/// Zstandard by a compressor that is used again for block after block.
struct Zstandard(Spare<Compressor<'static>>);

pub(super) fn codec() -> Arc<dyn Codec> {
    static CODEC: LazyLock<Arc<Zstandard>> =
        LazyLock::new(|| Arc::new(Zstandard(Spare::new(Compressor::default))));
    CODEC.clone()
}

impl Codec for Zstandard {
    fn media_type(&self) -> MediaType {
        MediaType::OCI_LAYER_ZSTD
    }

    fn encode(&self, block: &[u8], _last: bool) -> io::Result<Buffer> {
        let mut out = Buffer::take();
        let length = self.0.lend(|compressor| {
            compressor.set_compression_level(LEVEL)?;
            compressor.set_parameter(CParameter::HashLog(HASH_LOG))?;
            compressor.compress_to_buffer(block, out.room())
        })?;
        out.advance(length);
        Ok(out)
    }

    fn join(&self) -> Box<dyn Join> {
        Box::new(Frames)
    }
}

/// Frames one behind the other.
struct Frames;

impl Join for Frames {
    fn next(&mut self, _block: &[u8], encoded: Buffer, _last: bool) -> Bytes {
        encoded.freeze()
    }
}
