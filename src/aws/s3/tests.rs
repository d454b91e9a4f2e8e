//! What must be true of an object that is read from S3.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::body::{Body, Bytes};
use axum::http::Response;
use futures_util::{StreamExt, stream};

use super::{Location, open_object};
use crate::aws::stand_in::{Seen, StandIn, s3_error};
use crate::aws::{Error, Missing};
use crate::content::{self, RangeRead, RemoteObject, collect};

const SIZE: usize = 700_000;

fn bytes() -> Bytes {
    (0..SIZE).map(|i| u8::try_from(i % 251).unwrap()).collect()
}

fn location() -> Location {
    Location {
        bucket: "bucket".to_owned(),
        key: "dir/a+b ü.tar".to_owned(),
        version_id: None,
        region: None,
    }
}

fn part(request: &Seen, body: Body) -> Response<Body> {
    let range = request.range();
    let end = range.end.min(SIZE);
    Response::builder()
        .status(206)
        .header("etag", "\"v1\"")
        .header(
            "content-range",
            format!("bytes {}-{}/{SIZE}", range.start, end - 1),
        )
        .header("content-length", end - range.start)
        .body(body)
        .unwrap()
}

fn serve(request: &Seen) -> Response<Body> {
    let range = request.range();
    part(
        request,
        Body::from(bytes().slice(range.start..range.end.min(SIZE))),
    )
}

async fn read(object: &RemoteObject, range: std::ops::Range<u64>) -> content::Result<Bytes> {
    collect(object.read(range).await?, SIZE as u64).await
}

#[tokio::test]
async fn a_key_that_a_url_would_make_another_is_not_asked_for() {
    for key in ["a/../b.tar", "./b.tar", "a/.", "a/.."] {
        let s3 = StandIn::start(serve).await;
        let location = Location {
            key: key.to_owned(),
            ..location()
        };
        let error = open_object(&s3.clients().await, location).await.err();
        let error = error.unwrap();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("cannot have . or .."), "{cause}");
        assert!(s3.seen().is_empty());
    }
    let s3 = StandIn::start(serve).await;
    let location = Location {
        key: "/a//b..c/...tar\\ %2e'(~)&=;:@$,!*[]{}|^`\"<>".to_owned(),
        ..location()
    };
    open_object(&s3.clients().await, location).await.unwrap();
    assert_eq!(s3.seen().len(), 1);
}

#[tokio::test]
async fn opening_takes_one_request_and_reads_ask_only_for_what_they_lack() {
    let s3 = StandIn::start(serve).await;
    let object = open_object(&s3.clients().await, location()).await.unwrap();
    assert_eq!(object.size(), SIZE as u64);
    assert_eq!(object.name(), "s3://bucket/dir/a+b ü.tar");

    assert_eq!(read(&object, 0..10).await.unwrap(), bytes()[..10]);
    assert_eq!(
        read(&object, 100..262_144).await.unwrap(),
        bytes()[100..262_144]
    );
    assert_eq!(s3.seen().len(), 1);

    assert_eq!(
        read(&object, 262_000..300_000).await.unwrap(),
        bytes()[262_000..300_000]
    );
    assert_eq!(
        read(&object, 699_999..700_000).await.unwrap(),
        bytes()[699_999..]
    );
    let seen = s3.seen();
    let ranges: Vec<_> = seen.iter().map(Seen::range).collect();
    assert_eq!(ranges, [0..262_144, 262_144..300_000, 699_999..700_000]);
    assert!(seen[0].headers.get("if-match").is_none());
    for request in &seen[1..] {
        assert_eq!(request.header("if-match"), "\"v1\"");
    }
    for request in &seen {
        assert!(
            request.uri.starts_with("/bucket/dir/a%2Bb%20%C3%BC.tar"),
            "{}",
            request.uri
        );
        assert_eq!(request.header("x-amz-request-payer"), "requester");
        assert!(
            request
                .header("authorization")
                .starts_with("AWS4-HMAC-SHA256")
        );
    }
}

