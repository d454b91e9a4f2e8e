//! What a stack sees: events go in, answers come out.

use std::path::Path;
use std::process::Command;

use longshore::local::ResponseUrl;
use serde_json::{Value, json};

use tokio::task::spawn_blocking;

use super::emulator::{Emulator, SECRETS, bootstrap};
use super::lambda_api::LambdaApi;
use super::process::{output_of, tool};

/// The repository's ECR host, which the function is told to find elsewhere.
pub(crate) const ECR: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

/// The function under AWS's emulator, with CloudFormation before it and AWS behind it.
pub(crate) struct Cloud {
    emulator: Emulator,
    response_url: ResponseUrl,
    lambda: LambdaApi,
}

/// No test ends without a look at all that was logged and answered in it.
impl Drop for Cloud {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        self.log();
        for answer in self.response_url.answers() {
            let answer = String::from_utf8_lossy(&answer.body);
            assert_no_secret("the answer", &answer);
        }
    }
}

fn assert_no_secret(place: &str, text: &str) {
    let of_response_url = "X-Amz-Signature=";
    for secret in [of_response_url, super::PASSWORD].iter().chain(&SECRETS) {
        assert!(!text.contains(secret), "{place} holds {secret}: {text}");
    }
}

impl Cloud {
    /// A function whose ECR registry is at `registry`, and each AWS service where `endpoints`
    /// says: pairs of a variable of the environment (`AWS_ENDPOINT_URL_…`) and a URL.
    pub(crate) async fn start(registry: &str, endpoints: &[(&str, &str)]) -> Self {
        Self::start_program(&bootstrap(), registry, endpoints).await
    }

    /// The same with another program as the function's.
    pub(crate) async fn start_program(
        program: &Path,
        registry: &str,
        endpoints: &[(&str, &str)],
    ) -> Self {
        let registries = format!("*.dkr.ecr.*.amazonaws.com={registry}");
        let lambda = LambdaApi::start().await;
        let mut environment = vec![
            ("AWS_ENDPOINT_URL_LAMBDA", lambda.url()),
            ("LONGSHORE_REGISTRY_OVERRIDE", registries.as_str()),
            ("LONGSHORE_ALLOW_LOOPBACK", "1"),
            ("LONGSHORE_METRICS", "1"),
            (
                "LONGSHORE_DESTINATION_REGISTRIES",
                "ecr,127.0.0.1:*,localhost:*",
            ),
        ];
        environment.extend(endpoints);
        Self {
            emulator: Emulator::start(program, &environment),
            response_url: ResponseUrl::start().await.expect("a free port"),
            lambda,
        }
    }

    pub(crate) async fn create(&self, properties: &Value) -> Answer {
        self.send(json!({ "RequestType": "Create", "ResourceProperties": properties }))
            .await
    }

    pub(crate) async fn update(&self, id: &str, old: &Value, new: &Value) -> Answer {
        self.send(json!({
            "RequestType": "Update",
            "PhysicalResourceId": id,
            "OldResourceProperties": old,
            "ResourceProperties": new,
        }))
        .await
    }

    pub(crate) async fn delete(&self, id: &str, properties: &Value) -> Answer {
        self.send(json!({
            "RequestType": "Delete",
            "PhysicalResourceId": id,
            "ResourceProperties": properties,
        }))
        .await
    }

    /// Sends an event as it stands, but for where its answer goes, and makes the invocations that
    /// the function asks for.
    pub(crate) async fn send_event(&self, mut event: Value) -> Answer {
        event["ResponseURL"] = json!(self.response_url.url());
        let before = self.response_url.answers().len();
        let mut returned = self.emulator.invoke(&event).await;
        while let Some(event) = self.lambda.next() {
            returned = self.emulator.invoke(&event).await;
        }
        self.one_answer(before, &returned)
    }

    /// Sends an event, and gives what the function returned, whoever heard an answer.
    pub(crate) async fn invoke(&self, mut event: Value) -> Value {
        event["ResponseURL"] = json!(self.response_url.url());
        self.emulator.invoke(&event).await
    }

    /// The same of an event that has its `ResponseURL`.
    pub(crate) async fn invoke_as_it_is(&self, event: &Value) -> Value {
        self.emulator.invoke(event).await
    }

    /// Where answers go.
    pub(crate) fn response_url(&self) -> &ResponseUrl {
        &self.response_url
    }

    /// Tells the function to end, as Lambda does.
    pub(crate) fn terminate(&self) {
        self.emulator.terminate();
    }

    /// Kills the function's process.
    pub(crate) fn kill(&self) {
        self.emulator.kill();
    }

    /// Sends what Lambda records of the invocation for `event` that ended with `payload`, as the
    /// queue of the template brings it.
    pub(crate) async fn send_record(&self, event: &Value, payload: &Value) -> Value {
        self.emulator.invoke(&Self::record(event, payload)).await
    }

