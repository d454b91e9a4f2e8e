//! The function's side of a run: each operation of the envelope, on the objects of the mirror's
//! bucket.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{BoxFuture, Shared};
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::{Instrument, error, info, info_span};

use super::call::{Call, Caught, Operation};
use super::copying::{Copier, Turn};
use super::error::Error;
use super::item::Item;
use super::ledger::Ledger;
use super::list::List;
use super::outcome::Outcome;
use super::plan::{Cursor, Group, MAX_ITEMS, Page, Phase, Planned, Planner, Tags, Wanted};
use super::pruning;
use super::report::Report;
use super::run::{Mode, Run};
use crate::aws::{Clients, Objects};
use crate::cloudformation::{Attributes, Continuation, Handler, Invocation, MIRROR_TARGET};
use crate::copy::Meter;
use crate::deploy::{Deploy, Kind, Survey};

const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";
/// Objects that are read at once.
const READS: usize = 32;
/// The part of an invocation's time that is kept to store what was done, as a divisor.
const RESERVED_PART: u32 = 10;
/// The longest time that is kept for that.
const LONGEST_RESERVE: std::time::Duration = std::time::Duration::from_secs(20);

/// Runs the operations of mirrors.
pub struct Mirrors {
    survey: Survey,
    deploy: Arc<dyn Deploy>,
    aws: Clients,
    stop: Shared<BoxFuture<'static, ()>>,
}

impl Mirrors {
    /// Copies by `deploy`, looks at registries by `survey`, and keeps the objects of runs in
    /// buckets that `aws` reaches. Work ends early when `stop` is done.
    pub fn new(
        survey: Survey,
        deploy: Arc<dyn Deploy>,
        aws: Clients,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        Self {
            survey,
            deploy,
            aws,
            stop: stop.boxed().shared(),
        }
    }

    /// Does what the call asks for, before the invocation's deadline. `handler` answers
    /// CloudFormation where it waits for the run.
    pub async fn run(
        &self,
        call: Call,
        handler: &Handler,
        invocation: &Invocation,
    ) -> Result<Value, Error> {
        let span = info_span!("mirror", run = call.run.id, invocation = invocation.id);
        let working = self.operate(call, handler, invocation);
        let result = tokio::select! {
            biased;
            result = working.instrument(span.clone()) => result,
            () = self.stop.clone() => Err(Error::Stopped),
        };
        if let Err(failure) = &result {
            let _entered = span.enter();
            error!(error = failure.shown(), kind = %failure.kind(), "failed");
        }
        result
    }

    async fn operate(
        &self,
        call: Call,
        handler: &Handler,
        invocation: &Invocation,
    ) -> Result<Value, Error> {
        let run = OneRun {
            mirrors: self,
            objects: Objects::new(self.aws.clone(), &call.run.bucket),
            run: call.run,
            until: until(invocation),
        };
        match call.operation {
            Operation::Plan { cursor } => Ok(json!(run.plan(cursor.unwrap_or_default()).await?)),
            Operation::Copy { item, checkpoint } => run.copy(item, checkpoint).await,
            Operation::Record { item, error } => run.record(&item, &error).await,
            Operation::Report { error } => run.report(error, handler, invocation).await,
            Operation::Ended { status } => run.ended(&status, handler, invocation).await,
        }
    }
}

/// The instant at which work stops, so that its results can still be stored.
fn until(invocation: &Invocation) -> Instant {
    let left = invocation
        .deadline
        .saturating_duration_since(Instant::now());
    invocation.deadline - (left / RESERVED_PART).min(LONGEST_RESERVE)
}

/// One operation of one run.
struct OneRun<'a> {
    mirrors: &'a Mirrors,
    objects: Objects,
    run: Run,
    until: Instant,
}

