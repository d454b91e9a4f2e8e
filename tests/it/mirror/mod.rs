//! Mirrors: lists of images that are kept current.

mod deaths;
mod fleet;
mod function;
mod resource;
mod sync;
mod two_hundred;
