//! Placeholder until the archives land.

/// How layers that an archive holds uncompressed are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Gzip at the level of most builders.
    #[default]
    Gzip,
}
