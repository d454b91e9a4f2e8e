//! Whether a layer is the one that was meant.

use std::io::{self, Write};

use flate2::write::MultiGzDecoder;

use super::Format;
use crate::oci::{Digest, Digester};

/// Computes the digest by which a layer is checked: of its bytes, or of what they decompress to.
pub(crate) enum Check {
    /// Of the bytes themselves.
    Stored(Digester),
    /// Of the bytes that gzip gives.
    Gunzipped(Box<MultiGzDecoder<Hash>>),
    /// Of the bytes that zstd gives.
    Unzstd(Box<zstd::stream::write::Decoder<'static, Hash>>),
}

/// A writer that keeps nothing but the digest.
pub(crate) struct Hash(Digester);

impl Write for Hash {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Check {
    /// A check on the bytes as they are stored.
    pub(crate) fn stored(expected: &Digest) -> Self {
        Self::Stored(Digester::new(expected.algorithm()))
    }

    /// A check on what content of `format` decompresses to. Zstandard may use a window of
    /// `2^window_log` bytes.
    pub(crate) fn decompressed(
        format: Format,
        expected: &Digest,
        window_log: u32,
    ) -> io::Result<Self> {
        let hash = || Hash(Digester::new(expected.algorithm()));
        Ok(match format {
            Format::Gzip => Self::Gunzipped(Box::new(MultiGzDecoder::new(hash()))),
            Format::Zstd => {
                let mut decoder = zstd::stream::write::Decoder::new(hash())?;
                decoder.window_log_max(window_log)?;
                Self::Unzstd(Box::new(decoder))
            }
            _ => Self::stored(expected),
        })
    }

    /// Takes the next bytes.
    pub(crate) fn update(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Stored(digester) => {
                digester.update(bytes);
                Ok(())
            }
            Self::Gunzipped(decoder) => decoder.write_all(bytes),
            Self::Unzstd(decoder) => decoder.write_all(bytes),
        }
    }

    /// The digest of all that came.
    pub(crate) fn finish(self) -> io::Result<Digest> {
        let hash = match self {
            Self::Stored(digester) => return Ok(digester.finish()),
            Self::Gunzipped(decoder) => (*decoder).finish()?,
            Self::Unzstd(mut decoder) => {
                decoder.flush()?;
                decoder.into_inner()
            }
        };
        Ok(hash.0.finish())
    }
}