impl OneRun<'_> {
    /// One page of the plan.
    async fn plan(&self, cursor: Cursor) -> Result<Planned, Error> {
        if self.run.input.mode == Mode::Remove {
            return Ok(Planned {
                groups: Vec::new(),
                next: None,
            });
        }
        let planner = self.planner().await?;
        match cursor.phase {
            Phase::Tags => self.plan_tags(&planner, cursor).await,
            Phase::Compare => self.plan_images(&planner, cursor).await,
            Phase::Drift => self.plan_drift(&planner).await,
        }
    }

    async fn plan_tags(&self, planner: &Planner, cursor: Cursor) -> Result<Planned, Error> {
        let before: Option<Tags> = self.object("tags.json").await?;
        let mut tags = before.unwrap_or_default();
        let known = tags.clone();
        planner.list_tags(&mut tags, self.until).await;
        self.store("tags.json", JSON, text_of(&tags)).await?;
        if !tags.is_complete() {
            if known == tags {
                return Err(out_of_time("listing the tags of a repository"));
            }
            return Ok(going_on(Vec::new(), cursor));
        }
        planner.check(&tags).await.map_err(Error::List)?;
        info!(images = tags.images(), "the list was read");
        let cursor = Cursor {
            phase: Phase::Compare,
            ..cursor
        };
        self.plan_images(planner, cursor).await
    }

    async fn plan_images(&self, planner: &Planner, cursor: Cursor) -> Result<Planned, Error> {
        let tags: Tags = self.object("tags.json").await?.unwrap_or_default();
        let (from, number) = (cursor.position, cursor.page);
        let compiled = planner
            .compile(&tags, from, (number, MAX_ITEMS), self.until)
            .await;
        if compiled.next == Some(from) {
            return Err(out_of_time("comparing an image with its destinations"));
        }
        let mut page = compiled.page;
        for (place, (registry, items)) in compiled.items.into_iter().enumerate() {
            let name = format!("items/{number:04}-{place}.json");
            self.store(&name, JSON, text_of(&items)).await?;
            let (bucket, key) = (self.objects.bucket(), self.run.key(&name));
            page.groups
                .push(planner.group(&registry, items.len(), bucket, &key));
        }
        let name = format!("pages/{number:04}.json");
        self.store(&name, JSON, text_of(&page)).await?;
        let next = Cursor {
            page: number + 1,
            phase: match compiled.next {
                Some(_) => Phase::Compare,
                None => Phase::Drift,
            },
            position: compiled.next.unwrap_or_default(),
        };
        let groups = match self.run.input.mode {
            Mode::DryRun => Vec::new(),
            Mode::Sync | Mode::Remove => page.groups,
        };
        Ok(going_on(groups, next))
    }

    async fn plan_drift(&self, planner: &Planner) -> Result<Planned, Error> {
        let tags: Tags = self.object("tags.json").await?.unwrap_or_default();
        let wanted = Wanted::of(planner.list(), &tags);
        let drift = planner.drift(&wanted);
        let drift = tokio::time::timeout_at(self.until, drift).await;
        let drift = drift.map_err(|_| out_of_time("looking for tags that are not in the list"))?;
        self.store("drift.json", JSON, text_of(&drift)).await?;
        Ok(Planned {
            groups: Vec::new(),
            next: None,
        })
    }

    /// A turn of one item. What became of it is stored before it is told.
    async fn copy(&self, item: Item, checkpoint: Option<Continuation>) -> Result<Value, Error> {
        if let Some(rate) = item.requests_per_second {
            self.mirrors.survey.limit_requests(&item.registry, rate);
        }
        let copier = Copier::new(Arc::clone(&self.mirrors.deploy), self.run.mirror());
        let before = checkpoint.unwrap_or_else(Continuation::first);
        let meter = Arc::new(Meter::default());
        match copier.turn(&item, before, &meter, self.until).await? {
            Turn::Continue(next) => Ok(json!({ "Status": "continue", "Checkpoint": next })),
            Turn::Done(outcome) => {
                self.store_outcome(&outcome).await?;
                info!(item = item.id, source = item.source, digest = ?outcome.digest, "copied");
                Ok(json!({
                    "Status": "done",
                    "Id": outcome.id,
                    "Digest": outcome.digest,
                    "BytesUploaded": outcome.bytes_uploaded,
                    "BytesReused": outcome.bytes_reused,
                    "Detail": self.detail(&outcome),
                }))
            }
        }
    }

    /// Notes how an item failed that could not note it itself.
    async fn record(&self, item: &Item, error: &Caught) -> Result<Value, Error> {
        let outcome = Outcome::failed(item, &error.error, error.reason());
        self.store_outcome(&outcome).await?;
        Ok(json!({ "Id": outcome.id, "Detail": self.detail(&outcome) }))
    }

    async fn report(
        &self,
        error: Option<Caught>,
        handler: &Handler,
        invocation: &Invocation,
    ) -> Result<Value, Error> {
        let (report, tolerated) = self.compose(error).await?;
        let html = self.run.key("report.html");
        self.store("report.json", JSON, text_of(&report)).await?;
        self.store("report.html", HTML, report.html()).await?;
        close(&report);
        let uri = self.objects.uri(&html);
        let is_success = report.is_success(tolerated);
        let mut message = report.sentence();
        crate::cloudformation::truncate(&mut message, 2000);
        let answer = if is_success {
            Ok(attributes(&report, &uri))
        } else {
            Err(format!("{message}; the report is {uri}"))
        };
        self.answer(answer, handler, invocation).await?;
        Ok(json!({
            "Status": if is_success { "succeeded" } else { "failed" },
            "Copied": report.totals.copied,
            "Current": report.totals.current,
            "Failed": report.totals.failed,
            "Pruned": report.totals.pruned,
            "ReportUri": uri,
            "Message": message,
        }))
    }

    /// The report, and the percentage of images that may fail.
    async fn compose(&self, error: Option<Caught>) -> Result<(Report, f64), Error> {
        let mut report = Report {
            mirror: self.run.mirror().to_owned(),
            run: self.run.id.clone(),
            mode: self.run.input.mode,
            error: error.map(|error| error.reason()),
            ..Report::default()
        };
        let mut tolerated = 0.0;
        let mut wanted = None;
        if self.run.input.mode == Mode::Remove {
            wanted = Some((Wanted::default(), None));
        } else if report.error.is_none() {
            let planner = self.planner().await?;
            let tags: Tags = self.object("tags.json").await?.unwrap_or_default();
            report.totals.images = tags.images();
            report.drifted(self.object("drift.json").await?.unwrap_or_default());
            tolerated = f64::from(planner.list().tolerated_failure_percentage);
            report.unlisted(planner.list(), &tags);
            let prune = planner.list().prune.filter(|_| !tags.has_failed());
            wanted = prune.map(|prune| (Wanted::of(planner.list(), &tags), Some(prune)));
        }
        let mut ledger = self.ledger().await?;
        let mut is_news = self.gather(&mut report, &mut ledger).await?;
        let may_prune = report.error.is_none() && report.mode != Mode::DryRun;
        if let Some((wanted, prune)) = wanted.filter(|_| may_prune) {
            let tags = pruning::unwanted(&ledger, &wanted);
            let withheld = prune.and_then(|prune| pruning::withheld(prune, tags.len(), &ledger));
            let pruned = if let Some(reason) = withheld {
                pruning::Pruned::withheld(reason)
            } else {
                let deploy = &self.mirrors.deploy;
                pruning::prune(deploy, &mut ledger, &tags, self.until).await
            };
            is_news |= !pruned.removed.is_empty();
            report.pruned(pruned);
        }
        if is_news {
            let key = self.run.ledger_key();
            self.objects
                .write(&key, text_of(&ledger).into(), JSON)
                .await?;
        }
        Ok((report, tolerated))
    }

    /// Adds what each page found and what became of its items. Tells whether the ledger has news.
    async fn gather(&self, report: &mut Report, ledger: &mut Ledger) -> Result<bool, Error> {
        let mut is_news = false;
        for number in 0.. {
            let page: Option<Page> = self.object(&format!("pages/{number:04}.json")).await?;
            let Some(page) = page else { break };
            report.totals.current += page.current;
            for outcome in page.settled {
                report.add(outcome);
            }
            for group in &page.groups {
                is_news |= self.gather_group(group, report, ledger).await?;
            }
        }
        Ok(is_news)
    }

    async fn gather_group(
        &self,
        group: &Group,
        report: &mut Report,
        ledger: &mut Ledger,
    ) -> Result<bool, Error> {
        let items: Vec<Item> = self.read(&group.key).await?.unwrap_or_default();
        if report.mode == Mode::DryRun {
            for item in &items {
                report.add(Outcome::planned(item));
            }
            return Ok(false);
        }
        let mut is_news = false;
        let mut outcomes = stream::iter(&items)
            .map(|item| async move { Ok::<_, Error>((item, self.outcome(item).await?)) }.boxed())
            .buffered(READS);
        while let Some((item, outcome)) = outcomes.try_next().await? {
            is_news |= ledger.note(item, &outcome);
            report.add(outcome);
        }
        Ok(is_news)
    }

    async fn outcome(&self, item: &Item) -> Result<Outcome, Error> {
        let stored: Option<Outcome> = self.object(&result_name(&item.id)).await?;
        let lost = || {
            let reason = "it has no outcome: the run ended before it, or its function was lost";
            Outcome::failed(item, &Kind::Failed.to_string(), reason.to_owned())
        };
        Ok(stored.unwrap_or_else(lost))
    }

    /// Answers whoever waits for a run that ended without its report.
    async fn ended(
        &self,
        status: &str,
        handler: &Handler,
        invocation: &Invocation,
    ) -> Result<Value, Error> {
        let how = match status {
            "ABORTED" => "was aborted",
            "TIMED_OUT" => "ran out of time",
            _ => "failed",
        };
        let reason = format!(
            "the mirror's execution {} {how} before its report; images that were copied stay",
            self.run.id
        );
        let answered = self.answer(Err(reason), handler, invocation).await?;
        Ok(json!({ "Answered": answered }))
    }

    /// Answers CloudFormation, if it waits for this run. The request goes when it is answered.
    async fn answer(
        &self,
        answer: Result<Attributes, String>,
        handler: &Handler,
        invocation: &Invocation,
    ) -> Result<bool, Error> {
        let key = self.run.key("request.json");
        let Some(request): Option<Box<RawValue>> = self.read(&key).await? else {
            return Ok(false);
        };
        let answered = handler.answer_waiting(&request, answer, invocation).await;
        answered.map_err(|error| Error::Undelivered(error.into()))?;
        self.objects.remove(&key).await?;
        Ok(true)
    }

    /// The planner of the run's list.
    async fn planner(&self) -> Result<Planner, Error> {
        let key = self.run.key("list");
        let (text, is_new) = match self.objects.read(&key).await? {
            Some(stored) => (stored, false),
            None => (self.named_list(&key).await?, true),
        };
        let list = List::read(&text).map_err(Error::List)?;
        if is_new {
            // The list that its author changes meanwhile is that of the next run.
            self.objects.write(&key, text, "application/yaml").await?;
        }
        Ok(Planner::new(Arc::new(list), self.mirrors.survey.clone()))
    }

    /// The list that the run's input names, or has.
    async fn named_list(&self, key: &str) -> Result<Bytes, Error> {
        match &self.run.input.list {
            Some(Value::String(uri)) => self.list_at(uri).await,
            Some(inline @ Value::Object(_)) => Ok(inline.to_string().into()),
            Some(other) => Err(Error::NoList {
                list: other.to_string(),
            }),
            None => Err(Error::ListMissing {
                uri: self.objects.uri(key),
            }),
        }
    }

    async fn list_at(&self, uri: &str) -> Result<Bytes, Error> {
        let place = uri.strip_prefix("s3://").and_then(|at| at.split_once('/'));
        let (bucket, key) = place.ok_or_else(|| Error::NoList {
            list: uri.to_owned(),
        })?;
        let list = Objects::new(self.mirrors.aws.clone(), bucket)
            .read(key)
            .await?;
        list.ok_or_else(|| Error::ListMissing {
            uri: uri.to_owned(),
        })
    }

    async fn ledger(&self) -> Result<Ledger, Error> {
        Ok(self.read(&self.run.ledger_key()).await?.unwrap_or_default())
    }

    /// An object of the run.
    async fn object<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        self.read(&self.run.key(name)).await
    }

    async fn read<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        let Some(content) = self.objects.read(key).await? else {
            return Ok(None);
        };
        let read = serde_json::from_slice(&content);
        read.map(Some).map_err(|source| Error::Object {
            uri: self.objects.uri(key),
            source,
        })
    }

    async fn store(&self, name: &str, content_type: &str, content: String) -> Result<(), Error> {
        let key = self.run.key(name);
        Ok(self
            .objects
            .write(&key, content.into(), content_type)
            .await?)
    }

    async fn store_outcome(&self, outcome: &Outcome) -> Result<(), Error> {
        let name = result_name(&outcome.id);
        self.store(&name, JSON, text_of(outcome)).await
    }

    /// The detail of an event about an outcome.
    fn detail(&self, outcome: &Outcome) -> Value {
        json!({
            "mirror": self.run.mirror(),
            "run": self.run.id,
            "source": outcome.source,
            "destinations": outcome.destinations,
            "digest": outcome.digest,
            "error": outcome.error,
            "reason": outcome.reason,
        })
    }
}

