//! `Custom::ECRMirror` as a stack meets it: this crate's function under AWS's emulator, which the
//! template's state machine invokes in moto's interpreter.

use std::time::Duration;

use serde_json::{Value, json};

use super::fleet::Fleet;
use crate::support::{BUCKET, Cloud, Emulator, StepFunctions, bootstrap};

/// Longest wait for the answer of a run.
const ANSWERED_WITHIN: Duration = Duration::from_mins(2);

pub(super) struct World {
    pub(super) fleet: Fleet,
    pub(super) states: StepFunctions,
    pub(super) cloud: Cloud,
    requests: usize,
}

impl World {
    /// With so many instances of the function for the state machine.
    async fn new(instances: usize) -> Self {
        let states = StepFunctions::emulated(|aws| {
            let environment = [
                ("AWS_ENDPOINT_URL", aws),
                ("LONGSHORE_ALLOW_LOOPBACK", "1"),
                ("LONGSHORE_DESTINATION_REGISTRIES", "127.0.0.1:*"),
            ];
            let emulators = (0..instances).map(|_| Emulator::start(&bootstrap(), &environment));
            emulators.collect()
        })
        .await;
        Self::of(states).await
    }

    /// With a state machine that has its function.
    pub(super) async fn of(states: StepFunctions) -> Self {
        let endpoints = [("AWS_ENDPOINT_URL", states.url())];
        Self {
            fleet: Fleet::new().await,
            cloud: Cloud::start("http://127.0.0.1:1", &endpoints).await,
            states,
            requests: 0,
        }
    }

    /// A list of an image of each registry, and of one more.
    pub(super) fn list(&self, more: &str) -> Value {
        let (one, other) = (self.fleet.one.address(), self.fleet.other.address());
        let mut sync = vec![
            json!({ "Source": format!("{one}/app"), "Tags": { "Allow": ["v.*"] } }),
            json!({ "Source": format!("{other}/tool:1") }),
        ];
        if !more.is_empty() {
            sync.push(json!({ "Source": format!("{other}/{more}") }));
        }
        json!({
            "Defaults": { "Destinations": [{
                "Registry": self.fleet.destination.address().to_string(),
                "Template": "{registry}/mirror/{name}:{tag}",
            }] },
            "Sync": sync,
        })
    }

    /// Sends an event that a run answers, and starts the run by it.
    pub(super) async fn send(&mut self, action: &str, list: Value) -> String {
        self.requests += 1;
        let id = format!("r-{}", self.requests);
        let mut event = json!({
            "RequestType": action, "RequestId": id, "LogicalResourceId": "Mirror",
            "StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/web/1",
            "ResourceType": "Custom::ECRMirror",
            "ResourceProperties": {
                "ServiceToken": "arn:aws:lambda:eu-west-1:123456789012:function:function",
                "StateMachineArn": self.states.machine,
                "Bucket": BUCKET,
                "List": list,
                "Refresh": id,
            },
        });
        if action != "Create" {
            event["PhysicalResourceId"] = json!("longshore-mirror/0");
        }
        assert_eq!(self.cloud.invoke(event).await, Value::Null);
        id
    }

    pub(super) async fn answer(&self) -> Value {
        let answer = self.cloud.response_url().next_answer(ANSWERED_WITHIN).await;
        serde_json::from_slice(&answer.expect("an answer").body).unwrap()
    }

