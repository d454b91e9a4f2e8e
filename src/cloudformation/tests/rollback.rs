//! Rollback where the source is gone: what is noted, found again and removed.

use serde_json::{Value, json};

use super::support::{REPOSITORY, Scene, Script, digest_of, properties, uri_of};

const OLD: &str = "s3://bucket/old.tar";
const NEW: &str = "s3://bucket/new.tar";

/// An event that asks for properties of which `before` were there, for a resource of this ID.
fn update(id: &str, before: &Value, wanted: &Value) -> Value {
    json!({
        "RequestType": "Update",
        "PhysicalResourceId": id,
        "ResourceProperties": wanted,
        "OldResourceProperties": before,
    })
}

fn delete(id: &str, properties: &Value) -> Value {
    json!({"RequestType": "Delete", "PhysicalResourceId": id, "ResourceProperties": properties})
}

fn image(source: &str) -> Value {
    properties(source, json!({}))
}

impl Scene {
    fn is(&self, script: Script) {
        *self.deploy.script.lock().unwrap() = script;
    }

    /// The answer to an event, which is the same when the event is delivered again.
    async fn answer_twice(&self, event: Value) -> Value {
        let answer = self.answer(event.clone()).await;
        assert_eq!(self.answer(event).await, answer);
        answer
    }

    fn memos(&self) -> usize {
        self.deploy.memos.lock().unwrap().len()
    }
}

#[tokio::test]
async fn a_replacement_is_rolled_back_without_its_source() {
    let scene = Scene::new(Script::Succeed).await;
    let replaced = update(&uri_of(OLD), &image(OLD), &image(NEW));
    let replaced = scene.answer_twice(replaced).await;
    assert_eq!(replaced["PhysicalResourceId"], uri_of(NEW));

    scene.is(Script::Gone);
    let back = update(&uri_of(NEW), &image(NEW), &image(OLD));
    let back = scene.answer_twice(back).await;
    assert_eq!(back["Status"], "SUCCESS", "{back}");
    assert_eq!(back["PhysicalResourceId"], uri_of(OLD));
    scene.answer(delete(&uri_of(NEW), &image(NEW))).await;
    assert_eq!(scene.memos(), 0);
}

#[tokio::test]
async fn a_failed_update_is_rolled_back_without_its_source() {
    let scene = Scene::new(Script::Fail).await;
    let failed = update(&uri_of(OLD), &image(OLD), &image(NEW));
    let failed = scene.answer_twice(failed).await;
    assert_eq!(failed["Status"], "FAILED");
    assert_eq!(failed["PhysicalResourceId"], uri_of(OLD));

    scene.is(Script::Gone);
    let back = update(&uri_of(OLD), &image(NEW), &image(OLD));
    let back = scene.answer_twice(back).await;
    assert_eq!(back["Status"], "SUCCESS", "{back}");
    assert_eq!(back["PhysicalResourceId"], uri_of(OLD));

    let again = update(&uri_of(OLD), &image(OLD), &image(NEW));
    let again = scene.answer_twice(again).await;
    assert_eq!(again["Status"], "FAILED", "a source that was never read");
}

#[tokio::test]
async fn what_never_worked_is_not_taken_for_something_that_did() {
    // Nothing could be noted when the Update failed, so its rollback looks like any other.
    let scene = Scene::new(Script::Succeed).await;
    let back = update(&uri_of(OLD), &image(NEW), &image(OLD));
    assert_eq!(scene.answer(back).await["PhysicalResourceId"], uri_of(OLD));
    assert_eq!(scene.memos(), 0, "it was no image that the new ones gave");

    scene.is(Script::Gone);
    let again = update(&uri_of(OLD), &image(OLD), &image(NEW));
    assert_eq!(scene.answer(again).await["Status"], "FAILED");
}

#[tokio::test]
async fn an_update_after_one_that_failed_does_not_note_what_never_worked() {
    const THIRD: &str = "s3://bucket/third.tar";
    let scene = Scene::new(Script::Fail).await;
    let failed = update(&uri_of(OLD), &image(OLD), &image(NEW));
    scene.answer(failed).await;
    scene.is(Script::Succeed);
    let third = update(&uri_of(OLD), &image(NEW), &image(THIRD));
    assert_eq!(
        scene.answer_twice(third).await["PhysicalResourceId"],
        uri_of(THIRD)
    );

    scene.is(Script::Gone);
    let back = update(&uri_of(THIRD), &image(THIRD), &image(OLD));
    let back = scene.answer_twice(back).await;
    assert_eq!(back["PhysicalResourceId"], uri_of(OLD));
    scene.answer(delete(&uri_of(THIRD), &image(THIRD))).await;
    let again = update(&uri_of(OLD), &image(OLD), &image(NEW));
    assert_eq!(scene.answer(again).await["Status"], "FAILED");
}

#[tokio::test]
async fn what_is_noted_goes_with_the_image_that_it_is_about() {
    let scene = Scene::new(Script::Succeed).await;
    let replaced = update(&uri_of(OLD), &image(OLD), &image(NEW));
    scene.answer(replaced).await;
    assert_eq!(scene.memos(), 1);
    let other = digest_of("other");
    let other = format!("{REPOSITORY}@{other}");
    scene.answer(delete(&other, &image("s3://b/k"))).await;
    assert_eq!(scene.memos(), 1, "of another image");
    scene.answer(delete(&uri_of(OLD), &image(OLD))).await;
    assert_eq!(scene.memos(), 0);
}

#[tokio::test]
async fn an_update_that_ends_in_the_same_image_leaves_nothing() {
    let scene = Scene::new(Script::Succeed).await;
    let refreshed = properties(OLD, json!({"Refresh": "2"}));
    let updated = update(&uri_of(OLD), &image(OLD), &refreshed);
    let updated = scene.answer_twice(updated).await;
    assert_eq!(updated["PhysicalResourceId"], uri_of(OLD));
    assert_eq!(scene.memos(), 0);
}

#[tokio::test]
async fn an_update_succeeds_where_nothing_can_be_noted() {
    let scene = Scene::new(Script::FailToNote).await;
    let replaced = update(&uri_of(OLD), &image(OLD), &image(NEW));
    let replaced = scene.answer(replaced).await;
    assert_eq!(replaced["Status"], "SUCCESS");
}

#[tokio::test]
async fn two_resources_do_not_share_what_is_noted() {
    let scene = Scene::new(Script::Succeed).await;
    for resource in ["One", "Other"] {
        let mut event = update(&uri_of(OLD), &image(OLD), &image(NEW));
        event["LogicalResourceId"] = json!(resource);
        scene.answer(event).await;
    }
    assert_eq!(scene.memos(), 2);
}
