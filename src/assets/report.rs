//! The lines of a program while it runs.

/// Takes the lines that a program writes, without their ends.
pub type Report<'a> = &'a (dyn Fn(&str) + Send + Sync);
