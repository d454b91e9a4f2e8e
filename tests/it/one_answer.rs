//! A request gets one answer: the same again where it is sent again, never a different one.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use longshore::cloudformation::{Delivery, Handler, Invocation};
use longshore::local::{Fault, ResponseUrl};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{Archive, Bench, HOST};

const ARCHIVE: &str = "app.tar";

type MakeFault = fn() -> Option<Fault>;

/// What happens to the answer on its way.
const ON_THE_WAY: [(&str, MakeFault); 7] = [
    ("nothing", || None),
    ("the receipt is lost", || {
        Some(Fault::drop_answer().times(2))
    }),
    ("the receipt is cut off", || {
        Some(Fault::cut_answer(0).times(2))
    }),
    ("a trickle", || {
        Some(Fault::pace(NonZeroU64::new(200).expect("a pace")).times(2))
    }),
    ("a hang", || Some(Fault::hang())),
    ("an error that passes", || Some(Fault::answer(503).times(2))),
    ("a page", || Some(Fault::page(200).times(2))),
];

/// What changes between the first delivery of an event and the second.
#[derive(Clone, Copy, Debug)]
enum Change {
    Nothing,
    SourceGone,
    SourceComes,
}

struct Stack {
    bench: Bench,
    response_url: ResponseUrl,
    event: Box<RawValue>,
}

impl Stack {
    async fn new() -> Self {
        let response_url = ResponseUrl::start().await.expect("a ResponseURL");
        let event = json!({
            "RequestType": "Create",
            "RequestId": "request",
            "StackId": "stack",
            "ResponseURL": response_url.url(),
            "ResourceType": "Custom::ECRImage",
            "LogicalResourceId": "Image",
            "ResourceProperties": {
                "Source": format!("s3://images/{ARCHIVE}"),
                "Destination": format!("{HOST}/app:1"),
                "Retry": "1",
            },
        });
        Self {
            bench: Bench::new().await,
            response_url,
            event: RawValue::from_string(event.to_string()).expect("an event"),
        }
    }

    fn stage(&self, is_there: bool) {
        let archive = if is_there {
            Archive::of(&[b"layer"]).tar()
        } else {
            Vec::new()
        };
        self.bench.stage(ARCHIVE, &archive);
    }

    /// Has a handler of its own work on the event, as in another process.
    async fn deliver(&self) {
        let delivery = Delivery::new(true).expect("a client");
        let deployer = self.bench.deployer.clone();
        let handler = Handler::new(Arc::new(deployer), delivery);
        let invocation = Invocation {
            id: "invocation".to_owned(),
            deadline: Instant::now() + Duration::from_secs(20),
            function: String::new(),
            log_group: String::new(),
        };
        let answered = handler.handle(&self.event, &invocation).await;
        answered.expect("an answer");
    }

    /// The answers, each once.
    fn distinct_answers(&self) -> Vec<Bytes> {
        let answers = self.response_url.answers().into_iter();
        let mut bodies: Vec<_> = answers.map(|answer| answer.body).collect();
        bodies.sort();
        bodies.dedup();
        bodies
    }
}

/// The status of the only answer.
fn status(row: &str, answers: &[Bytes]) -> String {
    let [only] = answers else {
        panic!("{row}: {answers:?}");
    };
    let answer: Value = serde_json::from_slice(only).expect("an answer in JSON");
    answer["Status"].as_str().expect("a status").to_owned()
}

#[tokio::test]
async fn another_delivery_never_gets_a_different_answer() {
    let mut rows = Vec::new();
    for (name, fault) in ON_THE_WAY {
        for change in [Change::Nothing, Change::SourceGone, Change::SourceComes] {
            rows.push(async move {
                let row = format!("{name}, {change:?}");
                let stack = Stack::new().await;
                stack.stage(!matches!(change, Change::SourceComes));
                if let Some(fault) = fault() {
                    stack.response_url.faults().add(fault);
                }
                stack.deliver().await;
                let first = status(&row, &stack.distinct_answers());
                stack.stage(!matches!(change, Change::SourceGone));
                stack.deliver().await;
                assert_eq!(status(&row, &stack.distinct_answers()), first, "{row}");
                let expected = match change {
                    Change::SourceComes => "FAILED",
                    Change::Nothing | Change::SourceGone => "SUCCESS",
                };
                assert_eq!(first, expected, "{row}");
            });
        }
    }
    futures_util::future::join_all(rows).await;
}

#[tokio::test]
async fn two_deliveries_at_the_same_time_get_one_answer() {
    for (name, fault) in ON_THE_WAY {
        let stack = Stack::new().await;
        stack.stage(true);
        if let Some(fault) = fault() {
            stack.response_url.faults().add(fault);
        }
        tokio::join!(stack.deliver(), stack.deliver());
        assert_eq!(status(name, &stack.distinct_answers()), "SUCCESS");
    }
}
