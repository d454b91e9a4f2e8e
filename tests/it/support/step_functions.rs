//! Step Functions on one machine: moto's interpreter runs the state machine of the template, with a
//! function behind it.
//!
//! moto calls other services on one port of localhost. A proxy stands there: it invokes the function
//! itself, and passes all else on to moto. Unlike Step Functions, moto has no IAM, lets a task that is
//! under way end before an execution is aborted, counts no percentage of failures, and knows no limit
//! of a state's data.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderName, Response};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::emulator::Emulator;
use super::moto::Moto;

/// The bucket of the mirror.
pub(crate) const BUCKET: &str = "mirrors";
const FUNCTION: &str = "arn:aws:lambda:eu-west-1:123456789012:function:longshore";
const DEFINITION: &str = include_str!("../../../template/mirror.asl.json");
/// Longest wait for the end of an execution.
const ENDED_WITHIN: Duration = Duration::from_mins(3);
/// Headers that a proxy makes anew.
const OF_CONNECTION: [&str; 5] = [
    "host",
    "content-length",
    "transfer-encoding",
    "expect",
    "connection",
];

/// What a function returns, or the type and the message of its error.
pub(crate) type Invoked = Result<Value, (String, String)>;
type Function = Arc<dyn Fn(Value) -> BoxFuture<'static, Invoked> + Send + Sync>;

/// An account with the mirror's state machine.
pub(crate) struct StepFunctions {
    pub(crate) moto: Moto,
    pub(crate) machine: String,
    front: String,
    seen: Arc<Seen>,
}

/// What came by the proxy.
#[derive(Default)]
struct Seen {
    events: Mutex<Vec<Value>>,
    published: Mutex<Vec<String>>,
    stopped: Mutex<Vec<String>>,
    written: Mutex<Vec<String>>,
    calls: Mutex<Vec<Value>>,
    /// Invocations for copies that are under way, and the most at once, by registry.
    copies: Mutex<BTreeMap<String, (usize, usize)>>,
}

impl StepFunctions {
    /// With a function that does what `function` says.
    pub(crate) async fn start<F, I>(function: F) -> Self
    where
        F: Fn(Value) -> I + Send + Sync + 'static,
        I: Future<Output = Invoked> + Send + 'static,
    {
        Self::with(Arc::new(move |event| Box::pin(function(event)))).await
    }

    /// With as many instances of a function as there are emulators. `emulators` is given where AWS
    /// is, fit for `AWS_ENDPOINT_URL`.
    pub(crate) async fn emulated(emulators: impl FnOnce(&str) -> Vec<Emulator>) -> Self {
        let pool: Arc<Mutex<Vec<Arc<Emulator>>>> = Arc::default();
        let free = Arc::new(Semaphore::new(0));
        let (idle, permits) = (pool.clone(), free.clone());
        let function: Function = Arc::new(move |event| {
            let (idle, permits) = (idle.clone(), permits.clone());
            Box::pin(async move {
                let _permit = permits.acquire_owned().await.unwrap();
                let emulator = idle.lock().unwrap().pop().unwrap();
                let returned = emulator.invoke(&event).await;
                idle.lock().unwrap().push(emulator);
                match (
                    returned["errorType"].as_str(),
                    returned["errorMessage"].as_str(),
                ) {
                    (Some(kind), Some(message)) => Err((kind.to_owned(), message.to_owned())),
                    _ => Ok(returned),
                }
            })
        });
        let states = Self::with(function).await;
        let emulators = emulators(&states.front);
        free.add_permits(emulators.len());
        pool.lock()
            .unwrap()
            .extend(emulators.into_iter().map(Arc::new));
        states
    }

