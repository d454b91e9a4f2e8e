//! Zstandard, as one frame.

use std::io::{self, Write};
use std::mem;

use bytes::Bytes;
use zstd::stream::write::Encoder;

use super::codec::{Codec, Join};
use crate::content::Buffer;
use crate::oci::MediaType;

/// zstd's own default.
const LEVEL: i32 = 3;

/// Zstandard. One frame cannot be put together from blocks, so all work is done in order.
pub(super) struct Zstandard;

impl Codec for Zstandard {
    fn media_type(&self) -> MediaType {
        MediaType::OCI_LAYER_ZSTD
    }

    fn encode(&self, _block: &[u8], _last: bool) -> io::Result<Option<Buffer>> {
        Ok(None)
    }

    fn join(&self, size: u64) -> io::Result<Box<dyn Join>> {
        let mut encoder = Encoder::new(Buffer::take(), LEVEL)?;
        encoder.set_pledged_src_size(Some(size))?;
        Ok(Box::new(Frame(encoder)))
    }
}

struct Frame(Encoder<'static, Buffer>);

impl Join for Frame {
    fn next(&mut self, block: &[u8], _encoded: Option<Buffer>, last: bool) -> io::Result<Bytes> {
        self.0.write_all(block)?;
        if last {
            self.0.do_finish()?;
        }
        Ok(mem::replace(self.0.get_mut(), Buffer::take()).freeze())
    }
}
