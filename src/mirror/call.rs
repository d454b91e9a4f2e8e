//! The function's interface for whoever invokes it directly: a versioned envelope.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::item::Item;
use super::plan::Cursor;
use super::run::{InvalidRun, Run};
use crate::cloudformation::Continuation;

/// The version of the envelope.
pub const VERSION: u64 = 1;

/// One direct invocation.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The run that it is part of.
    pub run: Run,
    /// The operation.
    pub operation: Operation,
}

/// The operation.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "Operation", rename_all = "lowercase")]
pub enum Operation {
    /// Finds out what the destinations lack: one page of it.
    Plan {
        /// The end of the page before.
        #[serde(rename = "Cursor", default)]
        cursor: Option<Cursor>,
    },
    /// Copies one item, or goes on with it.
    Copy {
        /// The item.
        #[serde(rename = "Item")]
        item: Item,
        /// The work that an invocation before has done.
        #[serde(rename = "Checkpoint", default)]
        checkpoint: Option<Continuation>,
    },
    /// Notes how an item failed.
    Record {
        /// The item.
        #[serde(rename = "Item")]
        item: Item,
        /// Its failure.
        #[serde(rename = "Error")]
        error: Caught,
    },
    /// Writes the run's report, prunes, and answers whoever waits.
    Report {
        /// The failure that ended the run early.
        #[serde(rename = "Error", default)]
        error: Option<Caught>,
    },
    /// Answers whoever waits for a run that ended without a report.
    Ended {
        /// The execution's status, such as `ABORTED`.
        #[serde(rename = "Status")]
        status: String,
    },
}

/// A failure as Step Functions catches it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Caught {
    /// The error's name.
    #[serde(default)]
    pub error: String,
    /// Its cause: of a function, the JSON that it failed with.
    #[serde(default)]
    pub cause: String,
}

impl Caught {
    /// The cause in words: of a function, its own message.
    pub fn reason(&self) -> String {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct OfFunction {
            error_message: String,
        }
        let of_function: Option<OfFunction> = serde_json::from_str(&self.cause).ok();
        let words = of_function.map_or_else(|| self.cause.clone(), |failed| failed.error_message);
        match (words.is_empty(), self.error.as_str()) {
            (false, _) => words,
            (true, "States.Timeout") => "it took longer than the state machine allows".to_owned(),
            (true, error) => format!("it ended by {error}"),
        }
    }
}

