//! Faults of the embedded stand-ins.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use longshore::local::Fault;
use longshore::oci::Digest;
use reqwest::{Method, StatusCode};

use super::{options, registry};

#[tokio::test]
async fn a_download_breaks_off() {
    let (registry, api) = registry(options()).await;
    let content = vec![1_u8; 1 << 20];
    let blob = api.push_blob("a", &content).await;
    let path = format!("a/blobs/{blob}");
    registry.reset();
    registry
        .faults()
        .add(Fault::cut_answer(1000).on("GET", "/blobs/").skip(1));

    assert_eq!(api.get(&path).await.bytes, content);
    let response = api.request(Method::GET, &path).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.content_length(), Some(1 << 20));
    assert!(response.bytes().await.is_err());
    assert_eq!(api.get(&path).await.bytes, content);
    let sent: Vec<_> = registry
        .requests()
        .iter()
        .map(|record| record.bytes_out)
        .collect();
    assert_eq!(sent, [1 << 20, 1000, 1 << 20]);
}

#[tokio::test]
async fn an_answer_is_too_short_or_wrong() {
    let (registry, api) = registry(options()).await;
    let blob = api.push_blob("a", b"0123456789").await;
    let path = format!("a/blobs/{blob}");
    registry.faults().add(Fault::truncate(4));
    registry.faults().add(Fault::corrupt(2));
    assert_eq!(api.get(&path).await.text(), "0123");
    let corrupt = api.get(&path).await.bytes;
    assert_eq!(
        (corrupt.len(), corrupt[2], &corrupt[3..]),
        (10, !b'2', &b"3456789"[..])
    );
    assert_eq!(api.get(&path).await.text(), "0123456789");
    assert_eq!(registry.faults().pending(), 0);
}

