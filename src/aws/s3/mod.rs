//! Objects in S3, read in parts.

mod object;
#[cfg(test)]
mod tests;

pub use object::{Location, Object};
