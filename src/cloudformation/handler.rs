//! The handler: from an event to exactly one answer, in time.

use std::error::Error as StdError;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use reqwest::Url;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::RwLock;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{Instrument, Span, error, info, info_span};

use super::budget::Budget;
use super::continuation::{MAX_INVOCATIONS, Successor};
use super::delivery::{Delivered, Delivery};
use super::done::{Done, FAILED_CREATE};
use super::ecr_mirror;
use super::error::{Error, Failure, Limit, Waited};
use super::executions::Executions;
use super::failed_record::{self, FailedRecord, Message};
use super::invocation::Invocation;
use super::metrics::close;
use super::reason;
use super::reply::is_left_to_the_caller;
use super::request::{Action, Reply, Request};
use super::resource::{Means, bring_about, is_of_mirror};
use super::response::{Answer, Attributes, Outcome};
use super::text;
use crate::content::Waits;
use crate::copy::Meter;
use crate::deploy::{Deploy, Kind};
use crate::redact::scrub;

/// What is left when the answer has been tried for the last time: to log it before the platform
/// ends the function.
const TO_LOG: Duration = Duration::from_millis(300);

/// Answers requests of CloudFormation.
pub struct Handler {
    deploy: Result<Arc<dyn Deploy>, Arc<dyn StdError + Send + Sync>>,
    delivery: Delivery,
    successor: Option<Arc<dyn Successor>>,
    executions: Option<Arc<dyn Executions>>,
    stop: Shared<BoxFuture<'static, ()>>,
    /// Shared by every request under way.
    under_way: RwLock<()>,
}

impl Handler {
    /// A handler that has `deploy` do the work and `delivery` bring the answers.
    pub fn new(deploy: Arc<dyn Deploy>, delivery: Delivery) -> Self {
        Self::with(Ok(deploy), delivery)
    }

    /// A handler of a function whose settings cannot be used, for `reason`. It answers every
    /// request with that: a function that does not start answers nobody.
    pub fn not_set_up(
        reason: impl Into<Arc<dyn StdError + Send + Sync>>,
        delivery: Delivery,
    ) -> Self {
        Self::with(Err(reason.into()), delivery)
    }

    fn with(
        deploy: Result<Arc<dyn Deploy>, Arc<dyn StdError + Send + Sync>>,
        delivery: Delivery,
    ) -> Self {
        Self {
            deploy,
            delivery,
            successor: None,
            executions: None,
            stop: pending().boxed().shared(),
            under_way: RwLock::default(),
        }
    }

    /// Has `successor` invoke the function again for work that takes longer than one invocation.
    #[must_use]
    pub fn with_successor(mut self, successor: Arc<dyn Successor>) -> Self {
        self.successor = Some(successor);
        self
    }

    /// Has `executions` run state machines for mirrors.
    #[must_use]
    pub fn with_executions(mut self, executions: Arc<dyn Executions>) -> Self {
        self.executions = Some(executions);
        self
    }

    /// Stops what is under way, and answers it, when `stop` is done.
    #[must_use]
    pub fn stopped_by(mut self, stop: impl Future<Output = ()> + Send + 'static) -> Self {
        self.stop = stop.boxed().shared();
        self
    }

    /// Waits until no request is under way.
    pub async fn idle(&self) {
        drop(self.under_way.write().await);
    }

    /// Does what the event asks for and answers it, before the invocation's deadline.
    ///
    /// An event of the function's failure destination is answered for the invocations that failed
    /// ([`End`](super::End)); nothing else is done for it.
    ///
    /// Returns the answer that CloudFormation got, or what a caller that answers CloudFormation
    /// itself takes. A request that failed and was answered is no error: an error makes the
    /// platform invoke the function again.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the work; no answer is sent then.
    pub async fn handle(&self, event: &RawValue, invocation: &Invocation) -> Result<Value, Error> {
        let _under_way = self.under_way.read().await;
        if let Some(messages) = failed_record::read(event) {
            return Ok(self.answer_all(messages, invocation).await);
        }
        let mut request = Request::read(event)
            .inspect_err(|error| error!(invocation = invocation.id, "{}", text::chain(error)))?;
        if is_left_to_the_caller(&request.service_token(), &invocation.function) {
            request.reply = Reply::Return;
        }
        let span = info_span!(
            "request",
            request_id = request.request_id,
            invocation = invocation.id
        );
        self.answer(Arc::new(request), event, invocation)
            .instrument(span)
            .await
    }

    /// Answers for invocations that failed. Returns the messages that are to come again, in the
    /// form of SQS's
    /// [partial batch response](https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html).
    async fn answer_all(&self, messages: Vec<Message>, invocation: &Invocation) -> Value {
        let mut again = Vec::new();
        for message in messages {
            let answered = match message.record {
                Ok(record) => self.answer_for(&record, invocation).await,
                Err(error) => {
                    error!(invocation = invocation.id, "{}", text::chain(&error));
                    false
                }
            };
            if !answered {
                again.push(json!({ "itemIdentifier": message.id }));
            }
        }
        json!({ "batchItemFailures": again })
    }