fn out_of_time(what: &'static str) -> Error {
    Error::OutOfTime { what }
}

/// An object's JSON, without a tree of values first: that takes several times its memory.
fn text_of(content: &impl Serialize) -> String {
    serde_json::to_string(content).expect("what a run stores is JSON")
}

fn result_name(id: &str) -> String {
    format!("results/{id}.json")
}

fn going_on(groups: Vec<Group>, next: Cursor) -> Planned {
    Planned {
        groups,
        next: Some(next),
    }
}

fn attributes(report: &Report, uri: &str) -> Attributes {
    vec![
        ("Copied", report.totals.copied.to_string()),
        ("Current", report.totals.current.to_string()),
        ("Failed", report.totals.failed.to_string()),
        ("ReportUri", uri.to_owned()),
    ]
}

/// The closing line of a run, from which CloudWatch takes its metrics.
fn close(report: &Report) {
    let totals = &report.totals;
    info!(
        target: MIRROR_TARGET,
        mirror = report.mirror,
        run = report.run,
        mirror_images = totals.images,
        mirror_current = totals.current,
        mirror_copied = totals.copied,
        mirror_failed = totals.failed,
        mirror_deferred = totals.deferred,
        mirror_extra = totals.extra,
        mirror_pruned = totals.pruned,
        mirror_bytes_uploaded = totals.bytes_uploaded,
        "the run was reported"
    );
}