#[tokio::test]
async fn a_pinned_version_is_named_in_every_request() {
    let s3 = StandIn::start(serve).await;
    let version_id = Some("abc".to_owned());
    let at = Location {
        version_id,
        ..location()
    };
    let object = open_object(&s3.clients().await, at).await.unwrap();
    read(&object, 500_000..500_001).await.unwrap();
    let seen = s3.seen();
    assert_eq!(seen.len(), 2);
    assert!(
        seen.iter()
            .all(|request| request.uri.contains("versionId=abc"))
    );
}

#[tokio::test]
async fn a_broken_body_goes_on_where_it_broke() {
    let broken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&broken);
    let s3 = StandIn::start(move |request| {
        let range = request.range();
        if range.start == 0 || count.fetch_add(1, Ordering::Relaxed) > 1 {
            return serve(request);
        }
        let piece = bytes().slice(range.start..range.start + 1000);
        let cut = stream::once(async {
            // Lets the server send the piece first.
            tokio::task::yield_now().await;
            Err(std::io::Error::other("cut"))
        });
        let body = stream::iter([Ok(piece)]).chain(cut);
        part(request, Body::from_stream(body))
    })
    .await;
    let object = open_object(&s3.clients().await, location()).await.unwrap();
    let got = read(&object, 300_000..600_000).await.unwrap();
    assert_eq!(got, bytes()[300_000..600_000]);
    let ranges: Vec<_> = s3.seen()[1..].iter().map(Seen::range).collect();
    assert_eq!(
        ranges,
        [300_000..600_000, 301_000..600_000, 302_000..600_000]
    );
}

#[tokio::test]
async fn an_object_that_changed_is_not_read_on() {
    let changed = Arc::new(AtomicBool::new(false));
    let is_changed = Arc::clone(&changed);
    let s3 = StandIn::start(move |request| {
        if is_changed.load(Ordering::Relaxed) {
            return s3_error(
                412,
                "PreconditionFailed",
                "At least one of the pre-conditions",
            );
        }
        serve(request)
    })
    .await;
    let object = open_object(&s3.clients().await, location()).await.unwrap();
    changed.store(true, Ordering::Relaxed);
    let error = read(&object, 300_000..600_000).await.unwrap_err();
    assert!(!error.is_retryable());
    assert!(
        matches!(error.downcast_ref(), Some(Error::Changed { .. })),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .starts_with("reading s3://bucket/dir/a+b ü.tar failed: the object changed")
    );
    assert_eq!(s3.seen().len(), 2, "asking again cannot help");
}

#[tokio::test]
async fn an_answer_for_another_range_is_refused() {
    let s3 = StandIn::start(|request| {
        let range = request.range();
        if range.start == 0 {
            return serve(request);
        }
        Response::builder()
            .status(200)
            .body(Body::from(bytes()))
            .unwrap()
    })
    .await;
    let object = open_object(&s3.clients().await, location()).await.unwrap();
    let error = read(&object, 300_000..300_001).await.unwrap_err();
    assert!(
        matches!(error.downcast_ref(), Some(Error::Incomplete { .. })),
        "{error}"
    );
}

#[tokio::test]
async fn a_range_outside_the_object_is_an_error_before_any_request() {
    let s3 = StandIn::start(serve).await;
    let object = open_object(&s3.clients().await, location()).await.unwrap();
    let error = read(&object, 699_999..700_001).await.unwrap_err();
    assert!(matches!(
        error,
        content::Error::Size {
            expected: 700_001,
            actual: 700_000
        }
    ));
    assert_eq!(s3.seen().len(), 1);
}

#[tokio::test]
async fn an_empty_object_is_empty() {
    let s3 = StandIn::start(|_| s3_error(416, "InvalidRange", "not satisfiable")).await;
    let object = open_object(&s3.clients().await, location()).await.unwrap();
    assert_eq!(object.size(), 0);
    assert_eq!(read(&object, 0..0).await.unwrap(), "");
}