    /// Answers FAILED for an invocation that failed, unless it was answered before. Returns
    /// whether nobody waits for an answer to it any more.
    async fn answer_for(&self, record: &FailedRecord, invocation: &Invocation) -> bool {
        let request = match Request::read(&record.event) {
            Ok(request) => request,
            Err(error) => {
                error!(invocation = record.invocation, "{}", text::chain(&error));
                return true;
            }
        };
        let span = info_span!(
            "request",
            request_id = request.request_id,
            invocation = record.invocation
        );
        if is_of_mirror(&request) && request.reply != Reply::Return {
            // Its run may be under way and answer: a run is started once, however often it is
            // asked for.
            let again = self.answer(Arc::new(request), &record.event, invocation);
            return again.instrument(span).await.is_ok();
        }
        async {
            open(&request);
            let failed_invocation = Invocation {
                id: record.invocation.clone(),
                ..invocation.clone()
            };
            let failure = Failure::Ended {
                what: reason::what(&request),
                end: record.end.clone(),
            };
            let answer = failed(&request, &failed_invocation, &failure);
            let Reply::Put(url) = &request.reply else {
                return true;
            };
            let body = answer.body(&request);
            let Ok(delivered) = self.deliver(url, &body, invocation).await else {
                return false;
            };
            if delivered == Delivered::Now {
                let nothing_moved = Meter::default().report();
                let started = Instant::now();
                close(
                    &request,
                    Some(&answer),
                    &nothing_moved,
                    started,
                    &failed_invocation,
                );
            }
            true
        }
        .instrument(span)
        .await
    }

    async fn answer(
        &self,
        request: Arc<Request>,
        event: &RawValue,
        invocation: &Invocation,
    ) -> Result<Value, Error> {
        open(&request);
        let started = Instant::now();
        let meter = Arc::new(Meter::default());
        let budget = Budget::of(&request, invocation);
        let done = self.work(&request, event, &meter, budget).await;
        let done = match done {
            Err(Failure::OutOfTime { waited, .. }) => {
                self.hand_on(&request, &meter, budget, waited, event, invocation)
                    .await
            }
            done => done,
        };
        let kind = done.as_ref().err().map(Failure::kind);
        // None, if the work goes on elsewhere: there, it is answered.
        let answer = match done {
            Ok(done) => done.map(|done| succeeded(&request, done)),
            Err(failure) => Some(failed(&request, invocation, &failure)),
        };
        let report = meter.report();
        close(&request, answer.as_ref(), &report, started, invocation);
        match answer {
            None => Ok(Value::Null),
            Some(answer) => self.reply(&request, &answer, kind, invocation).await,
        }
    }

    /// Does the work, and ends in a failure whatever becomes of it: an error, a panic, a hang.
    async fn work(
        &self,
        request: &Arc<Request>,
        event: &RawValue,
        meter: &Arc<Meter>,
        budget: Budget,
    ) -> Result<Option<Done>, Failure> {
        let means = Means {
            deploy: self.deploy.clone().map_err(Failure::NotSetUp)?,
            executions: self.executions.clone(),
        };
        let event = is_of_mirror(request).then(|| event.to_owned());
        // A task of its own: if it blocks its thread, this one still sees the deadline.
        let mut task = JoinSet::new();
        let waits = Arc::new(Waits::default());
        let work = bring_about(means, request.clone(), event, meter.clone(), budget.until);
        let watching = Arc::clone(&waits);
        let work = async move { watching.watch(work).await };
        task.spawn(work.instrument(Span::current()));
        tokio::select! {
            biased;
            Some(ended) = task.join_next() => {
                ended.unwrap_or_else(|error| Err(panicked(request, error)))
            }
            () = sleep_until(budget.until) => Err(Failure::OutOfTime {
                what: reason::what(request),
                progress: reason::came_to(&meter.report()),
                after: budget.work,
                limit: budget.limit,
                waited: Waited(waits.longest()),
            }),
            () = self.stop.clone() => Err(Failure::Stopped {
                what: reason::what(request),
                progress: reason::came_to(&meter.report()),
            }),
        }
    }

