//! Work that takes longer than one invocation, or than anybody waits.

use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use serde_json::{Value, json};

use super::support::{FUNCTION, Scene, Script, uri_of};
use crate::cloudformation::Successor;
use crate::content::BoxError;

/// Keeps the events that the function should be invoked with.
#[derive(Default)]
struct Queue {
    events: Mutex<Vec<String>>,
    refuses: bool,
}

impl Successor for Queue {
    fn start<'a>(
        &'a self,
        function: &'a str,
        event: String,
    ) -> BoxFuture<'a, Result<(), BoxError>> {
        assert_eq!(function, FUNCTION);
        if self.refuses {
            return ready(Err("access denied".into())).boxed();
        }
        self.events.lock().unwrap().push(event);
        ready(Ok(())).boxed()
    }
}

async fn scene(script: Script, queue: Arc<Queue>) -> Scene {
    let scene = Scene::new(script).await;
    Scene {
        handler: scene.handler.with_successor(queue),
        ..scene
    }
}

/// Sends an event and all that come of it, and gives the number of invocations.
async fn run(scene: &Scene, queue: &Queue, fields: Value) -> usize {
    scene.send(fields).await.unwrap();
    let mut invocations = 1;
    while let Some(event) = { queue.events.lock().unwrap().pop() } {
        scene.send_raw(&event).await.unwrap();
        invocations += 1;
    }
    invocations
}

fn reason(answer: &Value) -> &str {
    assert_eq!(answer["Status"], "FAILED");
    answer["Reason"].as_str().unwrap()
}

#[tokio::test(start_paused = true)]
async fn five_invocations_bring_the_image_and_one_answer() {
    let queue = Arc::new(Queue::default());
    let scene = scene(Script::Slow(5), queue.clone()).await;
    assert_eq!(run(&scene, &queue, json!({})).await, 5);
    let answer = scene.receiver.answer();
    assert_eq!(answer["Status"], "SUCCESS");
    assert_eq!(answer["RequestId"], "request-1");
    assert_eq!(
        answer["PhysicalResourceId"],
        uri_of("s3://bucket/image.tar")
    );
    let deployed = scene.deploy.deployed.lock().unwrap();
    let resumed: Vec<_> = deployed
        .iter()
        .map(|image| image.resume.layers.len())
        .collect();
    assert_eq!(resumed, [0, 1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn without_progress_it_ends() {
    let queue = Arc::new(Queue::default());
    let scene = scene(Script::Hang, queue.clone()).await;
    assert_eq!(run(&scene, &queue, json!({})).await, 1);
    let answer = scene.receiver.answer();
    assert!(reason(&answer).contains("makes no progress"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_function_that_may_not_invoke_itself_says_so() {
    let queue = Arc::new(Queue {
        refuses: true,
        ..Queue::default()
    });
    let scene = scene(Script::Slow(5), queue.clone()).await;
    assert_eq!(run(&scene, &queue, json!({})).await, 1);
    let answer = scene.receiver.answer();
    let wanted = "the function cannot invoke itself: access denied";
    assert!(reason(&answer).contains(wanted), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_the_service_timeout() {
    let queue = Arc::new(Queue::default());
    let scene = scene(Script::Slow(5), queue.clone()).await;
    let properties = json!({
        "Source": "s3://bucket/image.tar", "Destination": "host.io/app", "ServiceTimeout": "900",
    });
    let event = json!({"ResourceProperties": properties});
    assert_eq!(run(&scene, &queue, event).await, 1);
    let answer = scene.receiver.answer();
    assert!(reason(&answer).contains("ServiceTimeout"), "{answer}");
    assert!(reason(&answer).contains("1 blobs uploaded"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn there_are_not_more_invocations_than_the_platform_bears() {
    let queue = Arc::new(Queue::default());
    let scene = scene(Script::Slow(100), queue.clone()).await;
    assert_eq!(run(&scene, &queue, json!({})).await, 12);
    let answer = scene.receiver.answer();
    assert!(reason(&answer).contains("as many invocations"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_waits_for_the_result_hears_that_time_is_up() {
    let queue = Arc::new(Queue::default());
    let scene = scene(Script::Slow(5), queue.clone()).await;
    let error = scene.send(json!({"ResponseURL": "..."})).await.unwrap_err();
    assert!(error.to_string().contains("was not done within"), "{error}");
    assert!(queue.events.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_function_that_is_shut_down_answers_what_is_under_way() {
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let scene = Scene::new(Script::Hang).await;
    let scene = Scene {
        handler: scene.handler.stopped_by(stopped.map(drop)),
        ..scene
    };
    let (sent, ()) = tokio::join!(scene.send(json!({})), async { stop.send(()).unwrap() });
    sent.unwrap();
    let answer = scene.receiver.answer();
    assert!(reason(&answer).contains("is being shut down"), "{answer}");
}
