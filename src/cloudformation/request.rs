//! The request of CloudFormation, read in two steps: first the envelope, as tolerantly as can be,
//! because whoever has a `ResponseURL` waits for an answer; the properties later, by who knows
//! them.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use reqwest::Url;
use serde_json::Value;
use serde_json::value::RawValue;

use super::continuation::{self, Continuation};
use super::error::{Failure, NoRequest};
use super::invalid_properties::{InvalidProperties, Properties, UnreadableProperties};
use super::reader::scalar;
use super::salvage;
use crate::redact::{RedactedUrl, remember_address};

/// The longest time that CloudFormation waits, in seconds, which is also how long it waits where
/// no time is named.
const MAX_SERVICE_TIMEOUT: u64 = 3600;
/// Most bytes of properties that are read: more than a template may have. As a tree of values they
/// take up to a hundred times that.
const MAX_PROPERTIES: usize = 1 << 20;
/// Most bytes of a field that is one text.
const MAX_TEXT: usize = 64 << 10;

/// A request of CloudFormation
/// ([custom resource request objects](https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requests.html)).
///
/// What is missing or of another type than it should be is empty: only an event that is no
/// request at all is an error.
pub struct Request {
    /// What is asked for.
    pub action: Action,
    /// Who takes the answer.
    pub reply: Reply,
    /// ARN of the stack.
    pub stack_id: String,
    /// ID of the request, the same in every delivery of it.
    pub request_id: String,
    /// The resource's name in the template.
    pub logical_resource_id: String,
    /// The resource's type, such as `Custom::ECRImage`.
    pub resource_type: String,
    /// What the answer to the request before called the resource. Empty on Create.
    pub physical_resource_id: String,
    /// The properties to bring about.
    pub properties: Result<Properties, UnreadableProperties>,
    /// The properties of the resource as it was, on Update.
    pub old_properties: Properties,
    /// What earlier invocations have done of it.
    pub continuation: Continuation,
}

/// What CloudFormation asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The resource is new.
    Create,
    /// Its properties changed, or an Update is rolled back.
    Update,
    /// It goes, or what replaced it stays.
    Delete,
    /// Something that CloudFormation does not ask for today.
    Other(String),
}

/// Who takes the answer.
#[derive(Clone, PartialEq, Eq)]
pub enum Reply {
    /// CloudFormation, by a PUT to this presigned URL.
    Put(Url),
    /// Whoever invoked the function: the event has no URL to answer to.
    Return,
}

impl Request {
    /// Who asks, as an auditor should see it: the stack's name and the resource's.
    pub(super) fn purpose(&self) -> String {
        let stack = self.stack_id.split('/').nth(1).unwrap_or("stack");
        format!("{stack}/{}", self.logical_resource_id)
    }

    /// The time that CloudFormation waits for the answer: the property `ServiceTimeout`.
    pub(super) fn service_timeout(&self) -> Duration {
        let properties = self.properties.as_ref().ok();
        let value = properties.and_then(|properties| properties.get("ServiceTimeout"));
        let seconds: Option<u64> = value.and_then(scalar).and_then(|text| text.parse().ok());
        let seconds = seconds.filter(|seconds| (1..=MAX_SERVICE_TIMEOUT).contains(seconds));
        Duration::from_secs(seconds.unwrap_or(MAX_SERVICE_TIMEOUT))
    }

    /// The function that the template names as the resource's provider. Empty if it is unknown.
    pub(super) fn service_token(&self) -> String {
        let properties = self.properties.as_ref().ok();
        let value = properties.and_then(|properties| properties.get("ServiceToken"));
        value.and_then(scalar).unwrap_or_default()
    }

    /// The properties, if they could be read.
    pub(super) fn readable(&self) -> Result<&Properties, Failure> {
        self.properties
            .as_ref()
            .map_err(|reason| Failure::Unreadable {
                resource: self.logical_resource_id.clone(),
                reason: reason.clone(),
            })
    }

    /// The failure of a request whose properties have these problems.
    pub(super) fn invalid(&self, problems: InvalidProperties) -> Failure {
        Failure::Properties {
            resource: self.logical_resource_id.clone(),
            problems,
        }
    }

