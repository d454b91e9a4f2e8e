//! The interface of compressors.

use std::io;

use bytes::Bytes;

use crate::content::Buffer;
use crate::oci::MediaType;

/// Length of the blocks into which a layer is cut. Part of what makes the output the same on
/// every machine.
pub(crate) const BLOCK: usize = Buffer::BLOCK;

/// A way to compress a layer, block by block.
pub(crate) trait Codec: Send + Sync {
    /// The media type of a layer that this compressed.
    fn media_type(&self) -> MediaType;

    /// Compresses a block, which needs no other: done on any thread, for several blocks at once.
    fn encode(&self, block: &[u8], last: bool) -> io::Result<Buffer>;

    /// Starts a compressed layer.
    fn join(&self) -> Box<dyn Join>;
}

/// The part of compressing that goes block by block in order.
pub(crate) trait Join: Send {
    /// Takes the next block and what [`Codec::encode`] made of it; gives the bytes that follow in
    /// the compressed layer.
    fn next(&mut self, block: &[u8], encoded: Buffer, last: bool) -> Bytes;
}
