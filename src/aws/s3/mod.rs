//! Objects in S3, read in parts.

mod location;
mod object;
mod region;
#[cfg(test)]
mod tests;

pub use location::Location;
pub use object::Object;