    /// Reads a request.
    pub fn read(event: &RawValue) -> Result<Self, NoRequest> {
        Self::read_fields(event).or_else(|error| Self::salvaged(event.get()).ok_or(error))
    }

    /// The request of an event that has a `ResponseURL` somewhere, and not where it should be. It
    /// cannot be done, but answered.
    fn salvaged(event: &str) -> Option<Self> {
        let text = |name: &str| salvage::find(event, name).unwrap_or_default();
        let reply = Reply::to(&text("ResponseURL"));
        (reply != Reply::Return).then(|| Self {
            action: Action::named(text("RequestType")),
            reply,
            stack_id: text("StackId"),
            request_id: text("RequestId"),
            logical_resource_id: text("LogicalResourceId"),
            resource_type: text("ResourceType"),
            physical_resource_id: text("PhysicalResourceId"),
            properties: Err(UnreadableProperties {
                reason: "the event is not CloudFormation's as it stands, but broken, or wrapped \
                         into another"
                    .to_owned(),
            }),
            old_properties: Properties::new(),
            continuation: Continuation::first(),
        })
    }

    fn read_fields(event: &RawValue) -> Result<Self, NoRequest> {
        let fields: Fields<'_> =
            serde_json::from_str(event.get()).map_err(NoRequest::NotAnObject)?;
        let action = text(&fields, "RequestType");
        let url = text(&fields, "ResponseURL");
        if action.is_empty() && url.is_empty() {
            return Err(NoRequest::NothingAsked);
        }
        Ok(Self {
            action: Action::named(action),
            reply: Reply::to(&url),
            stack_id: text(&fields, "StackId"),
            request_id: text(&fields, "RequestId"),
            logical_resource_id: text(&fields, "LogicalResourceId"),
            resource_type: text(&fields, "ResourceType"),
            physical_resource_id: text(&fields, "PhysicalResourceId"),
            properties: object(&fields, "ResourceProperties"),
            old_properties: object(&fields, "OldResourceProperties").unwrap_or_default(),
            continuation: continuation(&fields),
        })
    }
}

/// The fields of an event, each read only when it is asked for: one that is malformed does not
/// hide the others.
type Fields<'a> = BTreeMap<String, &'a RawValue>;

fn text(fields: &Fields<'_>, name: &str) -> String {
    let value = fields.get(name).map(|raw| raw.get());
    let value = value.filter(|text| text.len() <= MAX_TEXT);
    let value = value.and_then(|text| serde_json::from_str(text).ok());
    match value {
        Some(Value::String(text)) => text,
        Some(value @ (Value::Number(_) | Value::Bool(_))) => value.to_string(),
        _ => String::new(),
    }
}

fn continuation(fields: &Fields<'_>) -> Continuation {
    let carried = fields.get(continuation::FIELD);
    let carried = carried.and_then(|raw| serde_json::from_str(raw.get()).ok());
    carried.unwrap_or_else(Continuation::first)
}

fn object(fields: &Fields<'_>, name: &str) -> Result<Properties, UnreadableProperties> {
    let Some(raw) = fields.get(name) else {
        return Ok(Properties::new());
    };
    let length = raw.get().len();
    if length > MAX_PROPERTIES {
        let reason = format!("expected at most {MAX_PROPERTIES} bytes, got {length}");
        return Err(UnreadableProperties { reason });
    }
    let read: Result<Option<Properties>, _> = serde_json::from_str(raw.get());
    read.map(Option::unwrap_or_default)
        .map_err(|error| UnreadableProperties {
            // An error about the data quotes the data, which may be secret.
            reason: if error.is_data() {
                "expected a JSON object".to_owned()
            } else {
                error.to_string()
            },
        })
}

impl Action {
    fn named(name: String) -> Self {
        match name.as_str() {
            "Create" => Self::Create,
            "Update" => Self::Update,
            "Delete" => Self::Delete,
            _ => Self::Other(name),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "Create",
            Self::Update => "Update",
            Self::Delete => "Delete",
            Self::Other(name) => name,
        })
    }
}

