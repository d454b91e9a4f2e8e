//! The engine: brings an image from a [`Source`](crate::content::Source), or one that has no
//! manifest yet, to one or more [`Destination`](crate::content::Destination)s.
//!
//! 1. [`select`] picks what of an image is wanted: all of it, or some platforms.
//! 2. [`Run::copy`] walks its manifests, skips what the targets have, and copies the rest: blobs
//!    side by side, each read once for all; then manifests, children before parents.
//!    [`Run::assemble`] does the same for an [`UnbuiltImage`](crate::content::UnbuiltImage) and
//!    builds its manifest.
//! 3. [`Run::tag`] writes the tags, last, so that a failure never leaves a tag on something
//!    incomplete.

mod assemble;
mod blob;
mod checkpoint;
mod describe;
mod error;
mod fetch;
mod flow;
mod lanes;
mod meter;
mod order;
mod plan;
mod referrers;
mod rehearsal;
mod reuse;
mod run;
mod select;
#[cfg(test)]
mod several;
mod stored;
mod tag;
mod target;
mod tee;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod walk;

pub use checkpoint::{Checkpoint, StoredLayer};
pub use describe::{Description, describe};
pub use error::{Cause, Error, Operation, Side, TagConflict};
pub use meter::{BlobProgress, Meter, MeteredObject, MeteredSource, Phase, Report, Transfer};
pub use rehearsal::{Changes, Rehearsal, TagChange};
pub use reuse::KnownLayers;
pub use run::{Concurrency, Options, Run};
pub use select::{Selection, select};
pub use target::Target;

/// The result of the engine.
pub type Result<T> = std::result::Result<T, Error>;

/// Most bytes of a config that is read whole: as much as a manifest may have.
const MAX_CONFIG: u64 = 4 << 20;