    async fn with(function: Function) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let moto = Moto::behind(address.port());
        let seen = Arc::new(Seen::default());
        let proxy = Proxy {
            moto: moto.url(),
            client: reqwest::Client::new(),
            function,
            seen: seen.clone(),
        };
        let app = Router::new().fallback(move |request| proxy.clone().pass(request));
        tokio::spawn(async move { axum::serve(listener, app).await });
        moto.run_state_machines().await;
        moto.create_bucket(BUCKET).await;
        let topic = moto.create_topic("failures").await;
        let created = json!({
            "name": "longshore-mirror",
            "definition": definition(&topic),
            "roleArn": "arn:aws:iam::123456789012:role/mirror",
        });
        let created = moto.states("CreateStateMachine", created).await;
        Self {
            machine: created["stateMachineArn"].as_str().unwrap().to_owned(),
            moto,
            front: format!("http://{address}"),
            seen,
        }
    }

    /// Where AWS is, the function included.
    pub(crate) fn url(&self) -> &str {
        &self.front
    }

    /// Starts an execution, and returns its ARN.
    pub(crate) async fn begin(&self, name: &str, input: Value) -> String {
        let body = json!({
            "stateMachineArn": self.machine, "name": name, "input": input.to_string(),
        });
        let started = self.moto.states("StartExecution", body).await;
        started["executionArn"].as_str().unwrap().to_owned()
    }

    /// Waits for the end of an execution, and describes it.
    pub(crate) async fn end(&self, execution: &str) -> Value {
        let ended = async {
            loop {
                let described = self.describe(execution).await;
                if described["status"] != "RUNNING" {
                    return described;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let ended = timeout(ENDED_WITHIN, ended).await;
        ended.expect("the end of an execution")
    }

    pub(crate) async fn describe(&self, execution: &str) -> Value {
        let body = json!({ "executionArn": execution });
        self.moto.states("DescribeExecution", body).await
    }

    /// Starts an execution and waits for its end.
    pub(crate) async fn run(&self, name: &str, input: Value) -> Value {
        let execution = self.begin(name, input).await;
        self.end(&execution).await
    }

    /// Every execution of the machine, by its name, with its status.
    pub(crate) async fn executions(&self) -> BTreeMap<String, String> {
        let body = json!({ "stateMachineArn": self.machine });
        let listed = self.moto.states("ListExecutions", body).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let executions = listed["executions"].as_array().unwrap().iter();
        executions
            .map(|one| (text(&one["name"]), text(&one["status"])))
            .collect()
    }

    /// The events with which the function was invoked for an operation, in their order.
    pub(crate) fn calls(&self, operation: &str) -> Vec<Value> {
        let calls = self.seen.calls.lock().unwrap();
        let of_operation = calls.iter().filter(|call| call["Operation"] == operation);
        of_operation.cloned().collect()
    }

    /// The most copies that were under way at once, by the registry that they read.
    pub(crate) fn most_copies(&self) -> BTreeMap<String, usize> {
        let copies = self.seen.copies.lock().unwrap();
        copies
            .iter()
            .map(|(registry, (_, most))| (registry.clone(), *most))
            .collect()
    }

    /// The events that other pipelines heard: their types and details, sorted.
    pub(crate) fn events(&self) -> Vec<(String, Value)> {
        let mut events: Vec<_> = self.seen.events.lock().unwrap().iter().map(told).collect();
        events.sort_by_key(|(kind, detail)| (kind.clone(), detail.to_string()));
        events
    }

    /// The keys of the objects that were written or removed.
    pub(crate) fn written(&self) -> Vec<String> {
        self.seen.written.lock().unwrap().clone()
    }

    /// The executions that were to be stopped, by their ARNs.
    pub(crate) fn stopped(&self) -> Vec<String> {
        self.seen.stopped.lock().unwrap().clone()
    }

    /// What the topic heard, as it was sent.
    pub(crate) fn published(&self) -> Vec<String> {
        self.seen.published.lock().unwrap().clone()
    }
}

/// The definition that is deployed, for this account.
fn definition(topic: &str) -> String {
    let values = [
        ("Partition", "aws"),
        ("Function", FUNCTION),
        ("Bucket", BUCKET),
        ("EventBus", "default"),
        ("FailureTopic", topic),
    ];
    values
        .iter()
        .fold(DEFINITION.to_owned(), |text, (name, value)| {
            text.replace(&format!("${{{name}}}"), value)
        })
}

fn told(entry: &Value) -> (String, Value) {
    assert_eq!(entry["Source"], "longshore");
    let detail = entry["Detail"].as_str().unwrap().parse().unwrap();
    (entry["DetailType"].as_str().unwrap().to_owned(), detail)
}

#[derive(Clone)]
struct Proxy {
    moto: String,
    client: reqwest::Client,
    function: Function,
    seen: Arc<Seen>,
}

impl Proxy {
    async fn pass(self, request: Request) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, 64 << 20).await.unwrap();
        if parts.uri.path().starts_with("/2015-03-31/functions/") {
            return self.invoke(&body).await;
        }
        self.look(&parts.headers, &body);
        let key = parts.uri.path().strip_prefix(&format!("/{BUCKET}/"));
        if let Some(key) = key.filter(|_| matches!(parts.method.as_str(), "PUT" | "DELETE")) {
            self.seen.written.lock().unwrap().push(key.to_owned());
        }
        let url = format!("{}{}", self.moto, parts.uri);
        let mut passed = self.client.request(parts.method, url).body(body);
        for (name, value) in parts.headers.iter().filter(|(name, _)| is_passed(name)) {
            passed = passed.header(name, value);
        }
        let answer = passed.send().await.expect("an answer of moto");
        let mut response = Response::builder().status(answer.status());
        for (name, value) in answer.headers().iter().filter(|(name, _)| is_passed(name)) {
            response = response.header(name, value);
        }
        let body = answer.bytes().await.expect("the body of moto's answer");
        response.body(Body::from(body)).unwrap()
    }

    /// Keeps what goes to others than the function.
    fn look(&self, headers: &axum::http::HeaderMap, body: &Bytes) {
        let target = headers
            .get("x-amz-target")
            .map(|value| value.to_str().unwrap());
        if target == Some("AWSEvents.PutEvents") {
            let body: Value = serde_json::from_slice(body).unwrap();
            let entries = body["Entries"].as_array().unwrap();
            self.seen
                .events
                .lock()
                .unwrap()
                .extend(entries.iter().cloned());
        }
        if target == Some("AWSStepFunctions.StopExecution") {
            let body: Value = serde_json::from_slice(body).unwrap();
            let execution = body["executionArn"].as_str().unwrap().to_owned();
            self.seen.stopped.lock().unwrap().push(execution);
        }
        let text = String::from_utf8_lossy(body);
        if text.contains("Action=Publish") {
            self.seen.published.lock().unwrap().push(text.into_owned());
        }
    }

    async fn invoke(&self, body: &[u8]) -> Response<Body> {
        let event: Value = serde_json::from_slice(body).unwrap();
        self.seen.calls.lock().unwrap().push(event.clone());
        let registry = (event["Operation"] == "copy").then(|| {
            let registry = event["Item"]["Registry"].as_str();
            registry.unwrap_or_default().to_owned()
        });
        if let Some(registry) = &registry {
            self.enter(registry);
        }
        let invoked = (self.function)(event).await;
        if let Some(registry) = &registry {
            self.leave(registry);
        }
        match invoked {
            Ok(value) => Response::new(Body::from(value.to_string())),
            Err((kind, message)) => {
                let error = json!({ "errorType": kind, "errorMessage": message });
                Response::builder()
                    .header("x-amz-function-error", "Unhandled")
                    .body(Body::from(error.to_string()))
                    .unwrap()
            }
        }
    }

    fn enter(&self, registry: &str) {
        let mut copies = self.seen.copies.lock().unwrap();
        let (now, most) = copies.entry(registry.to_owned()).or_default();
        *now += 1;
        *most = (*most).max(*now);
    }

    fn leave(&self, registry: &str) {
        let mut copies = self.seen.copies.lock().unwrap();
        copies.entry(registry.to_owned()).or_default().0 -= 1;
    }
}

fn is_passed(name: &HeaderName) -> bool {
    !OF_CONNECTION.contains(&name.as_str())
}
