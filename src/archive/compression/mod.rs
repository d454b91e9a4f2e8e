//! The way in which layers are compressed: told from their first bytes, or made so on the way.

mod check;
mod codec;
mod gzip;
mod pipeline;
mod spare;
mod zstandard;
mod zstd_window;

use std::str::FromStr;
use std::sync::Arc;

pub(super) use check::Check;
pub(super) use codec::Codec;
pub(super) use pipeline::{Expected, compress, pass};
pub(super) use zstd_window::window_log;

use crate::oci::MediaType;

/// The treatment of layers that an archive holds uncompressed. The same layer gives the same bytes
/// on every machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// gzip at a level that costs little and compresses well.
    #[default]
    Gzip,
    /// gzip with several times the effort, for layers a few percent smaller.
    GzipSmall,
    /// Zstandard: smaller and faster than gzip, where all that pull the image can read it.
    Zstd,
    /// None: layers stay as they are.
    None,
}

impl Compression {
    const NAMES: [(&'static str, Self); 5] = [
        ("gzip", Self::Gzip),
        // It was a choice of its own; resources may still name it.
        ("gzip-fast", Self::Gzip),
        ("gzip-small", Self::GzipSmall),
        ("zstd", Self::Zstd),
        ("none", Self::None),
    ];

    /// The codec, or `None` where nothing is compressed.
    pub(super) fn codec(self) -> Option<Arc<dyn Codec>> {
        match self {
            Self::Gzip => Some(gzip::good()),
            Self::GzipSmall => Some(gzip::small()),
            Self::Zstd => Some(zstandard::codec()),
            Self::None => None,
        }
    }
}

/// A text that names no compression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no compression: expected gzip, gzip-small, zstd or none")]
pub struct InvalidCompression {
    text: String,
}

impl FromStr for Compression {
    type Err = InvalidCompression;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::NAMES.into_iter().find(|(name, _)| *name == text);
        found
            .map(|(_, compression)| compression)
            .ok_or_else(|| InvalidCompression {
                text: text.to_owned(),
            })
    }
}

/// The format of content, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Gzip,
    Zstd,
    Xz,
    Bzip2,
    Json,
    /// None of the others; for a layer, an uncompressed tar.
    Plain,
}

impl Format {
    pub(super) fn of(begin: &[u8]) -> Self {
        match begin {
            [0x1f, 0x8b, 8, ..] => Self::Gzip,
            // The second is a skippable frame, with which zstd streams may begin.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Self::Bzip2,
            [b'{' | b'[', ..] => Self::Json,
            _ => Self::Plain,
        }
    }

    /// Its name in errors.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
            Self::Bzip2 => "bzip2",
            Self::Json | Self::Plain => "nothing",
        }
    }

    /// The media type of a layer of this format that is pushed as it is.
    pub(super) fn layer_media_type(self) -> Option<MediaType> {
        match self {
            Self::Gzip => Some(MediaType::DOCKER_LAYER_GZIP),
            Self::Zstd => Some(MediaType::OCI_LAYER_ZSTD),
            Self::Plain | Self::Json => Some(MediaType::DOCKER_LAYER),
            Self::Xz | Self::Bzip2 => None,
        }
    }

    /// Returns true if nothing is compressed here. A tar may begin with the letter of a JSON
    /// document.
    pub(super) fn is_plain(self) -> bool {
        matches!(self, Self::Plain | Self::Json)
    }
}
