//! The handler: from an event to exactly one answer, in time.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use serde_json::value::RawValue;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument, Span, error, info, info_span};

use super::delivery::Delivery;
use super::error::{Error, Failure};
use super::reason;
use super::request::{Reply, Request};
use super::resource::{Done, FAILED_CREATE, bring_about};
use super::response::{Answer, Outcome};
use super::text;
use crate::copy::{Meter, Report};
use crate::deploy::Deploy;

/// The longest time that is kept for the answer.
const LONGEST_RESERVE: Duration = Duration::from_secs(20);
/// The part of an invocation's time that is kept for the answer.
const RESERVED_PART: u32 = 10;

/// One invocation of the function, as far as the handler needs to know it.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The invocation's ID, under which the platform logs it.
    pub id: String,
    /// When the platform ends it.
    pub deadline: Instant,
    /// The log group that its log lines go to. Empty where there is none.
    pub log_group: String,
}

/// Answers requests of CloudFormation.
pub struct Handler {
    deploy: Arc<dyn Deploy>,
    delivery: Delivery,
}

impl Handler {
    /// A handler that has `deploy` do the work and `delivery` bring the answers.
    pub fn new(deploy: Arc<dyn Deploy>, delivery: Delivery) -> Self {
        Self { deploy, delivery }
    }

    /// Does what the event asks for and answers it, before the invocation's deadline.
    ///
    /// Returns the answer that CloudFormation got, or what a caller that answers CloudFormation
    /// itself takes. A request that failed and was answered is no error: an error makes the
    /// platform invoke the function again.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the work; no answer is sent then.
    pub async fn handle(&self, event: &RawValue, invocation: &Invocation) -> Result<Value, Error> {
        let request = Request::read(event)
            .inspect_err(|error| error!(invocation = invocation.id, "{}", text::chain(error)))?;
        let span = info_span!(
            "request",
            request_id = request.request_id,
            invocation = invocation.id
        );
        self.answer(Arc::new(request), invocation)
            .instrument(span)
            .await
    }

    async fn answer(&self, request: Arc<Request>, invocation: &Invocation) -> Result<Value, Error> {
        info!(
            action = %request.action,
            resource_type = request.resource_type,
            resource = request.logical_resource_id,
            stack = request.stack_id,
            physical_resource_id = request.physical_resource_id,
            reply = ?request.reply,
            "request"
        );
        let started = Instant::now();
        let meter = Arc::new(Meter::default());
        let done = self.work(&request, &meter, invocation).await;
        let answer = to_answer(&request, invocation, done);
        close(&answer, &meter.report(), started);
        self.reply(&request, &answer, invocation).await
    }

    /// Does the work, and ends in a failure whatever becomes of it: an error, a panic, a hang.
    async fn work(
        &self,
        request: &Arc<Request>,
        meter: &Arc<Meter>,
        invocation: &Invocation,
    ) -> Result<Done, Failure> {
        let now = Instant::now();
        let time = invocation.deadline.saturating_duration_since(now);
        let time = time.saturating_sub((time / RESERVED_PART).min(LONGEST_RESERVE));
        let end = now + time;
        // A task of its own: if it blocks its thread, this one still sees the deadline.
        let mut task = JoinSet::new();
        task.spawn(
            bring_about(self.deploy.clone(), request.clone(), meter.clone(), end)
                .instrument(Span::current()),
        );
        match timeout_at(end, task.join_next()).await {
            Ok(Some(Ok(done))) => done,
            Ok(Some(Err(error))) => Err(panicked(request, error)),
            Ok(None) | Err(_) => Err(Failure::OutOfTime {
                what: reason::what(request),
                progress: reason::came_to(&meter.report()),
                after: time,
            }),
        }
    }

    async fn reply(
        &self,
        request: &Request,
        answer: &Answer,
        invocation: &Invocation,
    ) -> Result<Value, Error> {
        let Reply::Put(url) = &request.reply else {
            return answer.returned().map_err(Error::Failed);
        };
        let body = answer.body(request);
        match self.delivery.put(url, &body, invocation.deadline).await {
            Ok(()) => {
                info!("answered");
                Ok(body.parse().unwrap_or_default())
            }
            Err(error) => {
                error!(
                    answer = text::without_queries(&body),
                    error = text::chain(&error),
                    "the answer could not be delivered"
                );
                Err(Error::Undelivered(error))
            }
        }
    }
}

fn panicked(request: &Request, error: JoinError) -> Failure {
    let payload = error.try_into_panic().ok();
    let message = payload.as_ref().and_then(|payload| {
        let text = payload.downcast_ref::<&str>().map(ToString::to_string);
        text.or_else(|| payload.downcast_ref::<String>().cloned())
    });
    Failure::Panicked {
        what: reason::what(request),
        message: message.unwrap_or_else(|| "it was stopped".to_owned()),
    }
}

fn to_answer(request: &Request, invocation: &Invocation, done: Result<Done, Failure>) -> Answer {
    match done {
        Ok(done) => Answer {
            physical_resource_id: named(request, done.physical_resource_id),
            outcome: Outcome::Success(done.attributes),
        },
        Err(failure) => {
            error!(error = reason::shown(&failure), "failed");
            Answer {
                physical_resource_id: named(request, request.physical_resource_id.clone()),
                outcome: Outcome::Failed(reason::of(&failure, invocation)),
            }
        }
    }
}

/// The physical ID that an answer gives: never none. After a failed Update it is the old one, or
/// CloudFormation would delete what still works.
fn named(request: &Request, physical_resource_id: String) -> String {
    if !physical_resource_id.is_empty() {
        return physical_resource_id;
    }
    let of = [&request.request_id, &request.logical_resource_id];
    let of = of.into_iter().find(|id| !id.is_empty());
    format!("{FAILED_CREATE}{}", of.map_or("unknown", String::as_str))
}

/// The one closing line of a request.
fn close(answer: &Answer, report: &Report, started: Instant) {
    info!(
        success = answer.is_success(),
        physical_resource_id = answer.physical_resource_id,
        seconds = started.elapsed().as_secs_f64(),
        bytes_read = report.bytes_read,
        bytes_uploaded = report.bytes_uploaded,
        bytes_reused = report.bytes_reused,
        bytes_mounted = report.bytes_mounted,
        blobs_uploaded = report.blobs_uploaded,
        blobs_reused = report.blobs_reused,
        blobs_mounted = report.blobs_mounted,
        phases = reason::phases(report),
        "done"
    );
}
