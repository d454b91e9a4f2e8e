//! Mirrors: one run for each request, and one answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::support::{FUNCTION, Scene, Script};
use crate::cloudformation::{Attributes, Begun, Delivered, Executions, Invocation};
use crate::content::BoxError;

const MACHINE: &str = "arn:aws:states:eu-west-1:123456789012:stateMachine:mirror";
const OTHER_MACHINE: &str = "arn:aws:states:eu-west-1:123456789012:stateMachine:other";

/// State machines and a bucket, without anything that runs them.
#[derive(Default)]
struct Machines {
    /// Inputs by machine and name, while they run.
    running: Mutex<BTreeMap<(String, String), Value>>,
    /// Names of the runs that have ended.
    ended: Mutex<Vec<String>>,
    objects: Mutex<BTreeMap<String, String>>,
    /// The operation that is refused.
    refused: Mutex<Option<&'static str>>,
    /// True if an answer to a start is lost.
    loses_answers: Mutex<bool>,
}

impl Machines {
    fn refuses(&self, operation: &str) -> Result<(), BoxError> {
        if *self.refused.lock().unwrap() == Some(operation) {
            return Err(format!("{operation} was denied").into());
        }
        Ok(())
    }

    /// The run of this name ends.
    fn end(&self, name: &str) {
        self.running
            .lock()
            .unwrap()
            .retain(|(_, run), _| run != name);
        self.ended.lock().unwrap().push(name.to_owned());
    }

    fn names(&self) -> Vec<String> {
        let running = self.running.lock().unwrap();
        running.keys().map(|(_, name)| name.clone()).collect()
    }

    fn input(&self) -> Value {
        let running = self.running.lock().unwrap();
        running.values().next().unwrap().clone()
    }

    fn object(&self, name: &str) -> Option<String> {
        let objects = self.objects.lock().unwrap();
        let mut found = objects.iter().filter(|(key, _)| key.ends_with(name));
        found.next().map(|(_, content)| content.clone())
    }
}

impl Executions for Machines {
    fn start<'a>(
        &'a self,
        machine: &'a str,
        name: &'a str,
        input: String,
    ) -> BoxFuture<'a, Result<Begun, BoxError>> {
        let started = self.refuses("start").and_then(|()| {
            if self.ended.lock().unwrap().contains(&name.to_owned()) {
                return Ok(Begun::Ended);
            }
            let input: Value = input.parse().unwrap();
            let key = (machine.to_owned(), name.to_owned());
            let before = self.running.lock().unwrap().insert(key, input.clone());
            assert!(before.is_none_or(|before| before == input));
            if *self.loses_answers.lock().unwrap() {
                return Err("the answer broke off".into());
            }
            Ok(Begun::Runs)
        });
        ready(started).boxed()
    }

    fn stop<'a>(
        &'a self,
        machine: &'a str,
        prefix: &'a str,
        spared: &'a str,
        _cause: &'a str,
    ) -> BoxFuture<'a, Result<Vec<String>, BoxError>> {
        let stopped = self.refuses("stop").map(|()| {
            let mut stopped = Vec::new();
            self.running.lock().unwrap().retain(|(at, name), _| {
                let stops = at == machine && name.starts_with(prefix) && name != spared;
                stops.then(|| stopped.push(name.clone()));
                !stops
            });
            stopped
        });
        ready(stopped).boxed()
    }

    fn store<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        content: Bytes,
    ) -> BoxFuture<'a, Result<(), BoxError>> {
        let stored = self.refuses("store").map(|()| {
            let content = String::from_utf8(content.to_vec()).unwrap();
            let key = format!("{bucket}/{key}");
            self.objects.lock().unwrap().insert(key, content);
        });
        ready(stored).boxed()
    }

    fn remove<'a>(&'a self, bucket: &'a str, key: &'a str) -> BoxFuture<'a, Result<(), BoxError>> {
        let key = format!("{bucket}/{key}");
        self.objects.lock().unwrap().remove(&key);
        ready(Ok(())).boxed()
    }
}

struct Mirror {
    scene: Scene,
    machines: Arc<Machines>,
}

impl Mirror {
    async fn new() -> Self {
        let machines = Arc::new(Machines::default());
        let scene = Scene::new(Script::Succeed).await;
        let scene = Scene {
            handler: scene.handler.with_executions(machines.clone()),
            ..scene
        };
        Self { scene, machines }
    }

