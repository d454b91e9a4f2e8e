//! Zstandard, as one frame.

use std::io::{self, Write};

use bytes::Bytes;
use zstd::stream::write::Encoder;

use super::codec::{Codec, Join};
use crate::oci::MediaType;

/// zstd's own default.
const LEVEL: i32 = 3;

/// Zstandard. One frame cannot be put together from blocks, so all work is done in order.
pub(super) struct Zstandard;

impl Codec for Zstandard {
    fn media_type(&self) -> MediaType {
        MediaType::OCI_LAYER_ZSTD
    }

    fn encode(&self, _block: &[u8], _last: bool) -> io::Result<Vec<u8>> {
        Ok(Vec::new())
    }

    fn join(&self, size: u64) -> io::Result<Box<dyn Join>> {
        let mut encoder = Encoder::new(Vec::new(), LEVEL)?;
        encoder.set_pledged_src_size(Some(size))?;
        Ok(Box::new(Frame(encoder)))
    }
}

struct Frame(Encoder<'static, Vec<u8>>);

impl Join for Frame {
    fn next(&mut self, block: &[u8], _encoded: Vec<u8>, last: bool) -> io::Result<Bytes> {
        self.0.write_all(block)?;
        if last {
            self.0.do_finish()?;
        }
        Ok(std::mem::take(self.0.get_mut()).into())
    }
}
