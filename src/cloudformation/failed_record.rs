//! Records of invocations that failed as a whole: Lambda ended the process, or dropped the event.
//!
//! Lambda writes such a record to the function's failure destination, with the event inside
//! ([asynchronous invocation records](https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html)).
//! The template's destination is a queue that invokes the function again, so that the request is
//! answered although its own invocation died.

use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::text;
use crate::redact::scrub;

/// Longest part of Lambda's own words that is repeated.
const MAX_WORDS: usize = 300;

/// A record, and the message of the queue that it came in.
pub(super) struct Message {
    /// The message's ID. Empty where the record came without a queue.
    pub(super) id: String,
    /// The record, or the reason why there is none.
    pub(super) record: Result<FailedRecord, UnreadableRecord>,
}

/// What Lambda records of an invocation that failed.
pub(super) struct FailedRecord {
    /// The event of that invocation.
    pub(super) event: Box<RawValue>,
    /// The ID of that invocation.
    pub(super) invocation: String,
    /// The way in which it ended.
    pub(super) end: End,
}

/// The way in which an invocation ended that did not end by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The process used more memory than the function has.
    OutOfMemory,
    /// The function's time was up.
    TimedOut,
    /// The process was killed, which Lambda does most often for its memory.
    Killed,
    /// The process ended by itself. Holds Lambda's words.
    Crashed(String),
    /// The function returned an error. Holds its words.
    Returned(String),
    /// Lambda never began the invocation.
    NeverBegun,
}