    fn event(&self, action: &str, id: &str, more: &Value) -> Value {
        let mut properties = json!({
            "ServiceToken": FUNCTION,
            "StateMachineArn": MACHINE,
            "Bucket": "mirrors",
            "List": {"Sync": [{"Source": "busybox:1"}]},
        });
        for (name, value) in more.as_object().unwrap() {
            properties[name] = value.clone();
        }
        let mut event = self.scene.event(json!({
            "RequestType": action, "RequestId": id, "LogicalResourceId": "Mirror",
            "ResourceType": "Custom::ECRMirror", "ResourceProperties": properties,
        }));
        if action != "Create" {
            event["PhysicalResourceId"] = "longshore-mirror/0123456789abcdef".into();
        }
        event
    }

    async fn send(&self, action: &str, id: &str, more: Value) {
        let event = self.event(action, id, &more);
        self.scene.send_raw(&event.to_string()).await.unwrap();
    }

    fn is_unanswered(&self) {
        assert_eq!(self.scene.receiver.puts().len(), 0);
    }

    /// The run's report, or the rule on its end, gives the answer.
    async fn answer_waiting(&self, result: Result<Attributes, String>) -> Delivered {
        let event = self.machines.object("request.json").unwrap();
        let event = RawValue::from_string(event).unwrap();
        let invocation = Invocation {
            id: "invocation-2".to_owned(),
            deadline: Instant::now() + self.scene.time,
            function: FUNCTION.to_owned(),
            log_group: String::new(),
        };
        let answered = self
            .scene
            .handler
            .answer_waiting(&event, result, &invocation);
        answered.await.unwrap()
    }
}

fn reason(answer: &Value) -> &str {
    assert_eq!(answer["Status"], "FAILED");
    answer["Reason"].as_str().unwrap()
}