#[tokio::test]
async fn an_upload_breaks_off_and_goes_on_where_it_was() {
    let (registry, api) = registry(options()).await;
    registry
        .faults()
        .add(Fault::cut_request(70_000).on("PATCH", "/uploads/"));
    let content: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    let location = api.start_upload("a").await;
    let patch = api.at(Method::PATCH, &location).body(content.clone());
    assert!(patch.send().await.is_err());

    let status = api.answer(api.at(Method::GET, &location)).await;
    assert_eq!(status.header("range"), "0-69999");
    let rest = api
        .at(Method::PATCH, &location)
        .body(content[70_000..].to_vec());
    assert_eq!(api.answer(rest).await.status, StatusCode::ACCEPTED);
    let digest = Digest::sha256(&content);
    let put = api.finish(&location, &digest);
    assert_eq!(api.answer(put).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn bodies_go_slowly() {
    let (registry, api) = registry(options()).await;
    let blob = api.push_blob("a", &[0; 1000]).await;
    let slow = || Fault::pace(NonZeroU64::new(10_000).unwrap());
    registry.faults().add(slow());
    registry.faults().add(slow().on("PATCH", "/uploads/"));
    let started = Instant::now();
    assert_eq!(api.get(&format!("a/blobs/{blob}")).await.bytes.len(), 1000);
    assert!(started.elapsed() >= Duration::from_millis(100));
    let location = api.start_upload("a").await;
    let started = Instant::now();
    let patch = api.at(Method::PATCH, &location).body(vec![0; 1000]);
    assert_eq!(api.answer(patch).await.header("range"), "0-999");
    assert!(started.elapsed() >= Duration::from_millis(100));
}

#[tokio::test]
async fn an_error_is_answered() {
    let (registry, api) = registry(options()).await;
    registry
        .faults()
        .add(Fault::answer(429).retry_after(7).times(2));
    registry
        .faults()
        .add(Fault::answer(403).saying("DENIED", "no, you"));
    for _ in 0..2 {
        let answer = api.get("").await;
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(answer.error_code(), "TOOMANYREQUESTS");
        assert_eq!(answer.header("retry-after"), "7");
    }
    let answer = api.get("").await;
    assert_eq!(
        (answer.error_code(), answer.error_message()),
        ("DENIED".into(), "no, you".into())
    );
    assert_eq!(api.get("").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_request_hangs() {
    let (registry, api) = registry(options()).await;
    registry.faults().add(Fault::hang());
    let request = api
        .request(Method::GET, "")
        .timeout(Duration::from_millis(200));
    assert!(request.send().await.unwrap_err().is_timeout());
    assert_eq!(registry.requests()[0].status, 0);
    assert_eq!(api.get("").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_refused_upload_gets_its_answer() {
    let (registry, api) = registry(options()).await;
    registry
        .faults()
        .add(Fault::answer(401).on("PATCH", "/uploads/"));
    let location = api.start_upload("a").await;
    let patch = api.at(Method::PATCH, &location).body(vec![0_u8; 8 << 20]);
    let answer = api.answer(patch).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_proxy_answers_with_a_page_and_nothing_is_done() {
    let (registry, api) = registry(options()).await;
    registry.faults().add(Fault::page(200).at("/uploads/"));
    let post = api.request(Method::POST, "a/blobs/uploads/");
    let answer = api.answer(post).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("content-type"), "text/html");
    assert!(answer.text().starts_with("<!DOCTYPE html>"));
}

#[tokio::test]
async fn a_request_is_sent_elsewhere() {
    let (registry, api) = registry(options()).await;
    registry.faults().add(Fault::redirect("/elsewhere"));
    let answer = api
        .answer(api.request(Method::POST, "a/blobs/uploads/"))
        .await;
    assert_eq!(answer.status, StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(answer.header("location"), "/elsewhere");
}

#[tokio::test]
async fn an_answer_that_is_no_http_ends_its_connection_and_no_other() {
    let (registry, api) = registry(options()).await;
    let blob = api.push_blob("a", b"0123456789").await;
    let path = format!("a/blobs/{blob}");
    registry.faults().add(Fault::raw("SSH-2.0-OpenSSH_9.9\r\n"));
    assert!(api.request(Method::GET, &path).send().await.is_err());
    assert_eq!(api.get(&path).await.text(), "0123456789");
}

#[tokio::test]
async fn an_answer_stops_in_the_middle() {
    let (registry, api) = registry(options()).await;
    let blob = api.push_blob("a", b"0123456789").await;
    registry.faults().add(Fault::stall(4));
    let get = api.request(Method::GET, &format!("a/blobs/{blob}"));
    let mut answer = get.send().await.unwrap();
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "0123");
    let more = tokio::time::timeout(Duration::from_millis(50), answer.chunk()).await;
    assert!(more.is_err());
}

#[tokio::test]
async fn an_answer_names_another_digest() {
    let (registry, api) = registry(options()).await;
    let blob = api.push_blob("a", b"0123456789").await;
    let path = format!("a/blobs/{blob}");
    registry.faults().add(Fault::wrong_digest());
    let wrong = api.get(&path).await;
    assert_ne!(wrong.header("docker-content-digest"), blob.to_string());
    assert_eq!(wrong.text(), "0123456789");
    let right = api.get(&path).await;
    assert_eq!(right.header("docker-content-digest"), blob.to_string());
}

#[tokio::test]
async fn a_connection_is_dropped_before_or_after_the_request_is_carried_out() {
    for (fault, is_there) in [(Fault::refuse(), false), (Fault::drop_answer(), true)] {
        let (registry, api) = registry(options()).await;
        let location = api.start_upload("a").await;
        let digest = Digest::sha256(b"0123456789");
        registry.faults().add(fault.on("PUT", "/uploads/"));
        let put = api.finish(&location, &digest).body("0123456789");
        assert!(put.send().await.is_err());
        let found = api.get(&format!("a/blobs/{digest}")).await.status;
        assert_eq!(found == StatusCode::OK, is_there);
    }
}
