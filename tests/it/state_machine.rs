//! The state machine of the mirror's template, run by moto's interpreter: with a function that does
//! as each test says, and with this crate's own under AWS's emulator.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::support::{BUCKET, Cloud, Invoked, StepFunctions};

const HUB: &str = "docker.io";
const QUAY: &str = "quay.io";

/// A function whose plan has two pages of items of two registries.
#[derive(Default)]
struct Fleet {
    /// What comes of a copy, by the item and how often it was asked for.
    copies: BTreeMap<&'static str, Vec<Invoked>>,
    asked: Mutex<BTreeMap<String, usize>>,
    /// What comes of other operations.
    failing: BTreeMap<&'static str, Invoked>,
    pages: u64,
}

fn error(kind: &str) -> Invoked {
    Err((
        format!("Longshore.{kind}"),
        "told by the function".to_owned(),
    ))
}

fn done(id: &str) -> Value {
    json!({ "Status": "done", "Id": id, "Digest": "sha256:0", "Detail": { "id": id } })
}

impl Fleet {
    async fn start(self) -> StepFunctions {
        let objects = Arc::new(Mutex::new(String::new()));
        let (fleet, at) = (Arc::new(self), objects.clone());
        let states = StepFunctions::start(move |event| {
            let (fleet, moto) = (fleet.clone(), at.lock().unwrap().clone());
            async move { fleet.invoke(event, &moto).await }
        })
        .await;
        states.url().clone_into(&mut objects.lock().unwrap());
        states
    }

    async fn invoke(&self, event: Value, aws: &str) -> Invoked {
        let operation = event["Operation"].as_str().unwrap();
        if let Some(failing) = self.failing.get(operation) {
            return failing.clone();
        }
        match operation {
            "plan" => Ok(self.plan(&event["Cursor"], aws).await),
            "copy" => self.copy(&event).await,
            "record" => Ok(json!({
                "Id": event["Item"]["Id"],
                "Detail": { "id": event["Item"]["Id"], "error": event["Error"]["Error"] },
            })),
            "report" => Ok(json!({
                "Status": if event["Error"].is_null() { "succeeded" } else { "failed" },
                "Copied": 1, "Current": 2, "Failed": 3, "Pruned": 4,
                "ReportUri": "s3://mirrors/report.html", "Message": "It is so.",
            })),
            other => panic!("{other}"),
        }
    }

    async fn plan(&self, cursor: &Value, aws: &str) -> Value {
        let page = cursor["Page"].as_u64().unwrap_or(0);
        let mut groups = Vec::new();
        for (registry, most) in [(HUB, 2), (QUAY, 3)] {
            let items: Vec<_> = (0..6)
                .map(|n| json!({ "Id": format!("{registry}/{page}/{n}"), "Registry": registry }))
                .collect();
            let key = format!("runs/r/items/{page}-{registry}.json");
            put_object(aws, &key, &json!(items)).await;
            groups.push(json!({
                "Registry": registry, "Bucket": BUCKET, "Key": key, "Count": items.len(),
                "MaxConcurrency": most, "ToleratedFailurePercentage": 100.0,
            }));
        }
        let next = (page + 1 < self.pages).then(|| json!({ "Page": page + 1 }));
        json!({ "Groups": groups, "Next": next })
    }

    async fn copy(&self, event: &Value) -> Invoked {
        // Long enough for others to begin.
        sleep(Duration::from_millis(100)).await;
        let id = event["Item"]["Id"].as_str().unwrap();
        let time = {
            let mut asked = self.asked.lock().unwrap();
            let times = asked.entry(id.to_owned()).or_default();
            *times += 1;
            *times - 1
        };
        let scripted = self.copies.get(id).and_then(|script| script.get(time));
        scripted.cloned().unwrap_or_else(|| Ok(done(id)))
    }
}

