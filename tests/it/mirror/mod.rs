//! Mirrors: lists of images that are kept current.

mod fleet;
mod resource;
mod sync;
