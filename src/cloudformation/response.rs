//! The answer to CloudFormation, within its limits.

use serde::Serialize;
use serde_json::{Value, json};

use super::request::Request;
use super::text;

/// Longest body that CloudFormation takes, in bytes
/// ([response objects](https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-responses.html)).
const MAX_BODY: usize = 4096;
/// Longest `PhysicalResourceId` that CloudFormation takes, in bytes.
const MAX_PHYSICAL_ID: usize = 1024;
/// Longest of the texts that are repeated from the request. CloudFormation's own are far shorter;
/// this keeps the body in bounds whatever an event holds.
const MAX_ECHO: usize = 400;
/// Longest reason given to a caller that wraps it into an answer of its own, as JSON.
pub(super) const MAX_RETURNED_REASON: usize = 2048;
/// What a caller's own answer may have beside the members of this one.
const MAX_WRAPPING: usize = 64;

/// What `Fn::GetAtt` finds: names and values. A name that does not apply to an image is there
/// with an empty value, so that a template which asks for it does not fail.
pub type Attributes = Vec<(&'static str, String)>;

/// The answer to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What the resource is called from now on. `Ref` gives it.
    pub physical_resource_id: String,
    /// What came of the request.
    pub outcome: Outcome,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Success(Attributes),
    /// It is not, for this reason: a sentence and its causes, fit to be shown.
    Failed(String),
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Body<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    physical_resource_id: &'a str,
    stack_id: &'a str,
    request_id: &'a str,
    logical_resource_id: &'a str,
    no_echo: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<serde_json::Map<String, Value>>,
}

impl Answer {
    /// `SUCCESS` or `FAILED`.
    pub fn status(&self) -> &'static str {
        match self.outcome {
            Outcome::Success(_) => "SUCCESS",
            Outcome::Failed(_) => "FAILED",
        }
    }

    /// The JSON of the answer to `request`, at most 4096 bytes long. The reason is cut first,
    /// then the longest attributes.
    pub fn body(&self, request: &Request) -> String {
        let echo = |text: &str| fitting(text, MAX_ECHO);
        let physical_id = fitting(&self.physical_resource_id, MAX_PHYSICAL_ID);
        let (stack_id, request_id, logical_resource_id) = (
            echo(&request.stack_id),
            echo(&request.request_id),
            echo(&request.logical_resource_id),
        );
        let body = |reason: Option<&str>, data: Option<&Attributes>| {
            let body = Body {
                status: self.status(),
                reason,
                physical_resource_id: &physical_id,
                stack_id: &stack_id,
                request_id: &request_id,
                logical_resource_id: &logical_resource_id,
                no_echo: false,
                data: data.map(to_map),
            };
            // Text as keys and values: nothing here can fail to be JSON.
            json!(body).to_string()
        };
        match &self.outcome {
            Outcome::Failed(reason) => {
                let reason = text::plain(reason);
                let room = MAX_BODY.saturating_sub(body(Some(""), None).len());
                body(Some(&fitting(&reason, room)), None)
            }
            Outcome::Success(attributes) => {
                let room = MAX_BODY.saturating_sub(body(None, Some(&Vec::new())).len());
                body(None, Some(&bounded(attributes.clone(), room)))
            }
        }
    }

    /// What a caller that answers CloudFormation itself takes, such as the provider framework of
    /// the CDK; or the reason of the failure. The caller's answer to `request` has its limits too.
    pub fn returned(&self, request: &Request) -> Result<Value, String> {
        match &self.outcome {
            Outcome::Success(attributes) => {
                let empty = Self {
                    outcome: Outcome::Success(Attributes::new()),
                    ..self.clone()
                };
                let taken = empty.body(request).len() + MAX_WRAPPING;
                let room = MAX_BODY.saturating_sub(taken);
                Ok(json!({
                    "PhysicalResourceId": fitting(&self.physical_resource_id, MAX_PHYSICAL_ID),
                    "Data": to_map(&bounded(attributes.clone(), room)),
                    "NoEcho": false,
                }))
            }
            Outcome::Failed(reason) => Err(fitting(&text::plain(reason), MAX_RETURNED_REASON)),
        }
    }
}

fn to_map(attributes: &Attributes) -> serde_json::Map<String, Value> {
    attributes
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str())))
        .collect()
}

/// Shortens the longest values until the attributes fit into `room` bytes of JSON.
fn bounded(mut attributes: Attributes, room: usize) -> Attributes {
    let size = |attributes: &Attributes| json!(to_map(attributes)).to_string().len();
    while size(&attributes) > room {
        let over = size(&attributes) - room;
        let Some((_, longest)) = attributes
            .iter_mut()
            .max_by_key(|(_, value)| escaped_len(value))
            .filter(|(_, value)| !value.is_empty())
        else {
            break;
        };
        *longest = fitting(longest, escaped_len(longest).saturating_sub(over));
    }
    attributes
}

/// `text`, cut so that it takes at most `max` bytes as a JSON string, without the quotes.
fn fitting(text: &str, max: usize) -> String {
    let mut cut = text.to_owned();
    text::truncate(&mut cut, max);
    while escaped_len(&cut) > max {
        let over = escaped_len(&cut) - max;
        // One byte of text takes up to six of JSON, so this never cuts more than is needed.
        let keep = cut.len().saturating_sub(over.div_ceil(6).max(4));
        text::truncate(&mut cut, keep);
    }
    cut
}