    /// Hands work that is out of time to another invocation: `None`, if that goes on with it.
    async fn hand_on(
        &self,
        request: &Request,
        meter: &Meter,
        budget: Budget,
        waited: Waited,
        event: &RawValue,
        invocation: &Invocation,
    ) -> Result<Option<Done>, Failure> {
        let what = || reason::what(request);
        let progress = || reason::came_to(&meter.report());
        let out_of_time = |limit| Failure::OutOfTime {
            what: what(),
            progress: progress(),
            after: budget.work,
            limit,
            waited: waited.clone(),
        };
        let (Some(successor), Reply::Put(_)) = (&self.successor, &request.reply) else {
            return Err(out_of_time(budget.limit));
        };
        if !budget.has_more() {
            return Err(out_of_time(Limit::Service));
        }
        if request.continuation.invocation >= MAX_INVOCATIONS {
            return Err(out_of_time(Limit::Invocations));
        }
        let next = request.continuation.next(meter);
        let next = next.ok_or_else(|| Failure::NoProgress {
            what: what(),
            progress: progress(),
            after: budget.work,
            waited: waited.clone(),
        })?;
        let start = async {
            let event = next.add_to(event)?;
            successor.start(&invocation.function, event).await
        };
        let started = timeout(budget.reserve / 2, start).await;
        started
            .unwrap_or_else(|elapsed| Err(elapsed.into()))
            .map(|()| None)
            .map_err(|source| Failure::Successor {
                what: what(),
                progress: progress(),
                source,
            })
    }

    async fn reply(
        &self,
        request: &Request,
        answer: &Answer,
        kind: Option<Kind>,
        invocation: &Invocation,
    ) -> Result<Value, Error> {
        let Reply::Put(url) = &request.reply else {
            let kind = kind.unwrap_or(Kind::Failed);
            let returned = answer.returned(request);
            return returned.map_err(|reason| Error::Failed { kind, reason });
        };
        let body = answer.body(request);
        self.deliver(url, &body, invocation).await?;
        Ok(body.parse().unwrap_or_default())
    }

    /// Answers an event that was left to a mirror's run: by what came of the run, or by the reason
    /// why it failed.
    pub async fn answer_waiting(
        &self,
        event: &RawValue,
        result: Result<Attributes, String>,
        invocation: &Invocation,
    ) -> Result<Delivered, Error> {
        let request = Request::read(event)?;
        let Reply::Put(url) = &request.reply else {
            return Ok(Delivered::Before);
        };
        let span = info_span!(
            "request",
            request_id = request.request_id,
            invocation = invocation.id
        );
        async {
            open(&request);
            let answer = waited_for(&request, result);
            let body = answer.body(&request);
            let delivered = self.deliver(url, &body, invocation).await?;
            if delivered == Delivered::Now {
                let nothing_moved = Meter::default().report();
                close(
                    &request,
                    Some(&answer),
                    &nothing_moved,
                    Instant::now(),
                    invocation,
                );
            }
            Ok(delivered)
        }
        .instrument(span)
        .await
    }

    async fn deliver(
        &self,
        url: &Url,
        body: &str,
        invocation: &Invocation,
    ) -> Result<Delivered, Error> {
        let deadline = invocation.deadline - TO_LOG;
        match self.delivery.put(url, body, deadline).await {
            Ok(delivered) => {
                match delivered {
                    Delivered::Now => info!("answered"),
                    Delivered::Before => info!("the request was answered before"),
                }
                Ok(delivered)
            }
            Err(error) => {
                error!(
                    answer = body,
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

fn succeeded(request: &Request, done: Done) -> Answer {
    Answer {
        physical_resource_id: named(request, done.physical_resource_id),
        outcome: Outcome::Success(done.attributes),
    }
}

fn failed(request: &Request, invocation: &Invocation, failure: &Failure) -> Answer {
    error!(error = reason::shown(failure), "failed");
    Answer {
        physical_resource_id: named(request, request.physical_resource_id.clone()),
        outcome: Outcome::Failed(reason::of(failure, invocation)),
    }
}

/// The answer that a mirror's run gives. A mirror that failed has its physical ID too, so that the
/// Delete that follows finds what was copied.
fn waited_for(request: &Request, result: Result<Attributes, String>) -> Answer {
    let outcome = match result {
        Ok(_) if request.action == Action::Delete => Outcome::Success(Attributes::new()),
        Ok(attributes) => Outcome::Success(attributes),
        Err(reason) => Outcome::Failed(text::sentence(&scrub(&reason))),
    };
    let own = &request.physical_resource_id;
    let physical_resource_id = if request.action == Action::Delete && !own.is_empty() {
        own.clone()
    } else {
        ecr_mirror::physical_id(request)
    };
    Answer {
        physical_resource_id,
        outcome,
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

/// The opening line of a request: what of the event is no secret.
fn open(request: &Request) {
    info!(
        action = %request.action,
        resource_type = request.resource_type,
        resource = request.logical_resource_id,
        stack = request.stack_id,
        physical_resource_id = request.physical_resource_id,
        reply = ?request.reply,
        invocation_number = request.continuation.invocation,
        "request"
    );
}
