//! The sample events, each run as CloudFormation sends it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use longshore::oci::Reference;
use serde_json::Value;

use crate::support::{Cloud, ECR, LongshoreLocal};

/// All events, in an order in which a stack can have them.
const EVENTS: [&str; 11] = [
    "create-tarball",
    "update-tarball",
    "create-registry",
    "create-pull-policy",
    "update-pull-policy",
    "delete-pull-policy",
    "create-cdk-ecr-deployment",
    "update-cdk-ecr-deployment",
    "delete-cdk-ecr-deployment",
    "delete",
    "delete-never-made",
];
const RESOURCES: [&str; 3] = [
    "Custom::ECRImage",
    "Custom::ECRPullPolicy",
    "Custom::CDKECRDeployment",
];
/// What `create-registry` copies from, as far as the stand-in plays it.
const UPSTREAM: &str = "docker/library/busybox:1.37";

#[test]
fn there_is_an_event_for_every_request_of_every_resource() {
    let files: BTreeSet<String> = std::fs::read_dir(events())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".json").map(str::to_owned))
        .filter(|name| name != "env")
        .collect();
    assert_eq!(files, EVENTS.map(str::to_owned).into());

    let seen: BTreeSet<(String, String)> = EVENTS
        .iter()
        .map(|name| read(name))
        .map(|event| (text(&event["ResourceType"]), text(&event["RequestType"])))
        .collect();
    for resource in RESOURCES {
        for request in ["Create", "Update", "Delete"] {
            let pair = (resource.to_owned(), request.to_owned());
            assert!(seen.contains(&pair), "no {request} of {resource}");
        }
    }
}

#[test]
fn an_event_is_what_cloudformation_sends() {
    for name in EVENTS {
        let event = read(name);
        let request = text(&event["RequestType"]);
        let has = |member: &str| event.get(member).is_some();
        assert_eq!(has("PhysicalResourceId"), request != "Create", "{name}");
        assert_eq!(has("OldResourceProperties"), request == "Update", "{name}");
        assert_eq!(
            event["ResourceProperties"]["ServiceToken"], event["ServiceToken"],
            "{name}"
        );
    }
}

#[test]
fn the_command_runs_all_of_them_against_served_stand_ins() {
    let local = Local::start();
    for name in EVENTS {
        let answer = local.longshore(&["invoke", path(name).to_str().unwrap()]);
        check(name, &serde_json::from_str(&answer).unwrap());
    }
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn the_lambda_runs_all_of_them_under_the_emulator() {
    let local = Local::start();
    let variables: Vec<(&str, &str)> = local.variables().collect();
    let cloud = Cloud::start("http://replaced", &variables).await;
    for name in EVENTS {
        check(name, cloud.send_event(read(name)).await.body());
    }
}

/// Checks what CloudFormation hears.
fn check(name: &str, answer: &Value) {
    let event = read(name);
    assert_eq!(answer["Status"], "SUCCESS", "{name}: {answer}");
    for echoed in ["RequestId", "StackId", "LogicalResourceId"] {
        assert_eq!(answer[echoed], event[echoed], "{name}");
    }
    let physical = text(&answer["PhysicalResourceId"]);
    match event["PhysicalResourceId"].as_str() {
        // The content is the same, so nothing is replaced.
        Some(before) => assert_eq!(physical, before, "{name}"),
        None => assert!(!physical.is_empty(), "{name}"),
    }
    if event["RequestType"] == "Create" && event["ResourceType"] == "Custom::ECRImage" {
        let destination = text(&event["ResourceProperties"]["Destination"]);
        let destination: Reference = destination.parse().unwrap();
        let repository = format!("{}@sha256:", destination.repository());
        assert!(physical.starts_with(&repository), "{name}: {physical}");
    }
}

/// `longshore local` with what the events copy from, and the environment that it prints.
struct Local {
    served: LongshoreLocal,
    _data: tempfile::TempDir,
}

impl Local {
    fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let local = Self {
            served: LongshoreLocal::start(data.path()),
            _data: data,
        };
        let fixture = format!(
            "oci-archive:{}/tests/fixtures/buildah-oci-platforms.tar",
            env!("CARGO_MANIFEST_DIR")
        );
        local.longshore(&["copy", "--json", &fixture, &format!("{ECR}/{UPSTREAM}")]);
        local
    }

    fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.served
            .variables()
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Runs the command on what is served, and returns what it prints.
    fn longshore(&self, arguments: &[&str]) -> String {
        let run = Command::new(env!("CARGO_BIN_EXE_longshore"))
            .args(arguments)
            .env_clear()
            .envs(self.variables())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success(), "longshore {arguments:?}: {said}");
        String::from_utf8(run.stdout).unwrap()
    }
}

fn events() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("events")
}

fn path(name: &str) -> PathBuf {
    events().join(format!("{name}.json"))
}

fn read(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(path(name)).unwrap()).unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
