//! The Lambda.

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use lambda_runtime::{Context, Diagnostic, Error, LambdaEvent, service_fn};
use longshore::aws::{Clients, Objects, Started};
use longshore::cloudformation::{
    self, Begun, Delivery, Executions, Handler, Invocation, Successor,
};
use longshore::content::BoxError;
use longshore::deploy::{self, AllowedRegistries, Deployer, Kind, Reach, Survey};
use longshore::mirror::{self, Call, InvalidCall, Mirrors};
use longshore::redact::remember_environment;
use longshore::registry::{Client, Config};
use longshore::web;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

#[tokio::main]
async fn main() -> Result<(), Error> {
    cloudformation::init_logs();
    remember_environment();
    let function = &Function::load().await?;
    let answer = |event: LambdaEvent<Box<RawValue>>| async move {
        let (event, context) = event.into_parts();
        function.answer(&event, &invocation(context)).await
    };
    tokio::select! {
        ended = lambda_runtime::run(service_fn(answer)) => ended,
        () = terminated().then(|()| function.handler.idle()) => Ok(()),
    }
}

/// What events are given to.
struct Function {
    handler: Handler,
    /// Not there, where the function's settings cannot be used.
    mirrors: Result<Mirrors, Arc<dyn std::error::Error + Send + Sync>>,
}

impl Function {
    /// Builds the clients, once and side by side. None of them sends anything yet.
    async fn load() -> Result<Self, Error> {
        let variable = |name: &str| std::env::var(name).ok();
        let config = deploy::registry_config(variable);
        let web = deploy::web_config(variable);
        let allowed = deploy::allowed_registries(variable);
        let allow_loopback = config.as_ref().is_ok_and(|config| config.allow_loopback);
        let delivery = spawn_blocking(move || Delivery::new(allow_loopback));
        let clients = spawn_blocking(|| clients(config, web, allowed));
        let (aws, clients, delivery) = tokio::join!(Clients::load(), clients, delivery);
        let delivery = delivery??;
        let (handler, mirrors) = match clients? {
            Ok((registries, web, allowed)) => {
                let reach = Reach::new(registries, aws.clone());
                // Whatever is not said to be allowed is not.
                let pulls_only = variable("LONGSHORE_POLICY_STATEMENTS").as_deref() != Some("any");
                let reach = reach.with_web(web).with_allowed(allowed);
                let reach = reach.granting_pulls_only(pulls_only);
                let survey = Survey::new(reach.clone());
                let deployer = Arc::new(Deployer::new(reach));
                let mirrors = Mirrors::new(survey, deployer.clone(), aws.clone(), terminated());
                (Handler::new(deployer, delivery), Ok(mirrors))
            }
            Err(reason) => {
                let reason: Arc<dyn std::error::Error + Send + Sync> = reason.into();
                let handler = Handler::not_set_up(Arc::clone(&reason), delivery);
                (handler, Err(reason))
            }
        };
        let executions = Arc::new(StateMachines(aws.clone()));
        let handler = handler.with_successor(Arc::new(ThisFunction(aws)));
        let handler = handler.with_executions(executions);
        Ok(Self {
            handler: handler.stopped_by(terminated()),
            mirrors,
        })
    }

    /// Does what an event asks for: CloudFormation's, or a direct invocation for a mirror.
    async fn answer(&self, event: &RawValue, invocation: &Invocation) -> Result<Value, Diagnostic> {
        if let Some(call) = Call::read(event) {
            return self.call(call, invocation).await;
        }
        if let Some(call) = Call::of_record(event) {
            // An error brings the queue's message again.
            self.call(call, invocation).await?;
            return Ok(json!({ "batchItemFailures": [] }));
        }
        let answered = Box::pin(self.handler.handle(event, invocation)).await;
        answered.map_err(|error| diagnostic(error.kind(), error.to_string()))
    }

    async fn call(
        &self,
        call: Result<Call, InvalidCall>,
        invocation: &Invocation,
    ) -> Result<Value, Diagnostic> {
        let working = async {
            let call = call.map_err(mirror::Error::Call)?;
            let mirrors = self.mirrors.as_ref();
            let mirrors = mirrors.map_err(|reason| mirror::Error::NotSetUp(Arc::clone(reason)))?;
            mirrors.run(call, &self.handler, invocation).await
        };
        let answered = Box::pin(working).await;
        answered.map_err(|error| diagnostic(error.kind(), error.shown()))
    }
}

/// A failure as whoever invoked the function gets it.
fn diagnostic(kind: Kind, message: String) -> Diagnostic {
    Diagnostic {
        error_type: kind.to_string(),
        error_message: message,
    }
}

fn clients(
    registries: Result<Config, deploy::Error>,
    web: Result<web::Config, deploy::Error>,
    allowed: Result<AllowedRegistries, deploy::Error>,
) -> Result<(Client, web::Config, AllowedRegistries), BoxError> {
    Ok((Client::new(registries?)?, web?, allowed?))
}

/// Invokes this very function again.
struct ThisFunction(Clients);

impl Successor for ThisFunction {
    fn start<'a>(
        &'a self,
        function: &'a str,
        event: String,
    ) -> BoxFuture<'a, Result<(), BoxError>> {
        async { Ok(self.0.invoke_later(function, event).await?) }.boxed()
    }
}

/// The state machines of mirrors.
struct StateMachines(Clients);

impl Executions for StateMachines {
    fn start<'a>(
        &'a self,
        machine: &'a str,
        name: &'a str,
        input: String,
    ) -> BoxFuture<'a, Result<Begun, BoxError>> {
        async move {
            let started = self.0.start_execution(machine, name, &input).await?;
            Ok(match started {
                Started::Runs => Begun::Runs,
                Started::Before => Begun::Ended,
            })
        }
        .boxed()
    }

    fn stop<'a>(
        &'a self,
        machine: &'a str,
        prefix: &'a str,
        spared: &'a str,
        cause: &'a str,
    ) -> BoxFuture<'a, Result<Vec<String>, BoxError>> {
        async move {
            let mut stopped = Vec::new();
            for execution in self.0.running_executions(machine, prefix).await? {
                if execution.name != spared {
                    self.0.stop_execution(&execution.arn, cause).await?;
                    stopped.push(execution.name);
                }
            }
            Ok(stopped)
        }
        .boxed()
    }

    fn store<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        content: Bytes,
    ) -> BoxFuture<'a, Result<(), BoxError>> {
        async move {
            let objects = Objects::new(self.0.clone(), bucket);
            Ok(objects.write(key, content, "application/json").await?)
        }
        .boxed()
    }

    fn remove<'a>(&'a self, bucket: &'a str, key: &'a str) -> BoxFuture<'a, Result<(), BoxError>> {
        async move { Ok(Objects::new(self.0.clone(), bucket).remove(key).await?) }.boxed()
    }
}

/// Ends when the platform is about to end the process.
async fn terminated() {
    match signal(SignalKind::terminate()) {
        Ok(mut signal) => drop(signal.recv().await),
        Err(_) => pending().await,
    }
}

fn invocation(context: Context) -> Invocation {
    let deadline = UNIX_EPOCH + Duration::from_millis(context.deadline);
    let left = deadline
        .duration_since(SystemTime::now())
        .unwrap_or_default();
    Invocation {
        id: context.request_id,
        deadline: Instant::now() + left,
        function: context.invoked_function_arn,
        log_group: context.env_config.log_group.clone(),
    }
}
