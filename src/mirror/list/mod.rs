//! The list of a mirror.
