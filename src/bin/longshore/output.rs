//! The two streams that a command writes to: results on standard output, the rest on standard
//! error. A reader that has gone away is no error. Secrets that the process holds are cut out of both;
//! a result may have addresses with queries, such as those of an image's labels.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use longshore::redact::{scrub, without_secrets};

static QUIET: AtomicBool = AtomicBool::new(false);

/// Sees that no note is written from now on.
pub(crate) fn be_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

/// Returns true if neither notes nor progress are wanted.
pub(crate) fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// Writes a result.
pub(crate) fn result(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{}", without_secrets(text));
}

/// Writes something that a person may want to know and a program does not.
pub(crate) fn note(text: &str) {
    if !is_quiet() {
        warn(text);
    }
}

/// Writes an error, a warning or a question: what `--quiet` does not hold back.
pub(crate) fn warn(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", scrub(text));
}

/// Writes a result as it is.
pub(crate) fn bytes(bytes: &[u8]) {
    let _ = std::io::stdout().lock().write_all(bytes);
}
