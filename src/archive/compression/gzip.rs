//! gzip, in parallel, as one member.
//!
//! Every block is compressed by itself to a run of deflate blocks that ends on a byte boundary,
//! as pigz does it, so the runs can be put one behind the other. Some consumers read only the
//! first member of a gzip file; of this there is only one.

use std::io;

use bytes::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress};
use libdeflater::{CompressionLvl, Compressor};

use super::codec::{Codec, Join};
use super::deflate::unfinish;
use crate::oci::MediaType;

/// Member header without name and time, and of no particular operating system
/// ([RFC 1952, 2.3](https://www.rfc-editor.org/rfc/rfc1952#section-2.3)).
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// gzip, with more or less effort.
#[derive(Clone, Copy)]
pub(super) enum Gzip {
    /// zlib's level 1, faster than any level of libdeflate.
    Fast,
    /// libdeflate's level 1.
    Good,
    /// libdeflate's level 6.
    Small,
}

impl Codec for Gzip {
    fn media_type(&self) -> MediaType {
        MediaType::DOCKER_LAYER_GZIP
    }

    fn encode(&self, block: &[u8], last: bool) -> io::Result<Vec<u8>> {
        match self {
            Self::Fast => zlib(block, last),
            Self::Good => libdeflate(block, last, 1),
            Self::Small => libdeflate(block, last, 6),
        }
    }

    fn join(&self, _size: u64) -> io::Result<Box<dyn Join>> {
        Ok(Box::new(Member {
            crc: Crc::new(),
            header: Some(HEADER),
        }))
    }
}

fn zlib(block: &[u8], last: bool) -> io::Result<Vec<u8>> {
    let mut compress = Compress::new(Compression::fast(), false);
    // Room for the worst case: one call does it all, and no flush is ever repeated.
    let mut out = Vec::with_capacity(block.len() + block.len() / 8 + 64);
    let flush = if last {
        FlushCompress::Finish
    } else {
        FlushCompress::Sync
    };
    compress.compress_vec(block, &mut out, flush)?;
    if compress.total_in() < block.len() as u64 || out.len() == out.capacity() {
        return Err(io::Error::other("zlib stopped before the end of the block"));
    }
    out.shrink_to_fit();
    Ok(out)
}

fn libdeflate(block: &[u8], last: bool, level: i32) -> io::Result<Vec<u8>> {
    let level = CompressionLvl::new(level).unwrap_or_default();
    let mut compressor = Compressor::new(level);
    let mut out = vec![0; compressor.deflate_compress_bound(block.len())];
    let length = compressor
        .deflate_compress(block, &mut out)
        .map_err(io::Error::other)?;
    out.truncate(length);
    if !last {
        unfinish(&mut out).map_err(io::Error::other)?;
    }
    out.shrink_to_fit();
    Ok(out)
}

struct Member {
    crc: Crc,
    /// Until it is written.
    header: Option<[u8; 10]>,
}

impl Join for Member {
    fn next(&mut self, block: &[u8], mut encoded: Vec<u8>, last: bool) -> io::Result<Bytes> {
        self.crc.update(block);
        if last {
            encoded.extend(self.crc.sum().to_le_bytes());
            encoded.extend(self.crc.amount().to_le_bytes());
        }
        let Some(header) = self.header.take() else {
            return Ok(encoded.into());
        };
        Ok([&header, encoded.as_slice()].concat().into())
    }
}