/// A direct invocation that cannot be understood.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidCall {
    /// Another version than this function's.
    #[error(
        "this function knows version {VERSION} of the envelope, got LongshoreVersion {version}: \
         deploy the function and template/mirror.yaml from the same release"
    )]
    Version {
        /// The version that was given.
        version: String,
    },
    /// An operation that does not exist, or one that lacks something.
    #[error(
        "the envelope cannot be read: expected an Operation of plan, copy, record, report or \
         ended, with what each takes"
    )]
    Malformed(#[source] serde_json::Error),
    /// Names that cannot be used.
    #[error(transparent)]
    Run(#[from] InvalidRun),
}

impl Call {
    /// Reads an event. `None`: it is no direct invocation.
    pub fn read(event: &RawValue) -> Option<Result<Self, InvalidCall>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Head {
            longshore_version: Value,
        }
        let head: Head = serde_json::from_str(event.get()).ok()?;
        if head.longshore_version.as_u64() != Some(VERSION) {
            let version = head.longshore_version.to_string();
            return Some(Err(InvalidCall::Version { version }));
        }
        Some(Self::of(event))
    }

    /// Reads the record of an asynchronous invocation that failed, as the queue of the template
    /// brings it: the call is to be made again. `None`: it is no record of a direct invocation.
    pub fn of_record(event: &RawValue) -> Option<Result<Self, InvalidCall>> {
        #[derive(Deserialize)]
        struct Batch {
            #[serde(rename = "Records")]
            records: [Message; 1],
        }
        #[derive(Deserialize)]
        struct Message {
            body: String,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Record {
            request_payload: Box<RawValue>,
        }
        let batch: Batch = serde_json::from_str(event.get()).ok()?;
        let [message] = batch.records;
        let record: Record = serde_json::from_str(&message.body).ok()?;
        Self::read(&record.request_payload)
    }

    fn of(event: &RawValue) -> Result<Self, InvalidCall> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Body {
            run: Run,
            #[serde(flatten)]
            operation: Operation,
        }
        let body: Body = serde_json::from_str(event.get()).map_err(InvalidCall::Malformed)?;
        body.run.check()?;
        Ok(Self {
            run: body.run,
            operation: body.operation,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(event: &Value) -> Option<Result<Call, InvalidCall>> {
        Call::read(&RawValue::from_string(event.to_string()).unwrap())
    }

    #[test]
    fn events_of_others_are_left_alone() {
        for event in [
            json!({}),
            json!({"RequestType": "Create"}),
            json!([]),
            json!("x"),
        ] {
            assert!(read(&event).is_none(), "{event}");
        }
    }

    #[test]
    fn a_record_of_a_call_is_that_call() {
        let call = json!({
            "LongshoreVersion": 1, "Operation": "ended", "Status": "ABORTED",
            "Run": {"Bucket": "b", "Id": "r", "Input": {}},
        });
        let record = |payload: &Value| {
            let body = json!({"requestContext": {"requestId": "i"}, "requestPayload": payload});
            let batch = json!({"Records": [{"messageId": "m", "body": body.to_string()}]});
            Call::of_record(&RawValue::from_string(batch.to_string()).unwrap())
        };
        let read_again = record(&call).unwrap().unwrap();
        assert_eq!(read_again, read(&call).unwrap().unwrap());
        assert!(record(&json!({"RequestType": "Create"})).is_none());
        let call = RawValue::from_string(call.to_string()).unwrap();
        assert!(Call::of_record(&call).is_none());
    }

    #[test]
    fn operations_are_told_apart() {
        let run = json!({"Bucket": "b", "Id": "r", "Input": {}});
        let call = |body: Value| {
            let mut event = json!({"LongshoreVersion": 1, "Run": run});
            event
                .as_object_mut()
                .unwrap()
                .extend(body.as_object().unwrap().clone());
            read(&event).unwrap().unwrap().operation
        };
        assert_eq!(
            call(json!({"Operation": "plan", "Cursor": null})),
            Operation::Plan { cursor: None }
        );
        assert_eq!(
            call(json!({"Operation": "report", "Error": null})),
            Operation::Report { error: None }
        );
        let ended = call(json!({"Operation": "ended", "Status": "ABORTED"}));
        assert!(matches!(ended, Operation::Ended { status } if status == "ABORTED"));
    }

    #[test]
    fn what_cannot_be_understood_is_said() {
        let run = json!({"Bucket": "b", "Id": "r"});
        for (event, part) in [
            (
                json!({"LongshoreVersion": 2, "Run": run, "Operation": "plan"}),
                "version 1",
            ),
            (
                json!({"LongshoreVersion": "1", "Run": run, "Operation": "plan"}),
                "same release",
            ),
            (
                json!({"LongshoreVersion": 1, "Run": run, "Operation": "fly"}),
                "plan, copy",
            ),
            (
                json!({"LongshoreVersion": 1, "Operation": "plan"}),
                "cannot be read",
            ),
            (
                json!({"LongshoreVersion": 1, "Run": run, "Operation": "copy"}),
                "what each takes",
            ),
            (
                json!({"LongshoreVersion": 1, "Run": {"Bucket": "b", "Id": "../r"}, "Operation": "plan"}),
                "cannot be the Id",
            ),
        ] {
            let error = read(&event).unwrap().unwrap_err().to_string();
            assert!(error.contains(part), "{event}: {error}");
        }
    }

    #[test]
    fn a_functions_own_message_is_the_reason() {
        let caught = |error: &str, cause: &str| Caught {
            error: error.to_owned(),
            cause: cause.to_owned(),
        };
        let of_function = r#"{"errorType":"Longshore.Denied","errorMessage":"it is denied"}"#;
        assert_eq!(
            caught("Longshore.Denied", of_function).reason(),
            "it is denied"
        );
        assert_eq!(caught("X", "plain words").reason(), "plain words");
        assert!(caught("States.Timeout", "").reason().contains("longer"));
    }
}