    /// The name of the run for a request.
    pub(super) async fn run(&self, id: &str) -> String {
        let runs = self.states.executions().await;
        let mut names = runs.into_keys();
        let of_request = names.find(|name| name.ends_with(&format!("-{id}")));
        of_request.expect("a run")
    }
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn a_list_is_mirrored_and_its_report_answers() {
    let mut world = World::new(3).await;
    Fleet::image(&world.fleet.one, "app", "one", &["v1", "v2", "latest"]).await;
    Fleet::image(&world.fleet.other, "tool", "tool", &["1"]).await;
    let id = world.send("Create", world.list("")).await;
    let answer = world.answer().await;
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    assert_eq!(answer["RequestId"], id);
    assert_eq!(answer["Data"]["Copied"], "3", "{answer}");
    assert_eq!(answer["Data"]["Failed"], "0", "{answer}");
    for (name, tag) in [
        ("mirror/app", "v1"),
        ("mirror/app", "v2"),
        ("mirror/tool", "1"),
    ] {
        assert!(
            world.fleet.at_destination(name, tag).await.is_some(),
            "{name}:{tag}"
        );
    }
    assert_eq!(
        world.fleet.at_destination("mirror/app", "latest").await,
        None
    );
    assert_eq!(world.states.events().len(), 3);
    let run = world.run(&id).await;
    let (content_type, report) = world
        .states
        .moto
        .object(BUCKET, &format!("runs/{run}/report.html"))
        .await;
    assert!(content_type.starts_with("text/html"), "{content_type}");
    assert!(String::from_utf8(report).unwrap().contains("mirror/tool"));

    // As the template's policy of the provider's role has it.
    let written = world.states.written();
    let is_allowed = |key: &&String| key.starts_with("runs/") || key.starts_with("mirrors/");
    assert!(written.iter().all(|key| is_allowed(&key)), "{written:?}");
    for name in ["request.json", "ledger.json", "report.json"] {
        assert!(written.iter().any(|key| key.ends_with(name)), "{written:?}");
    }

    // The same list again moves nothing.
    world.send("Update", world.list("")).await;
    let answer = world.answer().await;
    assert_eq!(answer["Data"]["Copied"], "0", "{answer}");
    assert_eq!(answer["Data"]["Current"], "3", "{answer}");
    assert_eq!(world.states.calls("copy").len(), 3);
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn an_image_that_fails_fails_the_resource_and_no_other() {
    let mut world = World::new(2).await;
    Fleet::image(&world.fleet.one, "app", "one", &["v1"]).await;
    Fleet::image(&world.fleet.other, "tool", "tool", &["1"]).await;
    world.send("Create", world.list("missing:1")).await;
    let answer = world.answer().await;
    assert_eq!(answer["Status"], "FAILED", "{answer}");
    let physical_id = answer["PhysicalResourceId"].as_str().unwrap();
    assert!(physical_id.starts_with("longshore-mirror/"), "{answer}");
    assert!(
        world
            .fleet
            .at_destination("mirror/app", "v1")
            .await
            .is_some()
    );
    assert!(
        world
            .fleet
            .at_destination("mirror/tool", "1")
            .await
            .is_some()
    );
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn a_run_that_is_aborted_is_answered_once() {
    // Without an instance of the function, the run stays where it is.
    let mut world = World::new(0).await;
    let id = world.send("Create", world.list("")).await;
    let run = world.run(&id).await;
    // What the rule of the template sends.
    let ended = json!({
        "LongshoreVersion": 1, "Operation": "ended", "Status": "ABORTED",
        "Run": { "Bucket": BUCKET, "Id": run, "Input": {} },
    });
    for _ in 0..2 {
        world.cloud.invoke_as_it_is(&ended).await;
    }
    let [answer] = world.cloud.response_url().answers().try_into().unwrap();
    let answer: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(
        (&answer["Status"], &answer["RequestId"]),
        (&json!("FAILED"), &json!(id))
    );
    let reason = answer["Reason"].as_str().unwrap();
    assert!(reason.contains("aborted"), "{reason}");
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn an_end_that_was_not_heard_comes_again() {
    let mut world = World::new(0).await;
    let id = world.send("Create", world.list("")).await;
    let run = world.run(&id).await;
    let ended = json!({
        "LongshoreVersion": 1, "Operation": "ended", "Status": "TIMED_OUT",
        "Run": { "Bucket": BUCKET, "Id": run, "Input": {} },
    });
    // The invocation for it died.
    let died = json!({ "errorType": "Runtime.ExitError", "errorMessage": "killed" });
    world.cloud.send_record(&ended, &died).await;
    let [answer] = world.cloud.response_url().answers().try_into().unwrap();
    let answer: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(
        (&answer["Status"], &answer["RequestId"]),
        (&json!("FAILED"), &json!(id))
    );
}
