//! Logs as JSON lines: one object a line, each with the request that it belongs to.

use std::io::{self, Write};

use tracing::level_filters::LevelFilter;
use tracing::{Subscriber, error};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::Registry;

use super::text;

/// The level that the Lambda's configuration asks for.
const LEVEL: &str = "AWS_LAMBDA_LOG_LEVEL";

/// Sends logs, and what a panic says, to standard output for the rest of the process.
pub fn init() {
    let level = level(std::env::var(LEVEL).ok().as_deref());
    let subscriber = subscriber(level, io::stdout);
    if tracing::subscriber::set_global_default(subscriber).is_err() {
        return;
    }
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string);
        error!(at, message = panic.payload_as_str(), "panic");
    }));
}

fn level(wanted: Option<&str>) -> LevelFilter {
    // An empty text would parse, as the level of errors.
    let wanted = wanted.filter(|level| !level.is_empty());
    wanted
        .and_then(|level| level.parse().ok())
        .unwrap_or(LevelFilter::INFO)
}

/// Writes logs to `writer`: this crate's from `level` on, and warnings of others, whose debug logs
/// may hold requests as they are. Of web addresses only what is no key is written, whoever logs
/// them.
pub fn subscriber<W>(level: LevelFilter, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let targets = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target(env!("CARGO_CRATE_NAME"), level);
    let lines = fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_target(false)
        .with_writer(Scrubbed(writer));
    Registry::default().with(lines.with_filter(targets))
}

/// Makes writers that take the queries out of what they write.
struct Scrubbed<W>(W);

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for Scrubbed<W> {
    type Writer = Scrubbed<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Scrubbed(self.0.make_writer())
    }
}

/// Every write is a whole line: that is how the formatter writes.
impl<W: Write> Write for Scrubbed<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let shown = text::without_queries(&String::from_utf8_lossy(line));
        self.0.write_all(shown.as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_level_everything_but_details_is_logged() {
        for unset in [None, Some(""), Some("loud")] {
            assert_eq!(level(unset), LevelFilter::INFO);
        }
        assert_eq!(level(Some("DEBUG")), LevelFilter::DEBUG);
    }
}
