//! CloudFormation, as one resource of a stack meets it: which events come, in which order, with
//! which properties and IDs.

use serde_json::{Value, json};

use super::cloud::{Answer, Cloud};

/// A stack with one image. Every event is delivered twice, as CloudFormation may do it: the second
/// answer must be that of the first.
pub(crate) struct Stack<'a> {
    cloud: &'a Cloud,
    /// The resource as it is.
    now: Resource,
    /// The resource as it was before the update of the stack that is under way.
    before: Option<Resource>,
    requests: u32,
}

#[derive(Clone)]
struct Resource {
    id: String,
    properties: Value,
}

impl<'a> Stack<'a> {
    /// The stack is created.
    pub(crate) async fn create(cloud: &'a Cloud, properties: &Value) -> Self {
        let mut stack = Self {
            cloud,
            now: Resource {
                id: String::new(),
                properties: properties.clone(),
            },
            before: None,
            requests: 0,
        };
        let event = json!({ "RequestType": "Create", "ResourceProperties": properties });
        let created = stack.send(event).await.succeeded();
        created.id().clone_into(&mut stack.now.id);
        stack
    }

    /// The physical ID, what `Ref` gives.
    pub(crate) fn id(&self) -> &str {
        &self.now.id
    }

    /// An update of the stack reaches the resource. What follows is [`Stack::finish`] or
    /// [`Stack::roll_back`]; it is a rollback if the resource failed.
    pub(crate) async fn update(&mut self, properties: &Value) -> Answer {
        let before = self.now.clone();
        let updated = self.send_update(properties).await;
        if !updated.is_success() {
            assert_eq!(updated.id(), before.id, "the ID after a failed Update");
        }
        self.now = Resource {
            id: updated.id().to_owned(),
            properties: properties.clone(),
        };
        self.before = Some(before);
        updated
    }

    /// The update succeeds: what was replaced is deleted.
    pub(crate) async fn finish(&mut self) {
        let before = self.before.take().expect("an update under way");
        self.clean_up(before).await;
    }

    /// The update fails, in this resource or in a later one: the resource goes back to what it
    /// was, and what had replaced it is deleted.
    pub(crate) async fn roll_back(&mut self) -> Answer {
        let before = self.before.take().expect("an update under way");
        let back = self.send_update(&before.properties).await;
        if back.is_success() {
            let failed = std::mem::replace(
                &mut self.now,
                Resource {
                    id: back.id().to_owned(),
                    ..before
                },
            );
            self.clean_up(failed).await;
        }
        back
    }

    /// The stack is deleted.
    pub(crate) async fn delete(mut self) {
        let now = self.now.clone();
        self.send_delete(now).await;
    }

    async fn clean_up(&mut self, other: Resource) {
        if other.id != self.now.id {
            self.send_delete(other).await;
        }
    }

    async fn send_update(&mut self, properties: &Value) -> Answer {
        let event = json!({
            "RequestType": "Update",
            "PhysicalResourceId": self.now.id,
            "OldResourceProperties": self.now.properties,
            "ResourceProperties": properties,
        });
        self.send(event).await
    }

    async fn send_delete(&mut self, resource: Resource) {
        let event = json!({
            "RequestType": "Delete",
            "PhysicalResourceId": resource.id,
            "ResourceProperties": resource.properties,
        });
        let deleted = self.send(event).await.succeeded();
        assert_eq!(deleted.id(), resource.id, "the ID after a Delete");
    }

    async fn send(&mut self, mut event: Value) -> Answer {
        self.requests += 1;
        event["RequestId"] = json!(format!("request-{}", self.requests));
        let answer = self.cloud.send(event.clone()).await;
        let again = self.cloud.send(event).await;
        assert_eq!(
            again.is_success(),
            answer.is_success(),
            "{answer:?} {again:?}"
        );
        assert_eq!(again.id(), answer.id(), "{answer:?} {again:?}");
        answer
    }
}
