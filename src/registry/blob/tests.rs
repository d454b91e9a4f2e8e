//! Blobs read from scripted registries.

use super::*;
use crate::content::{Parts, Source, TURN, Windows, collect};
use crate::registry::Config;
use crate::registry::testing::{Reply, Request, Scripted, descriptor, noise, quick};
use std::sync::atomic::{AtomicU32, Ordering};

async fn read_all(server: &Scripted, bytes: &[u8]) -> content::Result<bytes::Bytes> {
    let blob = server.repository().blob(&descriptor(bytes));
    collect(blob.open(0).await?, 64 << 20).await
}

#[tokio::test]
async fn goes_on_where_the_connection_was_cut() {
    let bytes = noise(300_000);
    let whole = bytes.clone();
    let cuts = AtomicU32::new(2);
    let server = Scripted::new(move |request| {
        let left = cuts.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        let reply = Reply::range(request, &whole);
        match left {
            Ok(_) => reply.cut_after(100_000),
            Err(_) => reply,
        }
    })
    .await;
    assert!(read_all(&server, &bytes).await.unwrap() == bytes);
    let ranges: Vec<_> = server.requests().iter().map(Request::range_start).collect();
    assert_eq!(ranges, [None, Some(100_000), Some(200_000)]);
}

#[tokio::test]
async fn skips_what_it_has_where_a_registry_ignores_ranges() {
    let bytes = noise(200_000);
    let whole = bytes.clone();
    let server = Scripted::new(move |request| match request.range_start() {
        None => Reply::new(200).body(&whole).cut_after(150_000),
        Some(_) => Reply::new(200).body(&whole),
    })
    .await;
    assert!(read_all(&server, &bytes).await.unwrap() == bytes);
}

/// Reads a blob of 64 pieces, which a connection brings slowly, where several requests are tried
/// after four of them. Returns the number of requests.
async fn read_slowly(reply: impl Fn(&Request, &[u8]) -> Reply + Send + Sync + 'static) -> usize {
    let _turn = TURN.lock().await;
    let bytes = noise(64 * Reply::PIECE);
    let whole = bytes.clone();
    let server = Scripted::new(move |request| reply(request, &whole).slow()).await;
    let piece = Reply::PIECE as u64;
    let repository = server.repository_with(Config {
        parts: Parts {
            threshold: 50 * piece,
            sample: 4 * piece,
            windows: Windows {
                part: 2 * piece,
                ahead: 4,
            },
        },
        ..quick()
    });
    let blob = repository.blob(&descriptor(&bytes));
    let read = collect(blob.open(0).await.unwrap(), 64 << 20).await;
    assert!(read.unwrap() == bytes);
    server.requests().len()
}

#[tokio::test]
async fn a_large_blob_on_a_slow_connection_is_read_by_several() {
    let requests =
        read_slowly(|request, whole| Reply::range(request, whole).header("Accept-Ranges", "bytes"));
    assert!(requests.await > 1);
}

#[tokio::test]
async fn a_registry_without_ranges_is_read_once() {
    assert_eq!(read_slowly(|_, whole| Reply::new(200).body(whole)).await, 1);
}

#[tokio::test]
async fn wrong_bytes_end_in_an_error() {
    let mut wrong = noise(1000);
    wrong[500] ^= 1;
    let server = Scripted::new(move |_| Reply::new(200).body(&wrong)).await;
    let error = read_all(&server, &noise(1000)).await.unwrap_err();
    assert!(matches!(error, content::Error::Digest { .. }), "{error}");
}

#[tokio::test]
async fn authorization_does_not_follow_a_redirect() {
    let bytes = noise(1000);
    let whole = bytes.clone();
    let storage = Scripted::new(move |request| match request.header("authorization") {
        Some(_) => Reply::new(400),
        None => Reply::range(request, &whole),
    })
    .await;
    let target = storage.url("/object?X-Signature=1");
    let registry = Scripted::new(move |request| match request.header("authorization") {
        None => Reply::new(401).header("WWW-Authenticate", "Basic realm=\"r\""),
        Some(_) => Reply::new(307).header("Location", &target),
    })
    .await;
    let who = crate::registry::Credentials::basic("user", "secret");
    let blob = registry
        .repository_for(Arc::new(who))
        .blob(&descriptor(&bytes));
    let read = collect(blob.open(0).await.unwrap(), 1000).await.unwrap();
    assert!(read == bytes);
    assert_eq!(storage.lines(), ["GET /object?X-Signature=1"]);
}

#[tokio::test]
async fn a_signed_address_is_not_shown() {
    let storage = Scripted::new(|_| Reply::new(403).body("<Error/>")).await;
    let target = storage.url("/object?X-Amz-Signature=secret");
    let server = Scripted::new(move |_| Reply::new(307).header("Location", &target)).await;
    let error = read_all(&server, b"abc").await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("/object?[redacted] answered 403"),
        "{error}"
    );
    assert!(!format!("{error:?}").contains("secret"));
}

#[tokio::test]
async fn redirects_in_a_circle_are_given_up() {
    let server = Scripted::new(|request| Reply::new(307).header("Location", &request.target)).await;
    let error = read_all(&server, b"abc").await.unwrap_err();
    assert!(
        error.to_string().contains("redirects more than 5 times"),
        "{error}"
    );
    assert_eq!(server.requests().len(), 6);
}

#[tokio::test]
async fn a_truncated_blob_is_an_error() {
    let bytes = noise(1000);
    let part = bytes[..600].to_vec();
    let server = Scripted::new(move |request| match request.range_start() {
        None => Reply::new(200).body(&part),
        Some(_) => Reply::new(416),
    })
    .await;
    let error = read_all(&server, &bytes).await.unwrap_err();
    assert!(
        error.to_string().contains("416 Range Not Satisfiable"),
        "{error}"
    );
}

#[tokio::test]
async fn an_endless_blob_is_read_no_further_than_its_size() {
    let server = Scripted::new(|_| Reply::new(200).body([b'x'; 1000]).endless()).await;
    let error = read_all(&server, &noise(2500)).await.unwrap_err();
    assert!(matches!(error, content::Error::Digest { .. }), "{error}");
}

#[tokio::test]
async fn digests_of_another_algorithm_are_checked_too() {
    let bytes = noise(1000);
    let mut digester = crate::oci::Digester::new(crate::oci::Algorithm::Sha512);
    digester.update(&bytes);
    let mut descriptor = descriptor(&bytes);
    descriptor.digest = digester.finish();
    for (wrong, right) in [(0, true), (1, false)] {
        let mut body = bytes.clone();
        body[999] ^= wrong;
        let server = Scripted::new(move |_| Reply::new(200).body(&body)).await;
        let blob = server.repository().blob(&descriptor);
        let read = collect(blob.open(0).await.unwrap(), 1000).await;
        assert_eq!(read.is_ok(), right);
        assert!(server.lines()[0].contains("/blobs/sha512:"));
    }
}

#[tokio::test]
async fn a_missing_blob_fails_at_once_and_names_itself() {
    let server = Scripted::new(|_| Reply::error(404, "BLOB_UNKNOWN", "no such blob")).await;
    let error = read_all(&server, b"abc").await.unwrap_err();
    let error = error.downcast_ref::<Error>().unwrap();
    assert!(error.is_not_found(), "{error}");
    assert!(
        error.to_string().contains("BLOB_UNKNOWN: no such blob"),
        "{error}"
    );
    assert_eq!(server.requests().len(), 1);
}
