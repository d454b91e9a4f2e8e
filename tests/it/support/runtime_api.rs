//! A Lambda function without Lambda: its program, and the
//! [runtime API](https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html) that gives it events.

use std::fs::File;
use std::future::{Future, pending};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode};
use axum::routing::{get, post};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::emulator::bootstrap;
use super::moto::REGION;

/// What the function has beyond its deadline before it counts as stuck: machines of tests are busy.
const GRACE: Duration = Duration::from_secs(15);

/// One process of the function, which takes one event after another. Killed when dropped.
pub(crate) struct Function {
    process: Child,
    events: mpsc::Sender<Call>,
    ends: mpsc::Receiver<End>,
    directory: TempDir,
    api: JoinHandle<()>,
}

/// How an invocation ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The function returned this.
    Returned(Value),
    /// The function returned this error.
    Failed(Value),
    /// The process ended.
    Died,
    /// It went on beyond its deadline.
    Overdue,
}

struct Call {
    event: String,
    time: Duration,
}

struct Api {
    events: Mutex<mpsc::Receiver<Call>>,
    ends: mpsc::Sender<End>,
}

impl Function {
    /// Starts the program with these variables in its environment, besides those that each
    /// function has.
    pub(crate) async fn start(variables: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        Self::start_program(&bootstrap(), variables).await
    }

    /// As [`Function::start`], of another program.
    pub(crate) async fn start_program(
        program: &Path,
        variables: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Self {
        let (events, given) = mpsc::channel(1);
        let (ended, ends) = mpsc::channel(1);
        let api = Api {
            events: Mutex::new(given),
            ends: ended,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let invocation = "/2018-06-01/runtime/invocation";
        let app = Router::new()
            .route(&format!("{invocation}/next"), get(next))
            .route(&format!("{invocation}/{{id}}/response"), post(returned))
            .route(&format!("{invocation}/{{id}}/error"), post(failed))
            .with_state(Arc::new(api));
        let api = tokio::spawn(async {
            axum::serve(listener, app).await.expect("a server");
        });
        let directory = tempfile::tempdir().expect("a temporary directory");
        let log = File::create(directory.path().join("log")).expect("a log file");
        let process = Command::new(program)
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", "longshore")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/longshore")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "stream")
            .env("AWS_REGION", REGION)
            .envs(variables)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle of the log"))
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("the function's program");
        Self {
            process,
            events,
            ends,
            directory,
            api,
        }
    }

    /// Runs the function on an event, with so much time.
    pub(crate) async fn invoke(&mut self, event: &Value, time: Duration) -> End {
        self.invoke_until(event, time, pending()).await
    }

    /// The same, and kills the process when `kill` is done.
    pub(crate) async fn invoke_until(
        &mut self,
        event: &Value,
        time: Duration,
        kill: impl Future<Output = ()>,
    ) -> End {
        let event = event.to_string();
        let sent = self.events.send(Call { event, time }).await;
        sent.expect("an API that waits for events");
        let end = tokio::select! {
            Some(end) = self.ends.recv() => return end,
            _ = self.process.wait() => return End::Died,
            () = kill => End::Died,
            () = sleep(time + GRACE) => End::Overdue,
        };
        self.process.kill().await.expect("a process to kill");
        end
    }

    /// Whether the process takes another event.
    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        let log = std::fs::read(self.directory.path().join("log")).expect("a log file");
        String::from_utf8_lossy(&log).into_owned()
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        self.api.abort();
    }
}

type Answer = (StatusCode, [(HeaderName, String); 3], String);

async fn next(State(api): State<Arc<Api>>) -> Answer {
    let Some(call) = api.events.lock().await.recv().await else {
        // The function is about to be killed.
        return pending().await;
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let deadline = now.expect("a time after 1970") + call.time;
    let header = |name, value: &str| (HeaderName::from_static(name), value.to_owned());
    let headers = [
        header(
            "lambda-runtime-aws-request-id",
            "e4b46cbf-b738-4a52-8880-a18cdf61200e",
        ),
        header(
            "lambda-runtime-deadline-ms",
            &deadline.as_millis().to_string(),
        ),
        header(
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:eu-west-1:123456789012:function:longshore",
        ),
    ];
    (StatusCode::OK, headers, call.event)
}

async fn returned(State(api): State<Arc<Api>>, body: String) -> StatusCode {
    end(&api, End::Returned(value(&body))).await
}

async fn failed(State(api): State<Arc<Api>>, body: String) -> StatusCode {
    end(&api, End::Failed(value(&body))).await
}

/// Nobody may wait for it any more.
async fn end(api: &Api, end: End) -> StatusCode {
    let _ = api.ends.send(end).await;
    StatusCode::ACCEPTED
}

fn value(body: &str) -> Value {
    serde_json::from_str(body).expect("a function returns JSON")
}