/// A message that holds no record of a failed invocation.
#[derive(Debug, thiserror::Error)]
#[error("the message is not a record of a failed invocation")]
pub(super) struct UnreadableRecord(#[source] serde_json::Error);

/// The records in `event`, which is a batch of the queue or one record. `None` where it is
/// neither.
pub(super) fn read(event: &RawValue) -> Option<Vec<Message>> {
    if let Ok(batch) = serde_json::from_str::<Batch>(event.get())
        && batch.records.iter().all(QueueMessage::is_of_sqs)
        && !batch.records.is_empty()
    {
        return Some(batch.records.into_iter().map(QueueMessage::open).collect());
    }
    let record = parse(event.get()).ok()?;
    Some(vec![Message {
        id: String::new(),
        record: Ok(record),
    }])
}

fn parse(text: &str) -> Result<FailedRecord, UnreadableRecord> {
    let record: Record = serde_json::from_str(text).map_err(UnreadableRecord)?;
    let end = record.end();
    Ok(FailedRecord {
        event: record.request_payload,
        invocation: record.request_context.request_id,
        end,
    })
}

/// An event of SQS ([its form](https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html)).
#[derive(Deserialize)]
struct Batch {
    #[serde(rename = "Records")]
    records: Vec<QueueMessage>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct QueueMessage {
    message_id: String,
    event_source: String,
    body: String,
}

impl QueueMessage {
    fn is_of_sqs(&self) -> bool {
        self.event_source == "aws:sqs"
    }

    fn open(self) -> Message {
        Message {
            record: parse(&self.body),
            id: self.message_id,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    request_context: RequestContext,
    request_payload: Box<RawValue>,
    #[serde(default)]
    response_context: Option<ResponseContext>,
    #[serde(default)]
    response_payload: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext {
    #[serde(default)]
    request_id: String,
    condition: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResponseContext {
    #[serde(default)]
    function_error: Option<String>,
}

impl Record {
    fn end(&self) -> End {
        let words = self.payload("errorMessage");
        let kind = self.payload("errorType");
        let function_error = self
            .response_context
            .as_ref()
            .and_then(|context| context.function_error.as_deref());
        if self.request_context.condition == "EventAgeExceeded" || function_error.is_none() {
            return End::NeverBegun;
        }
        if kind == "Runtime.OutOfMemory" {
            return End::OutOfMemory;
        }
        if kind == "Sandbox.Timedout" || words.contains("Task timed out after") {
            return End::TimedOut;
        }
        if words.contains("signal: killed") {
            return End::Killed;
        }
        let ended = ["Runtime.", "Sandbox.", "Extension."];
        let by_lambda = ended.iter().any(|ended| kind.starts_with(ended))
            || words.contains("Process exited before completing request");
        if by_lambda || kind.is_empty() {
            return End::Crashed(shown(words));
        }
        End::Returned(shown(words))
    }

    fn payload(&self, name: &str) -> &str {
        let payload = self.response_payload.as_ref();
        let value = payload.and_then(|payload| payload.get(name)?.as_str());
        value.unwrap_or_default()
    }
}

fn shown(words: &str) -> String {
    let mut shown = text::plain(&scrub(words));
    text::truncate(&mut shown, MAX_WORDS);
    shown
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfMemory => f.write_str(
                "Lambda ended the function because it ran out of memory: give it more memory, or \
                 lower MaxConcurrency",
            ),
            Self::TimedOut => f.write_str(
                "Lambda ended the function because its time was up: give it more time, and see in \
                 its log what it waited for",
            ),
            Self::Killed => f.write_str(
                "the function's process was killed, most often because it ran out of memory: give \
                 it more memory, or lower MaxConcurrency",
            ),
            Self::Crashed(words) if words.is_empty() => f.write_str(
                "the function's process crashed: deploy again, and report it with the log if it \
                 crashes again",
            ),
            Self::Crashed(words) => write!(
                f,
                "the function's process crashed ({words}): deploy again, and report it with the \
                 log if it crashes again"
            ),
            Self::Returned(words) => write!(
                f,
                "the function could not answer ({words}): see its log for what became of the work"
            ),
            Self::NeverBegun => f.write_str(
                "Lambda dropped the event before the function ran, because it was throttled for \
                 too long: raise ReservedConcurrency or the account's limit, and deploy again",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn record(condition: &str, error: Option<&str>, payload: &Value) -> Value {
        json!({
            "version": "1.0",
            "timestamp": "2026-11-14T18:16:05.568Z",
            "requestContext": {
                "requestId": "e4b46cbf-b738-xmpl-8880-a18cdf61200e",
                "functionArn": "arn:aws:lambda:eu-west-1:123456789012:function:longshore:$LATEST",
                "condition": condition,
                "approximateInvokeCount": 1,
            },
            "requestPayload": {"RequestType": "Create", "ResponseURL": "https://h/p?a=%2B"},
            "responseContext": {
                "statusCode": 200, "executedVersion": "$LATEST", "functionError": error,
            },
            "responsePayload": payload,
        })
    }

    fn only(event: &Value) -> Message {
        let event = RawValue::from_string(event.to_string()).unwrap();
        let [message] = <[Message; 1]>::try_from(read(&event).unwrap())
            .ok()
            .unwrap();
        message
    }

    fn end(condition: &str, error: Option<&str>, payload: &Value) -> End {
        only(&record(condition, error, payload)).record.unwrap().end
    }

    #[test]
    fn the_end_is_told_from_the_words_of_lambda() {
        let failed = |payload: Value| end("RetriesExhausted", Some("Unhandled"), &payload);
        let of =
            |kind: &str, message: &str| failed(json!({"errorType": kind, "errorMessage": message}));
        let killed = "RequestId: 1 Error: Runtime exited with error: signal: killed";
        assert_eq!(of("Runtime.OutOfMemory", killed), End::OutOfMemory);
        assert_eq!(of("Runtime.ExitError", killed), End::Killed);
        let timed_out = "2026-11-14T18:16:05.568Z 1 Task timed out after 3.00 seconds";
        assert_eq!(failed(json!({"errorMessage": timed_out})), End::TimedOut);
        let timed_out = "RequestId: 1 Error: Task timed out after 3.00 seconds";
        assert_eq!(of("Sandbox.Timedout", timed_out), End::TimedOut);
        let exited = "RequestId: 1 Error: Runtime exited with error: exit status 101";
        assert_eq!(
            of("Runtime.ExitError", exited),
            End::Crashed(exited.to_owned())
        );
        let exited = "RequestId: 1 Process exited before completing request";
        assert_eq!(
            failed(json!({"errorMessage": exited})),
            End::Crashed(exited.to_owned())
        );
        assert_eq!(
            of(
                "&Error",
                "the answer to https://h/p?X-Amz-Signature=1 was not sent"
            ),
            End::Returned("the answer to https://h/p?[redacted] was not sent".to_owned())
        );
        assert_eq!(end("EventAgeExceeded", None, &Value::Null), End::NeverBegun);
        assert_eq!(failed(Value::Null), End::Crashed(String::new()));
    }

    #[test]
    fn a_batch_of_the_queue_holds_records() {
        let record = record("RetriesExhausted", Some("Unhandled"), &json!({}));
        let message = only(&json!({"Records": [{
            "messageId": "m", "receiptHandle": "h", "eventSource": "aws:sqs",
            "body": record.to_string(),
        }]}));
        assert_eq!(message.id, "m");
        let read = message.record.unwrap();
        assert_eq!(read.invocation, "e4b46cbf-b738-xmpl-8880-a18cdf61200e");
        assert!(read.event.get().contains("a=%2B"), "{}", read.event);
    }

    #[test]
    fn a_message_of_somebody_else_is_no_record() {
        let message = only(&json!({"Records": [{
            "messageId": "m", "eventSource": "aws:sqs", "body": "{\"RequestType\": \"Create\"}",
        }]}));
        assert!(message.record.is_err());
    }

    #[test]
    fn an_event_of_cloudformation_is_no_record() {
        for event in [
            json!({"RequestType": "Create", "ResponseURL": "https://h/p"}),
            json!({"Records": []}),
            json!({"Records": [{"Sns": {"Message": "{}"}}]}),
            json!([]),
        ] {
            let raw = RawValue::from_string(event.to_string()).unwrap();
            assert!(read(&raw).is_none(), "{event}");
        }
    }

    proptest! {
        #[test]
        fn any_body_is_read_or_refused(body in "\\PC{0,200}|[{}\\[\\]\":,a-z]{0,200}") {
            let message = only(&json!({"Records": [{
                "messageId": "m", "eventSource": "aws:sqs", "body": body,
            }]}));
            prop_assert_eq!(message.id, "m");
        }

        #[test]
        fn any_words_fit_a_sentence(kind in "\\PC{0,40}", words in "\\PC{0,2000}") {
            let payload = json!({"errorType": kind, "errorMessage": words});
            let sentence = end("RetriesExhausted", Some("Unhandled"), &payload).to_string();
            prop_assert!(sentence.len() < 2 * MAX_WORDS + 200);
        }
    }
}
