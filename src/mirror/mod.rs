//! Mirrors: a list of images and repositories, kept current at their destinations.
//!
//! A list ([`list`]) names sources, filters of their tags, and destinations.

pub mod list;
