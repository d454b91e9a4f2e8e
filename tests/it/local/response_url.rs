//! The embedded receiver of CloudFormation's answers.

use std::time::Duration;

use longshore::local::{Fault, ResponseUrl};
use reqwest::header::{CONTENT_TYPE, IF_NONE_MATCH};
use reqwest::{Client, StatusCode};

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn takes_an_answer_as_cloudformation_asks_for_it() {
    let receiver = ResponseUrl::start().await.unwrap();
    let put = |body: &'static str| Client::new().put(receiver.url()).body(body);
    let refused = put("x")
        .header(CONTENT_TYPE, "application/json")
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert!(receiver.answers().is_empty());

    let sent = put("first").header(CONTENT_TYPE, "").send().await.unwrap();
    assert_eq!(sent.status(), StatusCode::OK);
    put("second").send().await.unwrap();
    let first = receiver.next_answer(SOON).await.unwrap();
    assert_eq!(first.body, "first");
    assert_eq!(first.content_length, Some(5));
    assert_eq!(first.content_type.as_deref(), Some(""));
    assert_eq!(receiver.next_answer(SOON).await.unwrap().body, "second");
    assert!(receiver.next_answer(Duration::ZERO).await.is_none());
    assert_eq!(receiver.answers().len(), 2);
}

#[tokio::test]
async fn fails_on_demand() {
    let receiver = ResponseUrl::start().await.unwrap();
    receiver.faults().add(Fault::answer(503));
    let put = || Client::new().put(receiver.url()).body("x").send();
    assert_eq!(
        put().await.unwrap().status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert!(receiver.answers().is_empty());
    assert_eq!(put().await.unwrap().status(), StatusCode::OK);
    let unsigned = receiver.url().split('?').next().unwrap().to_owned();
    let answer = Client::new().put(unsigned).body("x").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn takes_one_answer_under_a_condition() {
    let receiver = ResponseUrl::start().await.unwrap();
    let (first, other) = (receiver.url(), receiver.url());
    let put = |url: &str| Client::new().put(url).header(IF_NONE_MATCH, "*").body("x");
    for (url, status) in [
        (&first, StatusCode::OK),
        (&first, StatusCode::PRECONDITION_FAILED),
        (&other, StatusCode::OK),
    ] {
        assert_eq!(put(url).send().await.unwrap().status(), status, "{url}");
    }
    assert_eq!(receiver.answers().len(), 2);
}