impl Reply {
    fn to(url: &str) -> Self {
        match Url::parse(url) {
            Ok(url) if url.has_host() => {
                remember_address(&url);
                Self::Put(url)
            }
            _ => Self::Return,
        }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Put(url) => f.debug_tuple("Put").field(&RedactedUrl::new(url)).finish(),
            Self::Return => f.write_str("Return"),
        }
    }
}

/// Without the values of properties: templates put secrets there.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |properties: &Properties| properties.keys().cloned().collect::<Vec<_>>();
        f.debug_struct("Request")
            .field("action", &self.action)
            .field("reply", &self.reply)
            .field("stack_id", &self.stack_id)
            .field("request_id", &self.request_id)
            .field("logical_resource_id", &self.logical_resource_id)
            .field("resource_type", &self.resource_type)
            .field("physical_resource_id", &self.physical_resource_id)
            .field("properties", &self.properties.as_ref().map(names))
            .field("old_properties", &names(&self.old_properties))
            .field("continuation", &self.continuation)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(event: &str) -> Result<Request, NoRequest> {
        Request::read(&RawValue::from_string(event.to_owned()).unwrap())
    }

    #[test]
    fn reads_an_update() {
        let request = read(
            r#"{"RequestType": "Update", "ResponseURL": "https://bucket.s3.amazonaws.com/a%7Cb?X=1",
                "StackId": "arn:stack", "RequestId": "id", "LogicalResourceId": "Image",
                "ResourceType": "Custom::ECRImage", "PhysicalResourceId": "old",
                "ResourceProperties": {"Source": "a"}, "OldResourceProperties": {"Source": "b"}}"#,
        )
        .unwrap();
        assert_eq!(request.action, Action::Update);
        assert_eq!(
            request.reply,
            Reply::Put("https://bucket.s3.amazonaws.com/a%7Cb?X=1".parse().unwrap())
        );
        assert_eq!(request.physical_resource_id, "old");
        assert_eq!(request.properties.unwrap()["Source"], "a");
        assert_eq!(request.old_properties["Source"], "b");
    }

    #[test]
    fn a_response_url_is_found_beside_anything() {
        for event in [
            r#"{"ResponseURL": "https://host/p", "ResourceProperties": "text"}"#.to_owned(),
            r#"{"ResponseURL": "https://host/p", "ResourceProperties": {"Source": "\ud800"}}"#
                .to_owned(),
            r#"{"ResponseURL": "https://host/p", "ResourceProperties": {"Retry": 1e999}}"#
                .to_owned(),
            format!(
                r#"{{"ResponseURL": "https://host/p", "ResourceProperties": {}1{}}}"#,
                "[".repeat(500),
                "]".repeat(500)
            ),
        ] {
            let request = read(&event).unwrap();
            assert!(matches!(request.reply, Reply::Put(_)), "{event}");
            assert!(request.properties.is_err(), "{event}");
        }
        let odd =
            r#"{"ResponseURL": "https://host/p", "RequestType": [], "StackId": 7, "x": null}"#;
        let request = read(odd).unwrap();
        assert_eq!(request.action, Action::Other(String::new()));
        assert_eq!(request.stack_id, "7");
        assert_eq!(request.properties, Ok(Properties::new()));
    }

    #[test]
    fn without_a_url_the_caller_gets_the_answer() {
        for url in ["...", "", "mailto:x", "/path"] {
            let request = read(&format!(
                r#"{{"RequestType": "Create", "ResponseURL": "{url}"}}"#
            ));
            assert_eq!(request.unwrap().reply, Reply::Return, "{url}");
        }
    }

    #[test]
    fn an_event_of_something_else_is_explained() {
        for event in ["[]", "\"text\"", "null", "{}", r#"{"key1": "value1"}"#] {
            let error = read(event).unwrap_err().to_string();
            assert!(error.contains("ServiceToken"), "{event}: {error}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let request = read(
            r#"{"RequestType": "Create", "ResponseURL": "https://h/p?X-Amz-Signature=hidden1",
                "ResourceProperties": {"SrcCreds": "user:hidden2"},
                "OldResourceProperties": {"SrcCreds": "user:hidden3"}}"#,
        )
        .unwrap();
        let shown = format!("{request:?}");
        assert!(!shown.contains("hidden"), "{shown}");
        assert!(shown.contains("SrcCreds"), "{shown}");
    }
}
