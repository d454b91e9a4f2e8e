//! A function's process that is killed in the middle of a mirror's run.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use longshore::local::Fault;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::fleet::Fleet;
use super::resource::World;
use crate::support::{BUCKET, Emulator, StepFunctions, bootstrap};

/// A state machine whose function is killed as often as `deaths` says in its first invocations for
/// `operation`.
async fn dying(operation: &'static str, deaths: usize) -> World {
    let emulator: Arc<OnceLock<Emulator>> = Arc::default();
    let left = Arc::new(AtomicUsize::new(deaths));
    // The emulator runs one event at a time.
    let turn: Arc<Mutex<()>> = Arc::default();
    let function = Arc::clone(&emulator);
    let states = StepFunctions::start(move |event: Value| {
        let (emulator, left) = (Arc::clone(&function), Arc::clone(&left));
        let turn = Arc::clone(&turn);
        async move {
            let _turn = turn.lock().await;
            let emulator = emulator.get().expect("a function");
            let dies = event["Operation"] == operation
                && left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                        left.checked_sub(1)
                    })
                    .is_ok();
            let kill = async {
                if dies {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    emulator.kill();
                }
            };
            let (returned, ()) = tokio::join!(emulator.invoke(&event), kill);
            match (
                returned["errorType"].as_str(),
                returned["errorMessage"].as_str(),
            ) {
                (Some(kind), Some(message)) => Err((kind.to_owned(), message.to_owned())),
                _ => Ok(returned),
            }
        }
    })
    .await;
    let environment = [
        ("AWS_ENDPOINT_URL", states.url()),
        ("LONGSHORE_ALLOW_LOOPBACK", "1"),
        ("LONGSHORE_DESTINATION_REGISTRIES", "127.0.0.1:*"),
    ];
    let started = Emulator::start(&bootstrap(), &environment);
    assert!(emulator.set(started).is_ok());
    World::of(states).await
}

async fn filled(world: &World) {
    Fleet::image(&world.fleet.one, "app", "one", &["v1"]).await;
    Fleet::image(&world.fleet.other, "tool", "tool", &["1"]).await;
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn an_item_whose_function_is_killed_is_copied_by_another_invocation() {
    let mut world = dying("copy", 1).await;
    filled(&world).await;
    let slow = Fault::delay(Duration::from_secs(1));
    let slow = slow.on("GET", "/manifests/").times(100);
    world.fleet.one.faults().add(slow.clone());
    world.fleet.other.faults().add(slow);
    world.send("Create", world.list("")).await;
    let answer = world.answer().await;
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    assert_eq!(answer["Data"]["Copied"], "2", "{answer}");
    assert_eq!(world.states.calls("copy").len(), 3);
    assert_eq!(
        world.cloud.response_url().answers().len(),
        1,
        "answered once"
    );
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn an_item_whose_function_is_always_killed_is_a_failure_of_the_report() {
    let mut world = dying("copy", 100).await;
    filled(&world).await;
    let slow = Fault::delay(Duration::from_secs(1));
    let slow = slow.on("GET", "/manifests/").times(100);
    world.fleet.one.faults().add(slow.clone());
    world.fleet.other.faults().add(slow);
    let id = world.send("Create", world.list("")).await;
    let answer = world.answer().await;
    assert_eq!(answer["Status"], "FAILED", "{answer}");
    let run = world.run(&id).await;
    let key = format!("runs/{run}/report.json");
    let (_, report) = world.states.moto.object(BUCKET, &key).await;
    let report: Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(report["Totals"]["Failed"], 2, "{report:#}");
    let error = report["Failed"][0]["Error"].as_str().unwrap();
    assert!(error.starts_with("Runtime."), "{error}");
    assert_eq!(world.states.calls("record").len(), 2);
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn a_report_whose_function_is_killed_is_made_again_and_answers_once() {
    let mut world = dying("report", 1).await;
    filled(&world).await;
    let id = world.send("Create", world.list("")).await;
    let answer = world.answer().await;
    assert_eq!(
        (&answer["Status"], &answer["RequestId"]),
        (&json!("SUCCESS"), &json!(id)),
        "{answer}"
    );
    assert_eq!(world.states.calls("report").len(), 2);
    assert_eq!(
        world.cloud.response_url().answers().len(),
        1,
        "answered once"
    );
}
