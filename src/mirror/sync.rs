//! A whole run on one machine: plan, copy and report, side by side.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt, stream};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::copying::{Copier, Turn};
use super::error::Error;
use super::item::Item;
use super::ledger::Ledger;
use super::outcome::Outcome;
use super::plan::{Compiled, Planner, Position, Tags, Wanted};
use super::pruning::{self, Pruned};
use super::report::Report;
use super::run::Mode;
use crate::cloudformation::Continuation;
use crate::copy::Meter;
use crate::deploy::Deploy;

/// Items of a page. While one page is copied, the next is compared.
const PAGE: usize = 200;
/// The longest time of a run: in effect as long as it needs.
const FOREVER: Duration = Duration::from_hours(24 * 30);

/// A listener to the steps of a run.
pub type Progress<'a> = &'a (dyn Fn(Step<'_>) + Send + std::marker::Sync);

/// A whole run on one machine.
pub struct Sync {
    planner: Planner,
    copier: Copier,
    deploy: Arc<dyn Deploy>,
    options: SyncOptions,
}

/// Options of a run.
#[derive(Clone, Copy, Debug)]
pub struct SyncOptions {
    /// Only find out what would be done.
    pub dry_run: bool,
    /// Images that are copied at once.
    pub concurrency: usize,
}

/// A step of a run.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// The list means so many images.
    Listed(usize),
    /// So many more images are at their destinations already.
    Current(usize),
    /// An image has been copied, or not.
    Settled(&'a Outcome),
}

impl Sync {
    /// A run of what `planner` plans, copied by `deploy` for the mirror of this name.
    pub fn new(
        planner: Planner,
        deploy: Arc<dyn Deploy>,
        mirror: &str,
        options: SyncOptions,
    ) -> Self {
        Self {
            planner,
            copier: Copier::new(Arc::clone(&deploy), mirror),
            deploy,
            options,
        }
    }

    /// Makes the run. What it writes is noted in `ledger` at once, and what the list does not want
    /// any more is pruned by it, where the list says so. `meter` counts what all items do.
    ///
    /// # Errors
    ///
    /// When the list cannot be used. What fails for single images is in the report.
    pub async fn run(
        &self,
        ledger: Option<&Mutex<Ledger>>,
        meter: &Arc<Meter>,
        progress: Progress<'_>,
    ) -> Result<Report, Error> {
        let end = Instant::now() + FOREVER;
        let mut tags = Tags::default();
        self.planner.list_tags(&mut tags, end).await;
        self.planner.check(&tags).await.map_err(Error::List)?;
        progress(Step::Listed(tags.images()));
        let mut report = Report {
            mode: if self.options.dry_run {
                Mode::DryRun
            } else {
                Mode::Sync
            },
            ..Report::default()
        };
        report.totals.images = tags.images();
        report.unlisted(self.planner.list(), &tags);
        let mut compiled = self.page(&tags, Position::default(), 0, end).await;
        for number in 1.. {
            let next = compiled.next;
            let following = async {
                match next {
                    Some(from) => Some(self.page(&tags, from, number, end).await),
                    None => None,
                }
            };
            // The next page is compared while this one is copied.
            let settling = self.settle(compiled, &mut report, ledger, meter, progress);
            let ((), following) = tokio::join!(settling, following);
            match following {
                Some(page) => compiled = page,
                None => break,
            }
        }
        let wanted = Wanted::of(self.planner.list(), &tags);
        report.drifted(self.planner.drift(&wanted).await);
        let may_prune = !self.options.dry_run && !tags.has_failed();
        if let Some(ledger) = ledger.filter(|_| may_prune) {
            let mut ledger = ledger.lock().await;
            self.prune(&mut ledger, &wanted, &mut report, end).await;
        }
        Ok(report)
    }

    async fn page(&self, tags: &Tags, from: Position, number: usize, end: Instant) -> Compiled {
        self.planner.compile(tags, from, (number, PAGE), end).await
    }

    /// Copies the items of a page, unless the run is a dry one.
    async fn settle(
        &self,
        compiled: Compiled,
        report: &mut Report,
        ledger: Option<&Mutex<Ledger>>,
        meter: &Arc<Meter>,
        progress: Progress<'_>,
    ) {
        report.totals.current += compiled.page.current;
        progress(Step::Current(compiled.page.current));
        for outcome in compiled.page.settled {
            progress(Step::Settled(&outcome));
            report.add(outcome);
        }
        let items = apart(compiled.items.into_values().flatten());
        let mut settling = stream::iter(items)
            .map(|item| {
                async move {
                    let outcome = self.settle_one(&item, meter).await;
                    (item, outcome)
                }
                .boxed()
            })
            .buffer_unordered(self.options.concurrency);
        while let Some((item, outcome)) = settling.next().await {
            progress(Step::Settled(&outcome));
            if let Some(ledger) = ledger {
                ledger.lock().await.note(&item, &outcome);
            }
            report.add(outcome);
        }
    }

    async fn settle_one(&self, item: &Item, meter: &Arc<Meter>) -> Outcome {
        if self.options.dry_run {
            return Outcome::planned(item);
        }
        let _turn = self.planner.turn(&item.registry).await;
        if let Some(reason) = self.planner.quota_is_used_up(&item.registry) {
            return Outcome::deferred(item, reason);
        }
        let end = Instant::now() + FOREVER;
        let failed = |error: Error| Outcome::failed(item, &error.kind().to_string(), error.shown());
        let meter = Arc::new(Meter::one_of(meter));
        let turn = self.copier.turn(item, Continuation::first(), &meter, end);
        match turn.await {
            Ok(Turn::Done(outcome)) => outcome,
            Ok(Turn::Continue(_)) => failed(Error::OutOfTime { what: "a copy" }),
            Err(error) => failed(error),
        }
    }

    async fn prune(&self, ledger: &mut Ledger, wanted: &Wanted, report: &mut Report, end: Instant) {
        let Some(prune) = self.planner.list().prune else {
            return;
        };
        let tags = pruning::unwanted(ledger, wanted);
        let pruned = match pruning::withheld(prune, tags.len(), ledger) {
            Some(reason) => Pruned::withheld(reason),
            None => pruning::prune(&self.deploy, ledger, &tags, end).await,
        };
        report.pruned(pruned);
    }
}

/// Puts items of one repository apart. They share layers, and the later ones find those of the
/// earlier ones at the destination.
fn apart(items: impl Iterator<Item = Item>) -> Vec<Item> {
    let mut of_entry: HashMap<usize, usize> = HashMap::new();
    let placed = items.map(|item| {
        let turn = of_entry.entry(item.entry).or_default();
        *turn += 1;
        (*turn, item)
    });
    let mut placed: Vec<(usize, Item)> = placed.collect();
    placed.sort_by_key(|(turn, _)| *turn);
    placed.into_iter().map(|(_, item)| item).collect()
}
