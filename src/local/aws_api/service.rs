//! The API's state, and which part of it answers what.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::StatusCode;
use hyper::http::request::Parts;
use serde_json::Value;

use super::call::{AwsCall, Caller, Refusal, json_answer, json_error, unknown_operation};
use super::lambda::Invocation;
use super::options::AwsApiOptions;
use super::{lambda, secrets, sts};
use crate::local::faults::Failure;
use crate::local::http::{Dropped, Query, Request, Response, Service};
use crate::local::mailbox::Mailbox;
use crate::local::registry::RegistryService;
use crate::local::sigv4;

/// Calls that are remembered; older ones are forgotten.
const MAX_CALLS: usize = 100_000;
/// The longest input of an operation.
const MAX_INPUT: usize = 1 << 20;

/// The API behind one socket.
pub(super) struct ApiService {
    pub(super) options: AwsApiOptions,
    pub(super) registry: Arc<RegistryService>,
    calls: Mutex<VecDeque<AwsCall>>,
    pub(super) invocations: Mailbox<Invocation>,
    /// Policies that are still to fail, by the principal that they name.
    hidden: Mutex<HashMap<String, u32>>,
}

impl ApiService {
    pub(super) fn new(options: AwsApiOptions, registry: Arc<RegistryService>) -> Self {
        Self {
            options,
            registry,
            calls: Mutex::default(),
            invocations: Mailbox::default(),
            hidden: Mutex::default(),
        }
    }

    pub(super) fn calls(&self) -> Vec<AwsCall> {
        self.lock_calls().iter().cloned().collect()
    }

    pub(super) fn forget_calls(&self) {
        self.lock_calls().clear();
    }

    fn lock_calls(&self) -> MutexGuard<'_, VecDeque<AwsCall>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn hide_principal(&self, principal: &str, policies: u32) {
        let mut hidden = self.hidden.lock().unwrap_or_else(PoisonError::into_inner);
        hidden.insert(principal.to_owned(), policies);
    }

    /// Returns true if a policy names a principal that is not known yet.
    pub(super) fn names_hidden_principal(&self, policy: &str) -> bool {
        let mut hidden = self.hidden.lock().unwrap_or_else(PoisonError::into_inner);
        hidden.retain(|_, left| *left > 0);
        let mut hidden = hidden.iter_mut();
        let found = hidden.find(|(principal, _)| policy.contains(principal.as_str()));
        found.map(|(_, left)| *left -= 1).is_some()
    }

    fn record(&self, caller: &Caller, action: String, resource: Option<&str>) {
        let call = AwsCall {
            action,
            region: caller.region.clone(),
            account: caller.account.clone(),
            resource: resource.map(str::to_owned),
        };
        let mut calls = self.lock_calls();
        if calls.len() == MAX_CALLS {
            calls.pop_front();
        }
        calls.push_back(call);
    }

    fn caller(&self, request: &Request) -> Result<Caller, Refusal> {
        let scope = sigv4::scope(&request.headers, &request.query);
        let scope = scope.ok_or_else(|| {
            let message = "Request is missing Authentication Token";
            Refusal::new("MissingAuthenticationTokenException", message)
        })?;
        let account = sts::account_of(&scope.key_id).unwrap_or(&self.options.account);
        Ok(Caller {
            account: account.to_owned(),
            region: scope.region,
        })
    }

    async fn call_json(&self, request: &mut Request) -> Result<Response, Refusal> {
        let caller = self.caller(request)?;
        let body = request.body.collect(MAX_INPUT).await?.unwrap_or_default();
        let input: Value = serde_json::from_slice(&body)
            .map_err(|error| Refusal::new("SerializationException", error.to_string()))?;
        let (service, operation) = split(&request.path);
        let resource = input
            .get("repositoryName")
            .or_else(|| input.get("repositoryNames")?.get(0))
            .or_else(|| input.get("SecretId"));
        self.record(
            &caller,
            format!("{service}:{operation}"),
            resource.and_then(Value::as_str),
        );
        let output = match service {
            "ecr" => self.ecr(&caller, operation, &input).await,
            "secretsmanager" => secrets::answer(&self.options, &caller, operation, &input),
            _ => Err(unknown_operation(operation)),
        }?;
        Ok(json_answer(StatusCode::OK, &output))
    }

    async fn call_lambda(&self, request: &mut Request) -> Result<Response, Refusal> {
        let caller = self.caller(request)?;
        let function = lambda::function(&request.path)?;
        self.record(&caller, "lambda:InvokeFunction".to_owned(), Some(&function));
        let body = request.body.collect(MAX_INPUT).await?;
        let payload = body.ok_or_else(lambda::too_large)?;
        let asynchronous = request.header("x-amz-invocation-type") == Some("Event");
        self.invocations.put(Invocation {
            function,
            asynchronous,
            payload,
        });
        Ok(lambda::accepted(asynchronous))
    }

    async fn call_sts(&self, request: &mut Request) -> Result<Response, Refusal> {
        let caller = self.caller(request)?;
        let body = request.body.collect(MAX_INPUT).await?.unwrap_or_default();
        let input = Query::parse(&String::from_utf8_lossy(&body));
        let operation = input.get("Action").unwrap_or_default();
        self.record(&caller, format!("sts:{operation}"), input.get("RoleArn"));
        sts::answer(&self.options, &caller, operation, &input)
    }
}

impl Service for ApiService {
    async fn answer(&self, request: &mut Request) -> Result<Response, Dropped> {
        let answer = match split(&request.path).0 {
            "lambda" => self.call_lambda(request).await,
            "sts" => self.call_sts(request).await,
            _ => self.call_json(request).await,
        };
        answer.or_else(|refusal| {
            let (status, code, message) = refusal.words().ok_or(Dropped)?;
            Ok(error(&request.path, status, code, &message))
        })
    }

    fn failure(&self, path: &str, failure: &Failure) -> Response {
        let (code, message) = match failure.status {
            StatusCode::BAD_REQUEST => ("ThrottlingException", "Rate exceeded"),
            StatusCode::FORBIDDEN => ("AccessDeniedException", "not authorized"),
            _ => ("ServerException", "a fault that was asked for"),
        };
        let (code, message) = failure.words(code, message);
        error(path, failure.status, code, message)
    }

    fn path(&self, head: &Parts) -> String {
        let query = Query::parse(head.uri.query().unwrap_or_default());
        let scope = sigv4::scope(&head.headers, &query);
        let service = scope.map_or("unsigned".to_owned(), |scope| scope.service);
        let target = head.headers.get("x-amz-target");
        if service == "lambda" {
            return format!("/lambda{}", head.uri.path());
        }
        // <interface>.<operation>
        let target = target.and_then(|target| target.to_str().ok());
        match target.and_then(|target| target.split_once('.')) {
            Some((_, operation)) => format!("/{service}/{operation}"),
            None => format!("/{service}"),
        }
    }

    fn repository(&self, _: &str) -> Option<String> {
        None
    }
}

/// An error in the protocol of the service that a path is for.
fn error(path: &str, status: StatusCode, code: &str, message: &str) -> Response {
    match split(path).0 {
        "sts" => sts::error(status, code, message),
        _ => json_error(status, code, message),
    }
}

/// A path as service and operation.
fn split(path: &str) -> (&str, &str) {
    let path = path.trim_start_matches('/');
    path.split_once('/').unwrap_or((path, ""))
}