    /// What the queue of the template brings of the invocation for `event` that ended with
    /// `payload`.
    pub(crate) fn record(event: &Value, payload: &Value) -> Value {
        let record = json!({
            "version": "1.0",
            "timestamp": "2026-11-14T18:16:05.568Z",
            "requestContext": {
                "requestId": "e4b46cbf-b738-4a52-8880-a18cdf61200e",
                "functionArn":
                    "arn:aws:lambda:eu-west-1:123456789012:function:longshore:$LATEST",
                "condition": "RetriesExhausted",
                "approximateInvokeCount": 1,
            },
            "requestPayload": event,
            "responseContext": {
                "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled",
            },
            "responsePayload": payload,
        });
        json!({ "Records": [{
            "messageId": "059f36b4-87a3-44ab-83d2-661975830a7d",
            "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a",
            "body": record.to_string(),
            "attributes": { "ApproximateReceiveCount": "1" },
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:longshore-failed-events",
            "awsRegion": "eu-west-1",
        }]})
    }

    /// Has the provider framework of the CDK invoke the function on an event, and answer for it.
    pub(crate) async fn send_by_framework(&self, mut event: Value) -> Answer {
        event["ResponseURL"] = json!(self.response_url.url());
        let before = self.response_url.answers().len();
        let mut command = Command::new("node");
        command
            .arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/it/cdk/provider.js"
            ))
            .arg(self.emulator.url())
            .arg(self.response_url.address().port().to_string())
            .env("NODE_PATH", tool("npm/node_modules"));
        let run = move || output_of(&mut command, event.to_string().as_bytes());
        let said = spawn_blocking(run).await.expect("a run of the framework");
        self.one_answer(before, &String::from_utf8_lossy(&said).into())
    }

    /// The one answer that came after so many before.
    fn one_answer(&self, before: usize, returned: &Value) -> Answer {
        let answers = self.response_url.answers();
        let [answer] = &answers[before..] else {
            panic!("not one answer but {returned}:\n{}", self.log());
        };
        assert!(
            answer
                .content_type
                .as_deref()
                .unwrap_or_default()
                .is_empty()
        );
        assert_eq!(answer.content_length, Some(answer.body.len() as u64));
        assert!(answer.body.len() <= 4096, "{} bytes", answer.body.len());
        Answer(serde_json::from_slice(&answer.body).expect("an answer is JSON"))
    }

    /// What the function logged, once it is seen to hold no secret.
    pub(crate) fn log(&self) -> String {
        let log = self.emulator.log();
        assert_no_secret("the log", &log);
        log
    }

    /// What the function itself logged: one JSON object a line.
    pub(crate) fn log_lines(&self) -> Vec<Value> {
        let log = self.log();
        let lines = log.lines().filter(|line| line.starts_with('{'));
        lines
            .map(|line| serde_json::from_str(line).expect("a log line is JSON"))
            .collect()
    }

    /// Sends an event of the resource `Image` of the stack `example`.
    pub(crate) async fn send(&self, event: Value) -> Answer {
        self.send_event(Self::completed(event)).await
    }

    /// An event of the resource `Image` of the stack `example`, with all that it needs but a
    /// `ResponseURL`.
    pub(crate) fn completed(mut event: Value) -> Value {
        for (name, usual) in [
            ("RequestId", "the-request"),
            ("ResourceType", "Custom::ECRImage"),
        ] {
            if event[name].is_null() {
                event[name] = json!(usual);
            }
        }
        event["StackId"] = json!("arn:aws:cloudformation:eu-west-1:123456789012:stack/example/1");
        event["LogicalResourceId"] = json!("Image");
        event["ServiceToken"] = json!("arn:aws:lambda:eu-west-1:123456789012:function:longshore");
        event["ResourceProperties"]["ServiceToken"] = event["ServiceToken"].clone();
        event
    }
}

/// An answer to CloudFormation.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer(Value);

impl Answer {
    /// The answer, which must be one of success.
    pub(crate) fn succeeded(self) -> Self {
        assert_eq!(self.0["Status"], "SUCCESS", "{}", self.0);
        self
    }

    /// The whole of it.
    pub(crate) fn body(&self) -> &Value {
        &self.0
    }

    /// Why it failed, as it must have.
    pub(crate) fn failure(&self) -> &str {
        assert_eq!(self.0["Status"], "FAILED", "{}", self.0);
        self.0["Reason"].as_str().expect("a reason")
    }

    /// Whether it is one of success.
    pub(crate) fn is_success(&self) -> bool {
        self.0["Status"] == "SUCCESS"
    }

    /// The physical ID, what `Ref` gives.
    pub(crate) fn id(&self) -> &str {
        self.0["PhysicalResourceId"]
            .as_str()
            .expect("a physical ID")
    }

    /// What `Fn::GetAtt` gives.
    pub(crate) fn attribute(&self, name: &str) -> &str {
        let value = self.0["Data"][name].as_str();
        value.unwrap_or_else(|| panic!("no {name} in {}", self.0))
    }
}
