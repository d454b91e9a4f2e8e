//! Progress on standard error: bars on a terminal, a line now and then elsewhere.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use longshore::copy::{BlobProgress, Meter, Report};
use tokio::task::AbortHandle;
use tokio::time::interval;

/// The number of times that bars are drawn.
const REDRAW: Duration = Duration::from_millis(100);
/// The number of times that a line is written where there is no terminal.
const LINE: Duration = Duration::from_secs(10);

/// Shows what a meter counts until it is dropped.
pub(crate) struct Progress {
    task: AbortHandle,
    screen: MultiProgress,
}

impl Progress {
    /// Begins to show what `meter` counts. With `quiet`, or by `--quiet`, nothing is shown.
    pub(crate) fn show(meter: &Arc<Meter>, quiet: bool) -> Self {
        let screen = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        Self::show_on(screen, meter, quiet)
    }

    /// The same, below what `screen` shows already.
    pub(crate) fn show_on(screen: MultiProgress, meter: &Arc<Meter>, quiet: bool) -> Self {
        let meter = Arc::clone(meter);
        let task = if quiet || crate::output::is_quiet() {
            tokio::spawn(std::future::ready(()))
        } else if std::io::stderr().is_terminal() {
            tokio::spawn(bars(meter, screen.clone()))
        } else {
            tokio::spawn(lines(meter))
        };
        Self {
            task: task.abort_handle(),
            screen,
        }
    }

    /// Writes a note above the bars.
    pub(crate) fn note(&self, text: &str) {
        self.screen.suspend(|| crate::output::note(text));
    }

    /// Writes a result above the bars.
    pub(crate) fn result(&self, text: &str) {
        self.screen.suspend(|| crate::output::result(text));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn bars(meter: Arc<Meter>, screen: MultiProgress) {
    let mut drawn = Bars {
        screen,
        blobs: HashMap::new(),
        total: None,
    };
    let mut redraw = interval(REDRAW);
    loop {
        redraw.tick().await;
        drawn.update(&meter.active());
        drawn.update_total(&meter);
    }
}

/// The bars on the screen, cleared when they are dropped.
struct Bars {
    screen: MultiProgress,
    blobs: HashMap<String, ProgressBar>,
    /// All that is to be sent, once some of it is known.
    total: Option<ProgressBar>,
}

impl Bars {
    fn update(&mut self, active: &[Arc<BlobProgress>]) {
        for blob in active {
            let bar = self.blobs.entry(blob.label.clone());
            let bar = bar.or_insert_with(|| self.screen.add(bar_of(blob)));
            bar.set_position(blob.sent());
        }
        self.blobs.retain(|label, bar| {
            let is_active = active.iter().any(|blob| blob.label == *label);
            if !is_active {
                bar.finish_and_clear();
            }
            is_active
        });
    }
}

impl Bars {
    fn update_total(&mut self, meter: &Meter) {
        let expected = meter.expected();
        if expected == 0 {
            return;
        }
        let total = self.total.get_or_insert_with(|| {
            let bar = ProgressBar::new(expected).with_style(style(SIZED));
            self.screen.insert(0, bar.with_message("total       "))
        });
        total.set_length(expected);
        total.set_position(meter.uploaded().min(expected));
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        // A screen that cannot be cleared has nothing on it.
        let _ = self.screen.clear();
    }
}

/// A bar of something whose size is known.
const SIZED: &str =
    "{msg} [{bar:24}] {percent:>3}% {bytes}/{total_bytes} {bytes_per_sec} {eta} left";
/// A bar of something whose size is not known before its end.
const UNSIZED: &str = "{msg} {spinner} {bytes} {bytes_per_sec}";

fn bar_of(blob: &BlobProgress) -> ProgressBar {
    let (bar, template) = match blob.size {
        Some(size) => (ProgressBar::new(size), SIZED),
        None => (ProgressBar::new_spinner(), UNSIZED),
    };
    bar.with_style(style(template))
        .with_message(blob.label.clone())
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

async fn lines(meter: Arc<Meter>) {
    let mut next = interval(LINE);
    next.tick().await;
    loop {
        next.tick().await;
        crate::output::note(&moved(&meter.report()));
    }
}

/// What a run moved, in one line.
pub(crate) fn moved(report: &Report) -> String {
    let mut parts = vec![
        format!("read {}", HumanBytes(report.bytes_read)),
        format!(
            "uploaded {} ({})",
            HumanBytes(report.bytes_uploaded),
            count(report.blobs_uploaded, "blob")
        ),
    ];
    for (blobs, bytes, how) in [
        (report.blobs_reused, report.bytes_reused, "already there"),
        (report.blobs_mounted, report.bytes_mounted, "mounted"),
    ] {
        if blobs > 0 {
            parts.push(format!(
                "{how} {} ({})",
                HumanBytes(bytes),
                count(blobs, "blob")
            ));
        }
    }
    parts.push(count(report.manifests_pushed, "manifest"));
    parts.push(count(report.tags_written, "tag"));
    if report.referrers_refused > 0 {
        let refused = count(report.referrers_refused, "referrer");
        parts.push(format!("{refused} refused by the destination"));
    }
    parts.join(", ")
}

/// A number of things, in words.
pub(crate) fn count(number: u64, what: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {what}{ending}")
}
