//! What a stack hears when the function's process dies in the middle of its work: the record that
//! Lambda writes of it is answered.

use std::time::Duration;

use longshore::local::{BucketOptions, Environment, EnvironmentOptions, Fault, RegistryOptions};
use longshore::redact::Secret;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::support::{Archive, Cloud, ECR, MemoryLimit, PASSWORD, bootstrap};

/// Longest wait for the function to begin its work.
const BEGUN_WITHIN: Duration = Duration::from_secs(30);
const OLD: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/example@sha256:\
                   0000000000000000000000000000000000000000000000000000000000000000";

struct World {
    environment: Environment,
    cloud: Cloud,
    _folder: TempDir,
}

impl World {
    /// A world with an archive of these layers, and a function within `limit`.
    async fn new(layers: &[&[u8]], limit: Option<&MemoryLimit>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("example.tar"), Archive::of(layers).tar()).unwrap();
        let environment = Environment::start(EnvironmentOptions {
            registry: RegistryOptions {
                create_on_push: true,
                ..RegistryOptions::ecr(Secret::new(PASSWORD))
            },
            bucket: BucketOptions::folder("images", folder.path()),
            ..EnvironmentOptions::default()
        })
        .await
        .unwrap();
        let program = bootstrap();
        let program = limit.map_or(program.clone(), |limit| limit.within(&program));
        let (s3, aws) = (environment.bucket.base_url(), environment.aws.base_url());
        let endpoints = [
            ("AWS_ENDPOINT_URL", aws.as_str()),
            ("AWS_ENDPOINT_URL_S3", s3.as_str()),
        ];
        let registry = environment.registry.base_url();
        Self {
            cloud: Cloud::start_program(&program, &registry, &endpoints).await,
            environment,
            _folder: folder,
        }
    }

    /// An event that CloudFormation waits for the answer of.
    fn event(&self, request: &str) -> Value {
        let mut event = Cloud::completed(json!({
            "RequestType": request,
            "ResourceProperties": {
                "Source": "s3://images/example.tar",
                "Destination": format!("{ECR}/example:1.0"),
                "MaxConcurrency": "32",
            },
        }));
        event["ResponseURL"] = json!(self.cloud.response_url().url());
        if request != "Create" {
            event["PhysicalResourceId"] = json!(OLD);
        }
        event
    }

    /// Runs the function on an event, and kills it when its first upload is under way. Returns
    /// what Lambda says of its end.
    async fn kill_during(&self, event: &Value) -> Value {
        let hang = Fault::hang().on("POST", "/blobs/uploads/");
        self.environment.registry.faults().add(hang);
        let kill = async {
            let begun = async {
                while self.environment.registry.faults().pending() > 0 {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            timeout(BEGUN_WITHIN, begun).await.expect("an upload");
            self.cloud.kill();
        };
        let (payload, ()) = tokio::join!(self.cloud.invoke_as_it_is(event), kill);
        payload
    }

    fn answers(&self) -> Vec<Value> {
        let answers = self.cloud.response_url().answers();
        let bodies = answers.iter().map(|answer| &answer.body);
        bodies
            .map(|body| serde_json::from_slice(body).unwrap())
            .collect()
    }
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn a_killed_process_is_answered_for_once() {
    let world = World::new(&[b"layer"], None).await;
    for request in ["Create", "Update"] {
        let before = world.answers().len();
        let event = world.event(request);
        let payload = world.kill_during(&event).await;
        assert!(payload["errorType"].is_string(), "{payload}");
        assert_eq!(
            world.answers().len(),
            before,
            "a dead process answers nobody"
        );

        let requests = world.environment.registry.requests().len();
        for _delivery in 0..2 {
            let returned = world.cloud.send_record(&event, &payload).await;
            assert_eq!(returned, json!({ "batchItemFailures": [] }));
        }
        let answers = world.answers();
        let [answer] = &answers[before..] else {
            panic!("{} answers", answers.len() - before)
        };
        assert_eq!(answer["Status"], "FAILED");
        let reason = answer["Reason"].as_str().unwrap();
        assert!(reason.contains("s3://images/example.tar"), "{reason}");
        assert!(reason.contains("process was killed"), "{reason}");
        let id = answer["PhysicalResourceId"].as_str().unwrap();
        match request {
            "Create" => assert!(id.starts_with("failed-create/"), "{id}"),
            _ => assert_eq!(id, OLD),
        }
        let after = world.environment.registry.requests().len();
        assert_eq!(after, requests, "a record starts no work");
    }
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn an_answer_that_went_out_is_not_replaced() {
    let world = World::new(&[b"layer"], None).await;
    let event = world.event("Create");
    world.cloud.invoke_as_it_is(&event).await;
    let payload = json!({
        "errorType": "Runtime.ExitError",
        "errorMessage": "RequestId: 1 Error: Runtime exited with error: signal: killed",
    });
    let returned = world.cloud.send_record(&event, &payload).await;
    assert_eq!(returned, json!({ "batchItemFailures": [] }));
    let answers = world.answers();
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0]["Status"], "SUCCESS", "{}", answers[0]);
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn a_process_that_runs_out_of_memory_is_answered_for() {
    // Each layer under way takes up to 6 MiB, and 32 are asked for.
    let layers: Vec<Vec<u8>> = (0..32).map(|layer| vec![layer; 8 << 20]).collect();
    let layers: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
    let limit = MemoryLimit::new(32);
    let world = World::new(&layers, Some(&limit)).await;
    let hang = Fault::hang().on("PATCH", "/blobs/uploads/").times(64);
    world.environment.registry.faults().add(hang);

    let event = world.event("Create");
    let payload = world.cloud.invoke_as_it_is(&event).await;
    let kind = payload["errorType"].as_str().unwrap_or_default();
    assert!(
        kind.starts_with("Runtime."),
        "{payload}\n{}",
        world.cloud.log()
    );
    assert!(world.answers().is_empty(), "a dead process answers nobody");
    world.environment.registry.faults().clear();

    let returned = world.cloud.send_record(&event, &payload).await;
    assert_eq!(returned, json!({ "batchItemFailures": [] }));
    let answers = world.answers();
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0]["Status"], "FAILED");
    let reason = answers[0]["Reason"].as_str().unwrap();
    assert!(reason.contains("ran out of memory"), "{reason}");
    assert!(reason.contains("MaxConcurrency"), "{reason}");
}