#[tokio::test]
async fn a_run_starts_and_its_report_answers() {
    let mirror = Mirror::new().await;
    mirror.send("Create", "r-1", json!({})).await;
    mirror.is_unanswered();
    let [name] = mirror.machines.names().try_into().unwrap();
    let (id, request) = name.split_once('-').unwrap();
    assert_eq!((id.len(), request), (16, "r-1"));
    let input = mirror.machines.input();
    assert_eq!(input, json!({"Mirror": id, "Mode": "sync"}));
    let list = mirror.machines.object(&format!("mirrors/runs/{name}/list"));
    assert_eq!(list.unwrap(), r#"{"Sync":[{"Source":"busybox:1"}]}"#);

    let attributes = vec![("Copied", "1".to_owned()), ("Failed", "0".to_owned())];
    mirror.answer_waiting(Ok(attributes)).await;
    let answer = mirror.scene.receiver.answer();
    assert_eq!(answer["Status"], "SUCCESS");
    assert_eq!(answer["RequestId"], "r-1");
    assert_eq!(
        answer["PhysicalResourceId"],
        format!("longshore-mirror/{id}")
    );
    assert_eq!(answer["Data"]["Copied"], "1");
}

#[tokio::test]
async fn the_address_of_the_answer_is_in_no_input() {
    let mirror = Mirror::new().await;
    mirror.send("Create", "r-1", json!({})).await;
    assert!(!mirror.machines.input().to_string().contains("Signature"));
    let stored = mirror.machines.object("request.json").unwrap();
    assert_eq!(
        stored,
        mirror.event("Create", "r-1", &json!({})).to_string()
    );
}

#[tokio::test]
async fn the_same_event_twice_is_one_run() {
    let mirror = Mirror::new().await;
    mirror.send("Create", "r-1", json!({})).await;
    mirror.send("Create", "r-1", json!({})).await;
    mirror.is_unanswered();
    assert_eq!(mirror.machines.names().len(), 1);
}

#[tokio::test]
async fn an_event_that_comes_after_its_run_is_answered() {
    let mirror = Mirror::new().await;
    mirror.send("Create", "r-1", json!({})).await;
    let [name] = mirror.machines.names().try_into().unwrap();
    mirror.machines.end(&name);
    mirror.send("Create", "r-1", json!({})).await;
    let answer = mirror.scene.receiver.answer();
    assert!(reason(&answer).contains(&name), "{answer}");
    assert_eq!(mirror.machines.object("request.json"), None);
}

#[tokio::test]
async fn an_invocation_that_died_begins_its_run_again() {
    let mirror = Mirror::new().await;
    let event = mirror.event("Create", "r-1", &json!({}));
    let record = json!({
        "version": "1.0",
        "requestContext": {"requestId": "invocation-1", "condition": "RetriesExhausted"},
        "requestPayload": event,
        "responseContext": {"statusCode": 200, "functionError": "Unhandled"},
        "responsePayload": {"errorType": "Runtime.ExitError", "errorMessage": "killed"},
    });
    mirror.scene.send_raw(&record.to_string()).await.unwrap();
    mirror.is_unanswered();
    assert_eq!(mirror.machines.names().len(), 1);
    // It had died after it had started the run.
    mirror.scene.send_raw(&record.to_string()).await.unwrap();
    mirror.is_unanswered();
    assert_eq!(mirror.machines.names().len(), 1);
}

#[tokio::test]
async fn an_update_stops_what_runs() {
    let mirror = Mirror::new().await;
    mirror.send("Create", "r-1", json!({})).await;
    mirror.send("Update", "r-2", json!({})).await;
    mirror.is_unanswered();
    let [name] = mirror.machines.names().try_into().unwrap();
    assert!(name.ends_with("-r-2"), "{name}");
}

#[tokio::test]
async fn an_update_to_another_machine_stops_what_the_old_one_runs() {
    let mirror = Mirror::new().await;
    mirror.send("Create", "r-1", json!({})).await;
    let mut event = mirror.event("Update", "r-2", &json!({"StateMachineArn": OTHER_MACHINE}));
    event["OldResourceProperties"] = json!({"StateMachineArn": MACHINE, "Bucket": "mirrors"});
    mirror.scene.send_raw(&event.to_string()).await.unwrap();
    let [name] = mirror.machines.names().try_into().unwrap();
    assert!(name.ends_with("-r-2"), "{name}");
}

#[tokio::test]
async fn other_mirrors_go_on() {
    let mirror = Mirror::new().await;
    let mut event = mirror.event("Create", "r-1", &json!({}));
    event["LogicalResourceId"] = "Other".into();
    mirror.scene.send_raw(&event.to_string()).await.unwrap();
    mirror.send("Create", "r-2", json!({})).await;
    mirror.send("Delete", "r-3", json!({})).await;
    let [name] = mirror.machines.names().try_into().unwrap();
    assert!(name.ends_with("-r-1"), "{name}");
}

#[tokio::test]
async fn without_waiting_the_start_answers() {
    let mirror = Mirror::new().await;
    mirror.send("Create", "r-1", json!({"Wait": "false"})).await;
    let answer = mirror.scene.receiver.answer();
    assert_eq!(answer["Status"], "SUCCESS");
    let [name] = mirror.machines.names().try_into().unwrap();
    let report = format!("s3://mirrors/runs/{name}/report.html");
    assert_eq!(answer["Data"]["ReportUri"], report);
    assert_eq!(answer["Data"]["Copied"], "");
    assert_eq!(mirror.machines.object("request.json"), None);
    // The same event once more has the same answer, also when the run has ended.
    mirror.machines.end(&name);
    mirror.send("Create", "r-1", json!({"Wait": "false"})).await;
    let again = mirror.scene.receiver.answer();
    assert_eq!(again["Data"], answer["Data"]);
}

#[tokio::test]
async fn a_list_in_s3_is_named() {
    let mirror = Mirror::new().await;
    let list = json!({"List": "s3://lists/fleet.yaml"});
    mirror.send("Create", "r-1", list).await;
    assert_eq!(mirror.machines.input()["List"], "s3://lists/fleet.yaml");
    assert_eq!(mirror.machines.object("/list"), None);
}

#[tokio::test]
async fn a_run_that_ends_without_a_report_is_answered() {
    let mirror = Mirror::new().await;
    mirror.send("Update", "r-1", json!({})).await;
    let aborted = "the run was aborted: see https://h/p?X-Amz-Signature=hidden";
    mirror.answer_waiting(Err(aborted.to_owned())).await;
    let answer = mirror.scene.receiver.answer();
    assert!(
        reason(&answer).starts_with("The run was aborted"),
        "{answer}"
    );
    assert!(!answer.to_string().contains("hidden"), "{answer}");
    let physical_id = answer["PhysicalResourceId"].as_str().unwrap();
    assert!(physical_id.starts_with("longshore-mirror/"), "{answer}");
}

#[tokio::test]
async fn what_cannot_start_is_answered_at_once() {
    for operation in ["stop", "store", "start"] {
        let mirror = Mirror::new().await;
        *mirror.machines.refused.lock().unwrap() = Some(operation);
        mirror.send("Create", "r-1", json!({})).await;
        let answer = mirror.scene.receiver.answer();
        let wanted = format!("{operation} was denied");
        assert!(reason(&answer).contains(&wanted), "{answer}");
        assert_eq!(mirror.machines.object("request.json"), None);
    }
}

#[tokio::test]
async fn a_run_whose_start_seemed_to_fail_does_not_answer() {
    let mirror = Mirror::new().await;
    *mirror.machines.loses_answers.lock().unwrap() = true;
    mirror.send("Create", "r-1", json!({})).await;
    let answer = mirror.scene.receiver.answer();
    assert!(reason(&answer).contains("the answer broke off"), "{answer}");
    assert_eq!(mirror.machines.object("request.json"), None);
    // The Delete that follows a Create that failed stops it.
    assert_eq!(mirror.machines.names().len(), 1);
    let mut event = mirror.event("Delete", "r-2", &json!({}));
    event["PhysicalResourceId"] = answer["PhysicalResourceId"].clone();
    mirror.scene.send_raw(&event.to_string()).await.unwrap();
    assert_eq!(mirror.machines.names().len(), 0);
    assert_eq!(mirror.scene.receiver.answer()["Status"], "SUCCESS");
}

#[tokio::test]
async fn delete_stops_what_runs_and_leaves_the_images() {
    let mirror = Mirror::new().await;
    mirror.send("Create", "r-1", json!({})).await;
    mirror.send("Delete", "r-2", json!({})).await;
    let answer = mirror.scene.receiver.answer();
    assert_eq!(answer["Status"], "SUCCESS");
    assert_eq!(
        answer["PhysicalResourceId"],
        "longshore-mirror/0123456789abcdef"
    );
    assert_eq!(mirror.machines.names(), Vec::<String>::new());
}

#[tokio::test]
async fn delete_removes_what_was_written_if_told_so() {
    let mirror = Mirror::new().await;
    mirror
        .send("Delete", "r-2", json!({"RemovalPolicy": "delete"}))
        .await;
    mirror.is_unanswered();
    assert_eq!(mirror.machines.input()["Mode"], "remove");
    let attributes = vec![("Copied", "0".to_owned())];
    mirror.answer_waiting(Ok(attributes)).await;
    let answer = mirror.scene.receiver.answer();
    assert_eq!(answer["Status"], "SUCCESS");
    assert_eq!(answer["Data"], json!({}));
    assert_eq!(
        answer["PhysicalResourceId"],
        "longshore-mirror/0123456789abcdef"
    );
}

#[tokio::test]
async fn delete_does_not_fail_on_properties() {
    let mirror = Mirror::new().await;
    let unusable = json!({"StateMachineArn": "", "Bucket": [], "RemovalPolicy": "maybe"});
    mirror.send("Delete", "r-1", unusable).await;
    assert_eq!(mirror.scene.receiver.answer()["Status"], "SUCCESS");
}

#[tokio::test]
async fn faults_of_the_properties_are_told_at_once() {
    let mirror = Mirror::new().await;
    let faults = json!({
        "StateMachineArn": format!("{MACHINE}:live"), "Bucket": "My_Bucket", "List": "list.yaml",
        "Wait": "maybe", "Lists": [],
    });
    mirror.send("Create", "r-1", faults).await;
    let answer = mirror.scene.receiver.answer();
    for wanted in [
        "StateMachineArn",
        "Bucket",
        "List: ",
        "Wait",
        "did you mean List?",
    ] {
        assert!(reason(&answer).contains(wanted), "{wanted}: {answer}");
    }
    assert_eq!(mirror.machines.names(), Vec::<String>::new());
}

#[tokio::test]
async fn a_caller_that_answers_itself_does_not_wait() {
    let mirror = Mirror::new().await;
    let mut event = mirror.event("Create", "r-1", &json!({}));
    event.as_object_mut().unwrap().remove("ResponseURL");
    let returned = mirror.scene.send_raw(&event.to_string()).await.unwrap();
    let physical_id = returned["PhysicalResourceId"].as_str().unwrap();
    assert!(physical_id.starts_with("longshore-mirror/"), "{returned}");
    assert_eq!(mirror.machines.names().len(), 1);
}

#[tokio::test]
async fn where_there_are_no_state_machines_a_mirror_says_so() {
    let mirror = Mirror::new().await;
    let scene = Scene::new(Script::Succeed).await;
    let mut event = mirror.event("Create", "r-1", &json!({}));
    event["ResponseURL"] = scene.receiver.url().into();
    scene.send_raw(&event.to_string()).await.unwrap();
    let answer = scene.receiver.answer();
    assert!(reason(&answer).contains("longshore sync"), "{answer}");
}
