//! Logs as JSON lines: one object a line, each with the request that it belongs to.

use std::io::{self, Write};
use std::time::SystemTime;

use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber, error};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{Format, Json, Writer};
use tracing_subscriber::fmt::{self, FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::{LookupSpan, Registry};

use super::metrics;
use crate::redact::scrub_json;

/// The level that the Lambda's configuration asks for.
const LEVEL: &str = "AWS_LAMBDA_LOG_LEVEL";
/// True if CloudWatch is told which fields of the closing line are metrics.
const METRICS: &str = "LONGSHORE_METRICS";

/// Sends logs, and what a panic says, to standard output for the rest of the process.
pub fn init() {
    let variable = |name| std::env::var(name).ok();
    let level = level(variable(LEVEL).as_deref());
    let metrics = matches!(variable(METRICS).as_deref(), Some("1" | "true"));
    let subscriber = subscriber(level, metrics, io::stdout);
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
/// them. With `metrics`, the closing line is written at every level, and CloudWatch takes metrics
/// from it.
pub fn subscriber<W>(level: LevelFilter, metrics: bool, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let closing = if metrics {
        level.max(LevelFilter::INFO)
    } else {
        level
    };
    let targets = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target(env!("CARGO_CRATE_NAME"), level)
        .with_target(metrics::TARGET, closing)
        .with_target(metrics::MIRROR_TARGET, closing);
    let lines = fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_target(false)
        .map_event_format(|json| Lines { json, metrics })
        .with_writer(Scrubbed(writer));
    Registry::default().with(lines.with_filter(targets))
}

/// Writes events as JSON, and before the fields of the closing line which of them are metrics.
struct Lines {
    json: Format<Json>,
    metrics: bool,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let target = event.metadata().target();
        let directive = metrics::directive(target, SystemTime::now()).filter(|_| self.metrics);
        let Some(directive) = directive else {
            return self.json.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.json
            .format_event(context, Writer::new(&mut line), event)?;
        let fields = line.strip_prefix('{').unwrap_or(&line);
        write!(writer, "{{\"_aws\":{directive},{fields}")
    }
}

/// Makes writers that take queries, and the secrets that this process holds, out of what they write.
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
        let shown = scrub_json(&String::from_utf8_lossy(line));
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