#[tokio::test]
async fn a_bucket_in_another_region_is_followed_there_once() {
    let s3 = StandIn::start(|request| {
        if request.header("authorization").contains("/eu-west-3/s3/") {
            return serve(request);
        }
        let mut answer = s3_error(301, "PermanentRedirect", "use the specified endpoint");
        answer
            .headers_mut()
            .insert("x-amz-bucket-region", "eu-west-3".parse().unwrap());
        answer
    })
    .await;
    let clients = s3.clients().await;
    let object = open_object(&clients, location()).await.unwrap();
    read(&object, 600_000..600_001).await.unwrap();
    assert_eq!(s3.seen().len(), 3);
    open_object(&clients, location()).await.unwrap();
    assert_eq!(s3.seen().len(), 4, "the region is remembered");
}

#[tokio::test]
async fn a_region_that_only_the_body_tells_is_followed_too() {
    let s3 = StandIn::start(|request| {
        if request.header("authorization").contains("/eu-west-3/s3/") {
            return serve(request);
        }
        let message = "the region is wrong</Message><Region>eu-west-3</Region><Message>";
        s3_error(400, "AuthorizationHeaderMalformed", message)
    })
    .await;
    open_object(&s3.clients().await, location()).await.unwrap();
    assert_eq!(s3.seen().len(), 2);
}

#[tokio::test]
async fn a_region_that_redirects_again_is_not_followed() {
    let s3 = StandIn::start(|request| {
        let there = request.header("authorization").contains("/eu-west-3/s3/");
        let region = if there { "eu-west-2" } else { "eu-west-3" };
        let mut answer = s3_error(301, "PermanentRedirect", "use the specified endpoint");
        answer
            .headers_mut()
            .insert("x-amz-bucket-region", region.parse().unwrap());
        answer
    })
    .await;
    let error = open_object(&s3.clients().await, location())
        .await
        .err()
        .unwrap();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    assert_eq!(s3.seen().len(), 2);
}

#[tokio::test]
async fn a_refusal_says_what_to_do() {
    for (status, code, message, expected) in [
        (404, "NoSuchBucket", "", "no such bucket"),
        (404, "NoSuchKey", "", "no such object"),
        (404, "NoSuchVersion", "", "no such version"),
        (403, "InvalidObjectState", "", "restore it"),
        (
            403,
            "AccessDenied",
            "Access Denied",
            "allow s3:GetObject on arn:aws:s3:::bucket/dir/a+b ü.tar in",
        ),
        (
            403,
            "AccessDenied",
            "User: u is not authorized to perform: kms:Decrypt on resource: arn:aws:kms:eu-west-1:1:key/k because",
            "allow kms:Decrypt on arn:aws:kms:eu-west-1:1:key/k in",
        ),
        (400, "KMS.DisabledException", "", "see that it is enabled"),
    ] {
        let s3 = StandIn::start(move |_| s3_error(status, code, message)).await;
        let error = open_object(&s3.clients().await, location())
            .await
            .err()
            .unwrap();
        let text = error.to_string();
        assert!(text.contains(expected), "{code}: {text}");
        assert!(
            text.starts_with("reading s3://bucket/dir/a+b ü.tar "),
            "{text}"
        );
        assert!(!error.is_retryable(), "{code}");
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(
            cause.starts_with(code) && cause.ends_with("(request ID REQ1)"),
            "{cause}"
        );
        assert_eq!(s3.seen().len(), 1, "{code} is not asked again");
    }
}

#[tokio::test]
async fn a_missing_object_is_told_from_other_refusals() {
    let s3 = StandIn::start(|_| s3_error(404, "NoSuchKey", "gone")).await;
    let error = open_object(&s3.clients().await, location())
        .await
        .err()
        .unwrap();
    assert!(matches!(
        error,
        Error::NotFound {
            missing: Missing::Object,
            ..
        }
    ));
}

#[tokio::test]
async fn a_request_is_repeated_when_s3_asks_to_slow_down() {
    let refused = Arc::new(AtomicBool::new(false));
    let s3 = StandIn::start(move |request| {
        if refused.swap(true, Ordering::Relaxed) {
            return serve(request);
        }
        s3_error(503, "SlowDown", "Please reduce your request rate.")
    })
    .await;
    open_object(&s3.clients().await, location()).await.unwrap();
    assert_eq!(s3.seen().len(), 2);
}
