//! AWS's Runtime Interface Emulator: a Lambda's environment in one program.

use std::path::{Path, PathBuf};
use std::process::Command;

use reqwest::Client;
use serde_json::Value;

use super::moto::REGION;
use super::process::{Server, free_address, output, tool};

/// The function's own credentials.
pub(crate) const SECRETS: [&str; 2] = [
    "the-secret-key-of-the-function",
    "the-session-token-of-the-function",
];

/// A Lambda function that runs this crate's `bootstrap`, one event at a time: that of a release, if
/// `LONGSHORE_BOOTSTRAP` names one.
pub(crate) struct Emulator {
    server: Server,
}

impl Emulator {
    /// A function of this program with these variables in its environment, besides those that each
    /// has.
    pub(crate) fn start(bootstrap: &Path, environment: &[(&str, &str)]) -> Self {
        let server = Server::start("aws-lambda-rie", |address, _| {
            let mut command = Command::new(program());
            command
                .arg("--runtime-interface-emulator-address")
                .arg(address.to_string())
                .arg("--runtime-api-address")
                .arg(free_address().to_string())
                .arg(bootstrap)
                .env("AWS_LAMBDA_FUNCTION_TIMEOUT", "60")
                .env("AWS_REGION", REGION)
                .env("AWS_ACCESS_KEY_ID", "TEST")
                .env("AWS_SECRET_ACCESS_KEY", SECRETS[0])
                .env("AWS_SESSION_TOKEN", SECRETS[1])
                .envs(environment.iter().copied());
            command
        });
        Self { server }
    }

    /// Runs the function on an event and returns what it returned.
    pub(crate) async fn invoke(&self, event: &Value) -> Value {
        let request = Client::new().post(self.url()).body(event.to_string());
        let response = request.send().await.expect("an answer of the emulator");
        let body = response.bytes().await.expect("an answer of the emulator");
        serde_json::from_slice(&body).expect("the emulator answers JSON")
    }

    /// Where the function is invoked.
    pub(crate) fn url(&self) -> String {
        format!(
            "http://{}/2015-03-31/functions/function/invocations",
            self.server.address()
        )
    }

    /// Sends SIGTERM to the function, as Lambda does before it ends it.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    /// Kills the function's process.
    pub(crate) fn kill(&self) {
        self.signal("KILL");
    }

    fn signal(&self, signal: &str) {
        for process in self.server.children() {
            let kill = format!("kill -{signal} {process}");
            output(Command::new("sh").args(["-c", &kill]));
        }
    }

    /// What the function and the emulator have logged.
    pub(crate) fn log(&self) -> String {
        self.server.log()
    }
}

/// The function's program.
pub(crate) fn bootstrap() -> PathBuf {
    let of_release = std::env::var_os("LONGSHORE_BOOTSTRAP");
    of_release.map_or_else(|| env!("CARGO_BIN_EXE_bootstrap").into(), PathBuf::from)
}

fn program() -> PathBuf {
    let architecture = if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "x86_64"
    };
    let python = std::fs::read_dir(tool("venv/lib"))
        .expect("a directory of Python")
        .next()
        .expect("one version of Python")
        .expect("an entry of a directory");
    python.path().join(format!(
        "site-packages/samcli/local/rapid/aws-lambda-rie-{architecture}"
    ))
}
