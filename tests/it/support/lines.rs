//! What is logged, kept to be looked at.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use tracing::Dispatch;
use tracing::dispatcher::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

/// Where a subscriber writes to. Clones are the same place.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    pub(crate) fn text(&self) -> String {
        let bytes = self.0.lock().expect("no panic").clone();
        String::from_utf8(bytes).expect("a text")
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Logs of this thread, until this is dropped, by `subscriber`. Beside another one: with a single
/// subscriber, `tracing` takes a thread without any for all threads, and drops lines of this one
/// that the other came to first.
pub(crate) fn follow(subscriber: impl Into<Dispatch>) -> (DefaultGuard, Dispatch) {
    let beside = Dispatch::new(tracing_subscriber::registry());
    (tracing::dispatcher::set_default(&subscriber.into()), beside)
}
