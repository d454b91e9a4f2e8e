//! The two streams that a command writes to: results on standard output, the rest on standard
//! error. A reader that has gone away is no error.

use std::io::Write;

/// Writes a result.
pub(crate) fn result(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Writes something that a person may want to know and a program does not.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Writes a result as it is.
pub(crate) fn bytes(bytes: &[u8]) {
    let _ = std::io::stdout().lock().write_all(bytes);
}
