//! What the log says where an answer cannot be delivered. Where a fault is overcome, the answer is
//! there.

use std::time::Duration;

use futures_util::future::join_all;
use longshore::cloudformation::{Delivery, Handler, Invocation, log_subscriber};
use longshore::local::ResponseUrl;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::level_filters::LevelFilter;

use super::check;
use super::wrongs::{self, Wrong};
use crate::support::{Lines, follow};

/// What a function has, which tries again until the end of it.
const TIME: Duration = Duration::from_secs(3);

/// Answers without anything done by which an answer is taken, or was before.
const TAKEN: [&str; 4] = ["200 with an error", "204", "206", "412"];

/// Why an answer is not delivered. `None`: it is.
fn told(wrong: &Wrong) -> Option<&'static str> {
    Some(match wrong.name {
        "400" => "answered 400 Bad Request: it expires",
        "401" => "answered 401 Unauthorized: it expires",
        "403" => "answered 403 Forbidden: it expires",
        "404" => "answered 404 Not Found: it expires",
        "405" => "answered 405 Method Not Allowed: it expires",
        "409" => "attempts: the server answered 409 Conflict",
        "413" => "answered 413 Payload Too Large: it expires",
        "416" => "answered 416 Range Not Satisfiable: it expires",
        "418" => "answered 418 I'm a teapot: it expires",
        "501" => "answered 501 Not Implemented: it expires",
        "300" => "answered 300 Multiple Choices: it expires",
        "304" => "answered 304 Not Modified: it expires",
        "429" | "429 that asks to wait for too long" => {
            "attempts: the server answered 429 Too Many Requests"
        }
        "500" => "attempts: the server answered 500 Internal Server Error",
        "502" => "attempts: the server answered 502 Bad Gateway",
        "503" => "attempts: the server answered 503 Service Unavailable",
        "504" => "attempts: the server answered 504 Gateway Timeout",
        "a page, 200" | "a page, 403" | "a page, 404" | "a page, 502" => {
            "a page was answered (text/html), as by a proxy"
        }
        "a redirect to itself"
        | "a redirect to a dead port"
        | "a redirect to no host"
        | "a redirect to the metadata"
        | "a redirect without TLS" => "answered 307 Temporary Redirect: it expires",
        "an answer that is no HTTP" => "failed on the way: its answer is no HTTP",
        "an answer that is cut in its head"
        | "a dropped connection"
        | "a dropped answer"
        | "a request that is cut" => "failed on the way: the connection broke",
        "a hang" | "a trickle" => {
            "a function in a VPC needs a NAT gateway or an S3 endpoint that lets CloudFormation's \
             buckets pass: no answer in time"
        }
        _ => return None,
    })
}

/// Has a function answer that it cannot work, to a server where something is wrong. Gives the
/// answers that the server has.
async fn answered(wrong: &Wrong) -> usize {
    let server = ResponseUrl::start().await.expect("a free port");
    let fault = (wrong.fault)();
    server.faults().add(fault.on("PUT", "").times(99));
    let reason = Box::from("it is a test");
    let handler = Handler::not_set_up(reason, Delivery::new(true).expect("a client"));
    let event = json!({
        "RequestType": "Create",
        "RequestId": wrong.name,
        "StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/example/1",
        "LogicalResourceId": "Image",
        "ResourceType": "Custom::ECRImage",
        "ResponseURL": server.url(),
        "ResourceProperties": {},
    });
    let event = RawValue::from_string(event.to_string()).expect("JSON");
    let invocation = Invocation {
        id: wrong.name.to_owned(),
        deadline: Instant::now() + TIME,
        function: String::new(),
        log_group: String::new(),
    };
    // What it comes to is logged.
    let _ = handler.handle(&event, &invocation).await;
    server.answers().len()
}

/// The lines of one request that tell of an answer which could not be delivered.
fn undelivered(logged: &str, wrong: &Wrong) -> Vec<Value> {
    let lines = logged.lines().map(|line| line.parse().expect("JSON"));
    let mut lines: Vec<Value> = lines.collect();
    lines.retain(|line| {
        line["message"] == "the answer could not be delivered"
            && line["spans"][0]["request_id"] == wrong.name
    });
    lines
}

#[tokio::test]
async fn an_answer_that_cannot_be_delivered_is_logged_with_the_reason() {
    let lines = Lines::default();
    let _logging = follow(log_subscriber(LevelFilter::INFO, true, lines.clone()));
    let mut wrongs = wrongs::all();
    wrongs.retain(Wrong::is_everywhere);
    let answers = join_all(wrongs.iter().map(answered)).await;
    let logged = lines.text();
    let mut strange = Vec::new();
    for (wrong, answers) in wrongs.iter().zip(answers) {
        let undelivered = undelivered(&logged, wrong);
        match (told(wrong), undelivered.as_slice()) {
            (Some(words), [line]) => {
                let error = line["error"].as_str().unwrap_or_default();
                let never: &[&str] = if wrong.hangs {
                    &[]
                } else {
                    &["NAT gateway", "VPC"]
                };
                strange.extend(check(wrong.name, error, &["the ResponseURL", words], never));
                let answer = line["answer"].as_str().unwrap_or_default();
                strange.extend(check(wrong.name, answer, &["FAILED"], &[]));
            }
            (None, []) if answers == 1 || TAKEN.contains(&wrong.name) => {}
            _ => strange.push(format!(
                "{}: {answers} answers, {undelivered:?}",
                wrong.name
            )),
        }
    }
    assert!(strange.is_empty(), "{}", strange.join("\n"));
}
