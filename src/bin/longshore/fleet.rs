//! Progress over a fleet of images: a bar on a terminal, and a line for each image that moved.

use std::io::IsTerminal;
use std::sync::Arc;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use longshore::copy::Meter;
use longshore::mirror::{Outcome, Status, Step};

use crate::progress::Progress;

/// Shows how a run goes on until it is dropped.
pub(crate) struct Fleet {
    images: ProgressBar,
    blobs: Progress,
    quiet: bool,
}

impl Fleet {
    /// Begins to show a run. With `quiet`, nothing is shown.
    pub(crate) fn show(meter: &Arc<Meter>, quiet: bool) -> Self {
        let quiet = quiet || crate::output::is_quiet();
        let screen = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let has_bar = !quiet && std::io::stderr().is_terminal();
        let images = if has_bar {
            screen.add(ProgressBar::new(0))
        } else {
            ProgressBar::hidden()
        };
        let style = ProgressStyle::with_template("{pos}/{len} images [{bar:32}] {eta} left");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        images.set_style(style);
        Self {
            images,
            blobs: Progress::show_on(screen, meter, quiet),
            quiet,
        }
    }

    /// Tells a step of the run.
    pub(crate) fn tell(&self, step: Step<'_>) {
        match step {
            Step::Listed(images) => self.images.set_length(images as u64),
            Step::Current(images) => self.images.inc(images as u64),
            Step::Settled(outcome) => {
                self.images.inc(1);
                self.settled(outcome);
            }
        }
    }

    fn settled(&self, outcome: &Outcome) {
        if self.quiet {
            return;
        }
        let (source, places) = (&outcome.source, outcome.destinations.join(", "));
        let reason = outcome.reason.as_deref().unwrap_or_default();
        match outcome.status {
            Status::Copied => self.blobs.result(&format!("copied: {source} to {places}")),
            Status::Planned => {
                let why = outcome.why.map(|why| why.to_string()).unwrap_or_default();
                self.blobs
                    .result(&format!("to be copied: {source} ({why})"));
            }
            Status::Failed => self.blobs.note(&format!("failed: {source}: {reason}")),
            Status::Deferred => self
                .blobs
                .note(&format!("left for later: {source}: {reason}")),
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.images.finish_and_clear();
    }
}
