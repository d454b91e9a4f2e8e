//! A file in an archive: where it lies, and how it begins.

use std::ops::Range;

use super::compression::Format;

/// Largest document (manifest, config, list of images) that is read.
pub(super) const MAX_DOCUMENT: u64 = 4 << 20;

/// A file in an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct File {
    pub(super) start: u64,
    pub(super) size: u64,
    /// How the content begins.
    pub(super) format: Format,
}

impl File {
    /// The file at `data`. `begin` is its first bytes, maybe with some of what is behind it.
    pub(super) fn new(data: Range<u64>, begin: &[u8]) -> Self {
        let size = data.end - data.start;
        let begin = &begin[..usize::try_from(size).map_or(begin.len(), |s| s.min(begin.len()))];
        Self {
            start: data.start,
            size,
            format: Format::of(begin),
        }
    }

    pub(super) fn range(self) -> Range<u64> {
        self.start..self.start + self.size
    }
}
