//! Mirrors: lists of images that are kept current.

mod fleet;
mod function;
mod resource;
mod sync;