fn escaped_len(text: &str) -> usize {
    Value::from(text).to_string().len() - 2
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    fn request(event: &Value) -> Request {
        Request::read(&RawValue::from_string(event.to_string()).unwrap()).unwrap()
    }

    fn answer(outcome: Outcome) -> Answer {
        Answer {
            physical_resource_id: "host/app@sha256:0".to_owned(),
            outcome,
        }
    }

    fn parsed(body: &str) -> Value {
        assert!(body.len() <= MAX_BODY, "{} bytes", body.len());
        serde_json::from_str(body).unwrap()
    }

    #[test]
    fn success_repeats_the_request_and_carries_the_attributes() {
        let request = request(&json!({
            "RequestType": "Create", "StackId": "arn:s", "RequestId": "r", "LogicalResourceId": "L",
        }));
        let attributes = vec![("ImageUri", "host/app@sha256:0".to_owned())];
        let body = parsed(&answer(Outcome::Success(attributes)).body(&request));
        assert_eq!(
            body,
            json!({
                "Status": "SUCCESS", "PhysicalResourceId": "host/app@sha256:0", "StackId": "arn:s",
                "RequestId": "r", "LogicalResourceId": "L", "NoEcho": false,
                "Data": {"ImageUri": "host/app@sha256:0"},
            })
        );
    }

    #[test]
    fn a_long_reason_keeps_its_beginning() {
        let request = request(&json!({"RequestType": "Create", "RequestId": "r"}));
        let reason = format!("First \"this\"\n\x1b[1mand\x1b[0m. {}", "ö\"".repeat(9000));
        let text = answer(Outcome::Failed(reason)).body(&request);
        let body = parsed(&text);
        let reason = body["Reason"].as_str().unwrap();
        assert!(reason.starts_with("First \"this\" and. ö\"ö"), "{reason}");
        assert!(reason.ends_with('…'));
        assert!(text.len() > MAX_BODY - 16, "{} bytes", text.len());
    }

    #[test]
    fn the_longest_attribute_is_cut_and_the_others_stay() {
        let request = request(&json!({"RequestType": "Create"}));
        let attributes = vec![("A", "short".to_owned()), ("B", "x".repeat(9000))];
        let body = parsed(&answer(Outcome::Success(attributes)).body(&request));
        assert_eq!(body["Data"]["A"], "short");
        assert!(body["Data"]["B"].as_str().unwrap().len() > 3500);
    }

    #[test]
    fn a_caller_gets_the_result_or_the_reason() {
        let request = request(&json!({"RequestType": "Create", "StackId": "arn:s"}));
        let attributes = vec![("ImageUri", "u".to_owned())];
        let value = answer(Outcome::Success(attributes)).returned(&request);
        assert_eq!(value.unwrap()["Data"]["ImageUri"], "u");
        let reason = answer(Outcome::Failed("\"no\"".repeat(9000))).returned(&request);
        assert!(escaped_len(&reason.unwrap_err()) <= MAX_RETURNED_REASON);
    }

    #[test]
    fn what_a_caller_gets_fits_into_its_own_answer() {
        let request = request(&json!({
            "RequestType": "Create", "StackId": "s".repeat(300), "RequestId": "r".repeat(36),
            "LogicalResourceId": "l".repeat(255),
        }));
        let attributes = vec![("A", "short".to_owned()), ("B", "x".repeat(9000))];
        let returned = answer(Outcome::Success(attributes))
            .returned(&request)
            .unwrap();
        assert_eq!(returned["Data"]["A"], "short");
        // What the framework of the CDK makes of it.
        let wrapped = json!({
            "Status": "SUCCESS", "Reason": "SUCCESS", "StackId": request.stack_id,
            "RequestId": request.request_id, "LogicalResourceId": request.logical_resource_id,
            "PhysicalResourceId": returned["PhysicalResourceId"], "Data": returned["Data"],
        });
        let length = wrapped.to_string().len();
        assert!(
            (MAX_BODY - 200..=MAX_BODY).contains(&length),
            "{length} bytes"
        );
    }

    proptest! {
        #[test]
        fn the_body_is_valid_and_bounded(
            echoes in prop::collection::vec("\\PC{0,900}|[\\x00-\\x7f]{0,900}", 4),
            reason in "\\PC{0,5000}|[\\x00-\\x7f]{0,5000}",
            values in prop::collection::vec("\\PC{0,3000}|[\\x00-\\x7f]{0,3000}", 0..4),
        ) {
            let request = request(&json!({
                "RequestType": "Create", "StackId": echoes[0], "RequestId": echoes[1],
                "LogicalResourceId": echoes[2],
            }));
            let names = ["A", "B", "C", "D"];
            let outcomes = [
                Outcome::Failed(reason),
                Outcome::Success(names.into_iter().zip(values).collect()),
            ];
            for outcome in outcomes {
                let answer = Answer { physical_resource_id: echoes[3].clone(), outcome };
                let body = answer.body(&request);
                prop_assert!(body.len() <= MAX_BODY);
                prop_assert!(serde_json::from_str::<Value>(&body).is_ok());
            }
        }
    }
}
