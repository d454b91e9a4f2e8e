//! Objects in S3, read and written in parts.

mod location;
mod object;
mod objects;
mod region;
#[cfg(test)]
mod tests;
mod write;

pub use location::Location;
pub use object::open_object;
pub use objects::{Keys, Objects};
pub use write::Slot;
