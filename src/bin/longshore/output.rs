//! The two streams that a command writes to: results on standard output, the rest on standard
//! error. A reader that has gone away is no error. Secrets that the process holds are cut out of both;
//! a result may have addresses with queries, such as those of an image's labels.

use std::io::Write;

use longshore::redact::{scrub, without_secrets};

/// Writes a result.
pub(crate) fn result(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{}", without_secrets(text));
}

/// Writes something that a person may want to know and a program does not.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", scrub(text));
}

/// Writes a result as it is.
pub(crate) fn bytes(bytes: &[u8]) {
    let _ = std::io::stdout().lock().write_all(bytes);
}
