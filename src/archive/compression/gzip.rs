//! gzip, in parallel, as one member.
//!
//! Every block is compressed by itself to a run of deflate blocks that ends on a byte boundary
//! (a sync flush, as pigz does it), so the runs can be put one behind the other. Some consumers
//! read only the first member of a gzip file; of this there is only one.

use std::io;

use bytes::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress, Status};

use super::codec::{Codec, Join};
use crate::oci::MediaType;

/// Member header without name and time, and of no particular operating system
/// ([RFC 1952, 2.3](https://www.rfc-editor.org/rfc/rfc1952#section-2.3)).
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// gzip at one of zlib's levels.
pub(super) struct Gzip {
    pub(super) level: u32,
}

impl Codec for Gzip {
    fn media_type(&self) -> MediaType {
        MediaType::DOCKER_LAYER_GZIP
    }

    fn encode(&self, block: &[u8], last: bool) -> io::Result<Vec<u8>> {
        let mut deflate = Compress::new(Compression::new(self.level), false);
        // Room for the worst case: one call does it all, and no flush is ever repeated.
        let mut out = Vec::with_capacity(block.len() + block.len() / 8 + 64);
        let flush = if last {
            FlushCompress::Finish
        } else {
            FlushCompress::Sync
        };
        let status = deflate.compress_vec(block, &mut out, flush)?;
        let whole = deflate.total_in() == block.len() as u64 && out.len() < out.capacity();
        if !whole || last && status != Status::StreamEnd {
            return Err(io::Error::other(
                "deflate stopped before the end of the block",
            ));
        }
        out.shrink_to_fit();
        Ok(out)
    }

    fn join(&self, _size: u64) -> io::Result<Box<dyn Join>> {
        Ok(Box::new(Member(Crc::new(), Some(HEADER))))
    }
}

/// The CRC of what came so far, and the header until it is written.
struct Member(Crc, Option<[u8; 10]>);

impl Join for Member {
    fn next(&mut self, block: &[u8], mut encoded: Vec<u8>, last: bool) -> io::Result<Bytes> {
        self.0.update(block);
        if last {
            encoded.extend(self.0.sum().to_le_bytes());
            encoded.extend(self.0.amount().to_le_bytes());
        }
        let Some(header) = self.1.take() else {
            return Ok(encoded.into());
        };
        Ok([&header, encoded.as_slice()].concat().into())
    }
}
