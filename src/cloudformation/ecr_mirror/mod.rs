//! The life of a `Custom::ECRMirror`: runs of a state machine, one for each request.
//!
//! A run is started under a name that the request's ID makes, so that the same event twice starts
//! one. What the stack waits for is answered by the run's report, or by a rule on the run's end: the
//! event waits in the bucket meanwhile, since its `ResponseURL` must not stand in the input of an
//! execution. A mirror keeps its physical ID whatever changes, so that no Update deletes what the
//! mirror before wrote.

mod properties;
mod run;
mod table;

use bytes::Bytes;
use serde_json::json;
use serde_json::value::RawValue;
use tracing::{info, warn};

use self::properties::{Home, List};
use self::run::{key, mirror_id, prefix, run_id};
use super::done::Done;
use super::error::Failure;
use super::executions::{Begun, Executions};
use super::invalid_properties::Properties;
use super::request::{Action, Reply, Request};
use super::response::Attributes;
use super::text;
use crate::content::BoxError;
use crate::deploy::Kind;

pub(super) use run::physical_id;
pub use table::PROPERTIES;

/// The name of the object that holds an event that waits for its answer.
const REQUEST: &str = "request.json";
/// The name of the object that holds the list of a template.
const LIST: &str = "list";

/// One run that is to be started.
struct Run<'a> {
    executions: &'a dyn Executions,
    request: &'a Request,
    home: &'a Home,
    mirror: String,
    id: String,
}

/// Create and Update: starts a run. `None` if its end answers.
pub(super) async fn put(
    executions: &dyn Executions,
    request: &Request,
    event: &RawValue,
) -> Result<Option<Done>, Failure> {
    let wanted = properties::read(request.readable()?);
    let wanted = wanted.map_err(|problems| request.invalid(problems))?;
    let run = Run::new(executions, request, &wanted.home);
    run.stop_others().await?;
    if let Some(old) = properties::home(&request.old_properties)
        && old.machine != wanted.home.machine
        && let Err(error) = Run::new(executions, request, &old).stop_all().await
    {
        // It may be gone, with the permission to look.
        warn!(
            error = text::chain(&*error),
            "runs of the old state machine were not stopped"
        );
    }
    run.start("sync", Some(wanted.list), wanted.waits.then_some(event))
        .await
}

/// Delete: stops what runs. With `RemovalPolicy: delete`, starts a run that removes what the mirror
/// wrote.
pub(super) async fn delete(
    executions: &dyn Executions,
    request: &Request,
    event: &RawValue,
    was_made: bool,
) -> Result<Option<Done>, Failure> {
    let none = Properties::new();
    let properties = request.properties.as_ref().unwrap_or(&none);
    let Some(home) = properties::home(properties) else {
        return Ok(Some(gone(request)));
    };
    let run = Run::new(executions, request, &home);
    if let Err(error) = run.stop_others().await {
        // A stack that is deleted after the one of its state machine has nothing to stop.
        if was_made && !matches!(error.kind(), Kind::Denied | Kind::Invalid) {
            return Err(error);
        }
        warn!(error = text::chain(&error), "runs were not stopped");
    }
    if !was_made || !properties::removes(properties) {
        return Ok(Some(gone(request)));
    }
    run.start("remove", properties::list(properties), Some(event))
        .await
}

/// Nothing is left of the resource but its images.
fn gone(request: &Request) -> Done {
    Done {
        physical_resource_id: request.physical_resource_id.clone(),
        attributes: Attributes::new(),
    }
}

impl<'a> Run<'a> {
    fn new(executions: &'a dyn Executions, request: &'a Request, home: &'a Home) -> Self {
        let mirror = mirror_id(request);
        Self {
            executions,
            request,
            home,
            id: run_id(&mirror, request),
            mirror,
        }
    }

    /// Stops the runs of the mirror but this one.
    async fn stop_others(&self) -> Result<(), Failure> {
        let stopped = self.stop(&self.id).await;
        stopped.map_err(|source| self.failed("cannot stop the former runs of", source))
    }

    /// Stops the runs of the mirror.
    async fn stop_all(&self) -> Result<(), BoxError> {
        self.stop("").await
    }

    async fn stop(&self, spared: &str) -> Result<(), BoxError> {
        let Request {
            action, request_id, ..
        } = self.request;
        let cause = format!(
            "{action} {request_id} of {} came",
            self.request.logical_resource_id
        );
        let machine = &self.home.machine;
        let prefix = prefix(&self.mirror);
        let stopped = self
            .executions
            .stop(machine, &prefix, spared, &cause)
            .await?;
        for run in stopped {
            info!(run, "stopped");
        }
        Ok(())
    }

    /// Starts the run. `waiting` is the event that its end answers; only one with a `ResponseURL`
    /// can wait.
    async fn start(
        &self,
        mode: &str,
        list: Option<List>,
        waiting: Option<&RawValue>,
    ) -> Result<Option<Done>, Failure> {
        let waiting = waiting.filter(|_| self.request.reply != Reply::Return);
        let started = self.try_start(mode, list, waiting).await;
        if !matches!(started, Ok(Begun::Runs)) && waiting.is_some() {
            // Whatever runs, it is this invocation that answers.
            self.forget_request().await;
        }
        match started.map_err(|source| self.failed("cannot start the run of", source))? {
            Begun::Ended if waiting.is_some() => Err(Failure::RunEnded {
                resource: self.request.logical_resource_id.clone(),
                run: self.id.clone(),
            }),
            Begun::Runs if waiting.is_some() => {
                info!(
                    run = self.id,
                    machine = self.home.machine,
                    "the run answers"
                );
                Ok(None)
            }
            _ => Ok(Some(self.started())),
        }
    }

    async fn try_start(
        &self,
        mode: &str,
        list: Option<List>,
        waiting: Option<&RawValue>,
    ) -> Result<Begun, BoxError> {
        let mut input = json!({ "Mirror": self.mirror, "Mode": mode });
        match list {
            Some(List::Inline(list)) => self.store(LIST, list.to_string()).await?,
            Some(List::At(uri)) => input["List"] = uri.into(),
            None => {}
        }
        if let Some(event) = waiting {
            self.store(REQUEST, event.get().to_owned()).await?;
        }
        let machine = &self.home.machine;
        self.executions
            .start(machine, &self.id, input.to_string())
            .await
    }

    async fn store(&self, name: &str, content: String) -> Result<(), BoxError> {
        let key = key(&self.id, name);
        let content = Bytes::from(content);
        self.executions
            .store(&self.home.bucket, &key, content)
            .await
    }

    async fn forget_request(&self) {
        let key = key(&self.id, REQUEST);
        if let Err(error) = self.executions.remove(&self.home.bucket, &key).await {
            warn!(
                error = text::chain(&*error),
                "the stored request was not removed"
            );
        }
    }

    /// The resource, once its run has started.
    fn started(&self) -> Done {
        if self.request.action == Action::Delete {
            return gone(self.request);
        }
        let report = key(&self.id, "report.html");
        Done {
            physical_resource_id: physical_id(self.request),
            attributes: vec![
                ("Copied", String::new()),
                ("Current", String::new()),
                ("Failed", String::new()),
                ("ReportUri", format!("s3://{}/{report}", self.home.bucket)),
            ],
        }
    }

    fn failed(&self, verb: &'static str, source: BoxError) -> Failure {
        Failure::Mirror {
            verb,
            resource: self.request.logical_resource_id.clone(),
            source,
        }
    }
}