async fn put_object(aws: &str, key: &str, content: &Value) {
    let authorization = "AWS4-HMAC-SHA256 Credential=TEST/20200101/eu-west-1/s3/aws4_request, \
                         SignedHeaders=host, Signature=0";
    let request = reqwest::Client::new()
        .put(format!("{aws}/{BUCKET}/{key}"))
        .header("authorization", authorization)
        .body(content.to_string());
    request.send().await.unwrap().error_for_status().unwrap();
}

/// How often each item was copied.
fn times(states: &StepFunctions) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    for call in states.calls("copy") {
        let id = call["Item"]["Id"].as_str().unwrap();
        *times.entry(id.to_owned()).or_default() += 1;
    }
    times
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn every_page_is_copied_within_the_limits_of_each_registry() {
    let fleet = Fleet {
        pages: 2,
        ..Fleet::default()
    };
    let states = fleet.start().await;
    let ended = states
        .run("run-1", json!({ "List": "s3://lists/fleet.yaml" }))
        .await;
    assert_eq!(ended["status"], "SUCCEEDED", "{ended}");
    let output: Value = ended["output"].as_str().unwrap().parse().unwrap();
    assert_eq!(output["Copied"], 1);

    let most = states.most_copies();
    assert_eq!(
        most,
        BTreeMap::from([(HUB.to_owned(), 2), (QUAY.to_owned(), 3)])
    );
    let times = times(&states);
    assert_eq!(times.len(), 24);
    assert!(times.values().all(|times| *times == 1), "{times:?}");
    let arrived: Vec<_> = states.events();
    assert_eq!(arrived.len(), 24);
    assert!(
        arrived
            .iter()
            .all(|(kind, _)| kind == "Longshore Image Arrived")
    );

    let cursors: Vec<_> = states
        .calls("plan")
        .iter()
        .map(|call| call["Cursor"].clone())
        .collect();
    assert_eq!(cursors, [Value::Null, json!({ "Page": 1 })]);
    let run = json!({
        "Bucket": BUCKET, "Id": "run-1",
        "Input": { "List": "s3://lists/fleet.yaml", "Mirror": "mirror", "Mode": "sync" },
    });
    assert_eq!(states.calls("plan")[0]["Run"], run);
    let [report] = states.calls("report").try_into().unwrap();
    assert_eq!((&report["Run"], &report["Error"]), (&run, &Value::Null));
    // An item knows its mirror and not the list, which may be long.
    let copy = states.calls("copy").remove(0);
    assert_eq!(
        copy["Run"]["Input"],
        json!({ "Mirror": "mirror", "Mode": "sync" })
    );
    assert_eq!(copy["LongshoreVersion"], 1);
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn an_item_goes_on_until_it_is_done() {
    let go_on = |n: u64| Ok(json!({ "Status": "continue", "Checkpoint": { "layers": n } }));
    let fleet = Fleet {
        pages: 1,
        copies: BTreeMap::from([("docker.io/0/3", vec![go_on(1), go_on(2), go_on(3)])]),
        ..Fleet::default()
    };
    let states = fleet.start().await;
    let ended = states.run("run-1", json!({})).await;
    assert_eq!(ended["status"], "SUCCEEDED", "{ended}");
    let of_item: Vec<_> = states
        .calls("copy")
        .into_iter()
        .filter(|call| call["Item"]["Id"] == "docker.io/0/3")
        .map(|call| call["Checkpoint"]["layers"].clone())
        .collect();
    assert_eq!(of_item, [Value::Null, json!(1), json!(2), json!(3)]);
    assert_eq!(states.events().len(), 12);
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn what_may_pass_is_tried_again_and_the_rest_is_recorded() {
    let crashed = Err(("Runtime.ExitError".to_owned(), "killed".to_owned()));
    let fleet = Fleet {
        pages: 1,
        copies: BTreeMap::from([
            (
                "docker.io/0/0",
                vec![error("Throttled"), error("Unavailable")],
            ),
            ("docker.io/0/1", vec![error("Unreachable")]),
            ("docker.io/0/2", vec![error("Denied")]),
            ("docker.io/0/3", vec![error("SourceMissing")]),
            ("quay.io/0/0", vec![error("Stopped")]),
            ("quay.io/0/1", vec![crashed]),
            ("quay.io/0/3", vec![error("OutOfTime")]),
        ]),
        ..Fleet::default()
    };
    let states = fleet.start().await;
    let ended = states.run("run-1", json!({})).await;
    assert_eq!(
        ended["status"], "SUCCEEDED",
        "an item fails no map: {ended}"
    );
    let times = times(&states);
    for (id, expected) in [
        ("docker.io/0/0", 3),
        ("docker.io/0/1", 2),
        ("docker.io/0/2", 1),
        ("docker.io/0/3", 1),
        ("docker.io/0/4", 1),
        ("quay.io/0/0", 2),
        ("quay.io/0/1", 2),
        ("quay.io/0/3", 1),
    ] {
        assert_eq!(times[id], expected, "{id}");
    }
    let recorded: BTreeMap<String, String> = states
        .calls("record")
        .iter()
        .map(|call| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (text(&call["Item"]["Id"]), text(&call["Error"]["Error"]))
        })
        .collect();
    let expected = [
        ("docker.io/0/2", "Longshore.Denied"),
        ("docker.io/0/3", "Longshore.SourceMissing"),
        ("quay.io/0/3", "Longshore.OutOfTime"),
    ];
    let expected = expected.map(|(id, error)| (id.to_owned(), error.to_owned()));
    assert_eq!(recorded, BTreeMap::from(expected.clone()));
    let events = states.events();
    let failed: BTreeMap<String, String> = events
        .iter()
        .filter(|(kind, _)| kind == "Longshore Image Failed")
        .map(|(_, detail)| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (text(&detail["id"]), text(&detail["error"]))
        })
        .collect();
    assert_eq!(failed, BTreeMap::from(expected));
    assert_eq!(events.len(), 12, "every item's end is known");
}

