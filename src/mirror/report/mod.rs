//! The report of a run: for programs and for people.

mod html;

use serde::{Deserialize, Serialize};

use super::list::List;
use super::outcome::{Outcome, Status};
use super::plan::{Drift, Selected, Tags};
use super::pruning::Pruned;
use super::run::Mode;

/// The most outcomes of a kind that a report names. All are counted, and each is an object of its
/// own in the mirror's bucket.
pub const MAX_NAMED: usize = 10_000;

/// The report of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Report {
    /// The mirror.
    pub mirror: String,
    /// The run's name.
    pub run: String,
    /// The run's mode.
    pub mode: Mode,
    /// The number of images of each kind.
    pub totals: Totals,
    /// The failure that ended the run early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Images that were not copied, and why. At most [`MAX_NAMED`].
    pub failed: Vec<Outcome>,
    /// Images that were left for a later run. At most [`MAX_NAMED`].
    pub deferred: Vec<Outcome>,
    /// Images that were copied, or that a dry run would copy. At most [`MAX_NAMED`].
    pub copied: Vec<Outcome>,
    /// Tags at the destinations that are not in the list.
    pub drift: Drift,
    /// The result of pruning.
    pub pruned: Pruned,
}

/// The number of images of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Totals {
    /// Images of the list.
    pub images: usize,
    /// Images that each destination had already.
    pub current: usize,
    /// Images that were copied.
    pub copied: usize,
    /// Images that are to be copied: those of a dry run.
    pub planned: usize,
    /// Images that were not copied.
    pub failed: usize,
    /// Images that were left for a later run.
    pub deferred: usize,
    /// Tags at the destinations that are not in the list.
    pub extra: usize,
    /// Tags that were removed.
    pub pruned: usize,
    /// Bytes of blobs that were sent to the destinations.
    pub bytes_uploaded: u64,
}

impl Report {
    /// Counts an outcome, and names it while there is room.
    pub fn add(&mut self, outcome: Outcome) {
        self.totals.bytes_uploaded += outcome.bytes_uploaded;
        let (count, named) = match outcome.status {
            Status::Copied => (&mut self.totals.copied, &mut self.copied),
            Status::Planned => (&mut self.totals.planned, &mut self.copied),
            Status::Failed => (&mut self.totals.failed, &mut self.failed),
            Status::Deferred => (&mut self.totals.deferred, &mut self.deferred),
        };
        *count += 1;
        if named.len() < MAX_NAMED {
            named.push(outcome);
        }
    }

    /// Counts each entry as failed whose tags could not be listed.
    pub fn unlisted(&mut self, list: &List, tags: &Tags) {
        let entries = list.entries.iter().zip(&tags.0).enumerate();
        for (position, (entry, selected)) in entries {
            let Selected::Failed { error, reason } = selected else {
                continue;
            };
            self.add(Outcome {
                id: format!("entry-{position}"),
                entry: position,
                source: entry.source().repository().to_string(),
                status: Status::Failed,
                why: None,
                digest: None,
                destinations: Vec::new(),
                error: Some(error.clone()),
                reason: Some(reason.clone()),
                bytes_uploaded: 0,
                bytes_reused: 0,
            });
        }
    }

    /// Notes what was found beside the list.
    pub fn drifted(&mut self, drift: Drift) {
        self.totals.extra = drift.count();
        self.drift = drift;
    }

    /// Notes what pruning did.
    pub fn pruned(&mut self, pruned: Pruned) {
        self.totals.pruned = pruned.removed.len();
        self.pruned = pruned;
    }

    /// Returns true if the run did all that it should: at most this percentage of the images failed
    /// or were left for later, and nothing else failed.
    pub fn is_success(&self, tolerated_failure_percentage: f64) -> bool {
        let missing = self.totals.failed + self.totals.deferred;
        let share = missing as f64 * 100.0 / self.totals.images.max(1) as f64;
        let is_pruned = self.pruned.failed.is_empty() && self.pruned.withheld.is_none();
        self.error.is_none() && is_pruned && share <= tolerated_failure_percentage
    }

    /// Returns true if every image of the list is at its destinations.
    pub fn is_current(&self) -> bool {
        let totals = &self.totals;
        let missing = totals.planned + totals.failed + totals.deferred;
        self.error.is_none() && missing == 0
    }

    /// The run in one sentence.
    pub fn sentence(&self) -> String {
        let Totals {
            images,
            current,
            copied,
            planned,
            failed,
            deferred,
            pruned,
            ..
        } = self.totals;
        if let Some(error) = &self.error {
            return error.clone();
        }
        let plural = if images == 1 { "" } else { "s" };
        let mut parts = vec![format!("{images} image{plural}: {current} current")];
        for (count, what) in [
            (copied, "copied"),
            (planned, "to be copied"),
            (failed, "failed"),
            (deferred, "left for a later run"),
            (pruned, "tags pruned"),
        ] {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        }
        let mut sentence = parts.join(", ");
        if let Some(first) = self.failed.first() {
            let reason = first.reason.as_deref().unwrap_or_default();
            sentence.push_str("; the first failure is ");
            sentence.push_str(&first.source);
            sentence.push_str(": ");
            sentence.push_str(reason);
        }
        if let Some(withheld) = &self.pruned.withheld {
            sentence.push_str("; ");
            sentence.push_str(withheld);
        }
        sentence
    }
}