/// In a run of its own: moto's interpreter counts the attempts of several items together.
#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn an_item_whose_function_always_crashes_is_recorded() {
    let crashed = Err(("Runtime.ExitError".to_owned(), "killed".to_owned()));
    let fleet = Fleet {
        pages: 1,
        copies: BTreeMap::from([("quay.io/0/2", vec![crashed; 9])]),
        ..Fleet::default()
    };
    let states = fleet.start().await;
    let ended = states.run("run-1", json!({})).await;
    assert_eq!(ended["status"], "SUCCEEDED", "{ended}");
    assert_eq!(times(&states)["quay.io/0/2"], 3);
    let [recorded] = states.calls("record").try_into().unwrap();
    assert_eq!(recorded["Item"]["Id"], "quay.io/0/2");
    assert_eq!(recorded["Error"]["Error"], "Runtime.ExitError");
    assert_eq!(states.events().len(), 12, "every item's end is known");
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn a_plan_that_fails_is_reported() {
    let fleet = Fleet {
        failing: BTreeMap::from([("plan", error("Invalid"))]),
        ..Fleet::default()
    };
    let states = fleet.start().await;
    let ended = states.run("run-1", json!({})).await;
    assert_eq!(ended["status"], "FAILED", "{ended}");
    assert_eq!(ended["error"], "Longshore.NotCurrent");
    assert_eq!(ended["cause"], "It is so.");
    assert_eq!(states.calls("plan").len(), 1);
    let [report] = states.calls("report").try_into().unwrap();
    assert_eq!(report["Error"]["Error"], "Longshore.Invalid");
    let cause: Value = report["Error"]["Cause"].as_str().unwrap().parse().unwrap();
    assert_eq!(cause["errorMessage"], "told by the function");
    let [published] = states.published().try_into().unwrap();
    assert!(published.contains("report.html"), "{published}");
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn a_result_that_cannot_be_recorded_fails_nothing_else() {
    let fleet = Fleet {
        pages: 1,
        copies: BTreeMap::from([("docker.io/0/2", vec![error("Denied")])]),
        failing: BTreeMap::from([("record", error("Failed"))]),
        ..Fleet::default()
    };
    let states = fleet.start().await;
    let ended = states.run("run-1", json!({})).await;
    assert_eq!(ended["status"], "SUCCEEDED", "{ended}");
    assert_eq!(states.calls("report").len(), 1);
    assert_eq!(states.events().len(), 11);
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn a_report_that_fails_is_left_to_the_rule() {
    let fleet = Fleet {
        failing: BTreeMap::from([("report", error("Failed"))]),
        ..Fleet::default()
    };
    let states = fleet.start().await;
    let ended = states.run("run-1", json!({ "Mode": "remove" })).await;
    assert_eq!(ended["status"], "FAILED", "{ended}");
    assert_eq!(ended["error"], "Longshore.Failed");
    assert!(states.calls("report").len() > 1, "it was tried again");
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn a_dry_run_copies_nothing() {
    let fleet = Fleet {
        pages: 2,
        ..Fleet::default()
    };
    let states = fleet.start().await;
    let ended = states.run("run-1", json!({ "Mode": "dry-run" })).await;
    assert_eq!(ended["status"], "SUCCEEDED", "{ended}");
    assert_eq!(states.calls("plan").len(), 2);
    assert_eq!(states.calls("copy").len(), 0);
    assert_eq!(states.calls("report").len(), 1);
}

/// The resource, whose function is this crate's own under AWS's emulator.
struct Resource {
    states: StepFunctions,
    cloud: Cloud,
}

impl Resource {
    /// With runs that do not end by themselves, but by `release`.
    async fn new(release: &Arc<AtomicUsize>) -> Self {
        let release = release.clone();
        let states = StepFunctions::start(move |event| {
            let release = release.clone();
            async move {
                while event["Operation"] == "plan" && release.load(Ordering::SeqCst) == 0 {
                    sleep(Duration::from_millis(20)).await;
                }
                if event["Operation"] == "plan" {
                    return Ok(json!({ "Groups": [], "Next": null }));
                }
                Fleet::default().invoke(event, "").await
            }
        })
        .await;
        let endpoints = [("AWS_ENDPOINT_URL", states.url())];
        let cloud = Cloud::start("http://127.0.0.1:1", &endpoints).await;
        Self { states, cloud }
    }

    fn event(&self, action: &str, id: &str, more: &Value) -> Value {
        let mut properties = json!({
            "ServiceToken": "arn:aws:lambda:eu-west-1:123456789012:function:function",
            "StateMachineArn": self.states.machine,
            "Bucket": BUCKET,
            "List": { "Sync": [{ "Source": "public.ecr.aws/docker/library/busybox:1.37" }] },
        });
        for (name, value) in more.as_object().unwrap() {
            properties[name] = value.clone();
        }
        let mut event = json!({
            "RequestType": action, "RequestId": id, "LogicalResourceId": "Mirror",
            "StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/web/1",
            "ResourceType": "Custom::ECRMirror", "ResourceProperties": properties,
        });
        if action != "Create" {
            event["PhysicalResourceId"] = json!("longshore-mirror/0");
        }
        event
    }

    async fn send(&self, action: &str, id: &str, more: Value) -> Value {
        self.cloud.invoke(self.event(action, id, &more)).await
    }

    fn answers(&self) -> Vec<Value> {
        let answers = self.cloud.response_url().answers();
        let read = |body: &[u8]| serde_json::from_slice(body).unwrap();
        answers.iter().map(|answer| read(&answer.body)).collect()
    }

    /// The requests whose runs were to be stopped.
    fn stopped(&self) -> Vec<String> {
        let names = self.states.stopped();
        let names = names.iter().filter_map(|arn| arn.rsplit(':').next());
        names
            .filter_map(|name| Some(name.split_once('-')?.1.to_owned()))
            .collect()
    }

    /// The statuses of the runs, by the requests that they are for.
    async fn runs(&self) -> BTreeMap<String, String> {
        let executions = self.states.executions().await.into_iter();
        executions
            .map(|(name, status)| (name.split_once('-').unwrap().1.to_owned(), status))
            .collect()
    }
}

fn runs<const N: usize>(runs: [(&str, &str); N]) -> BTreeMap<String, String> {
    BTreeMap::from(runs.map(|(name, status)| (name.to_owned(), status.to_owned())))
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn a_resource_has_one_run_at_a_time() {
    let release = Arc::default();
    let resource = Resource::new(&release).await;
    for _ in 0..2 {
        // The same event twice.
        let returned = resource.send("Create", "r-1", json!({})).await;
        assert_eq!(returned, Value::Null);
        assert_eq!(resource.runs().await, runs([("r-1", "RUNNING")]));
    }
    resource
        .send("Update", "r-2", json!({ "Refresh": "2" }))
        .await;
    assert_eq!(resource.stopped(), ["r-1"]);
    assert_eq!(resource.answers(), Vec::<Value>::new(), "the runs answer");

    let [mirror] = resource
        .states
        .executions()
        .await
        .into_keys()
        .filter_map(|name| Some(name.strip_suffix("-r-2")?.to_owned()))
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    let key = format!("runs/{mirror}-r-2/request.json");
    let (_, stored) = resource.states.moto.object(BUCKET, &key).await;
    let stored: Value = serde_json::from_slice(&stored).unwrap();
    assert_eq!(stored["RequestId"], "r-2");
    let (_, list) = resource
        .states
        .moto
        .object(BUCKET, &format!("runs/{mirror}-r-2/list"))
        .await;
    let list: Value = serde_json::from_slice(&list).unwrap();
    assert_eq!(
        list["Sync"][0]["Source"],
        "public.ecr.aws/docker/library/busybox:1.37"
    );
    let plan = resource.states.calls("plan").pop().unwrap();
    assert!(!plan.to_string().contains("ResponseURL"), "{plan}");
    assert_eq!(
        plan["Run"]["Input"],
        json!({ "Mirror": mirror, "Mode": "sync" })
    );

    resource.send("Delete", "r-3", json!({})).await;
    assert!(resource.stopped().contains(&"r-2".to_owned()));
    let [answer] = resource.answers().try_into().unwrap();
    assert_eq!(
        (&answer["Status"], &answer["RequestId"]),
        (&json!("SUCCESS"), &json!("r-3"))
    );
    release.store(1, Ordering::SeqCst);
    for execution in resource.states.stopped() {
        assert_eq!(resource.states.end(&execution).await["status"], "ABORTED");
    }
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn without_waiting_the_resource_is_there_once_its_run_has_started() {
    let release = Arc::default();
    let resource = Resource::new(&release).await;
    resource
        .send("Create", "r-1", json!({ "Wait": "false" }))
        .await;
    let [answer] = resource.answers().try_into().unwrap();
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    assert_eq!(resource.runs().await, runs([("r-1", "RUNNING")]));
    release.store(1, Ordering::SeqCst);
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn a_state_machine_that_is_not_there_is_answered() {
    let release = Arc::default();
    let resource = Resource::new(&release).await;
    let missing = resource
        .states
        .machine
        .replace("longshore-mirror", "missing");
    let missing = json!({ "StateMachineArn": missing });
    resource.send("Create", "r-1", missing.clone()).await;
    let [answer] = resource.answers().try_into().unwrap();
    let reason = answer["Reason"].as_str().unwrap();
    assert!(
        reason.contains("there is no such state machine"),
        "{reason}"
    );
    resource.send("Delete", "r-2", missing).await;
    let answer = resource.answers().pop().unwrap();
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
}
