//! Objects of scripted servers on loopback sockets.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Response};
use futures_util::stream;
use reqwest::StatusCode;

use super::{Config, Error, Hosts, Patience, open_object};
use crate::content::{self, RangeRead, RemoteObject, collect};

/// The secret that opens a presigned URL. No error may show it.
const SECRET: &str = "hunter2";
/// More than the first request brings.
const SIZE: usize = 700_000;

/// A request as it came.
#[derive(Clone, Debug)]
struct Seen {
    path: String,
    headers: HeaderMap,
    /// Which request it is, from 0.
    number: usize,
}

impl Seen {
    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    }

    /// The range asked for of an object so large, with an exclusive end.
    fn range(&self, size: usize) -> std::ops::Range<usize> {
        let range = self.header("range").strip_prefix("bytes=").unwrap();
        let (first, last) = range.split_once('-').unwrap();
        first.parse().unwrap()..(last.parse::<usize>().unwrap() + 1).min(size)
    }
}

type Answer = Response<Body>;

struct Server {
    address: std::net::SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    async fn start(answer: impl Fn(&Seen) -> Answer + Clone + Send + Sync + 'static) -> Self {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let log = Arc::clone(&seen);
        let handler = move |request: Request| async move {
            let mut log = log.lock().unwrap();
            let request = Seen {
                path: request.uri().path().to_owned(),
                headers: request.headers().clone(),
                number: log.len(),
            };
            log.push(request.clone());
            answer(&request)
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = axum::Router::new().fallback(handler);
        tokio::spawn(async { axum::serve(listener, app).await });
        Self { address, seen }
    }

    async fn open(&self) -> Result<RemoteObject, Error> {
        self.open_with(config()).await
    }

    async fn open_with(&self, config: Config) -> Result<RemoteObject, Error> {
        let url = format!("http://{}/a.tar?signature={SECRET}", self.address);
        open_object(config, url.parse().unwrap()).await
    }

    /// Why the object cannot be opened.
    async fn refusal(&self) -> Error {
        let error = self.open().await.err().expect("a refusal");
        assert_shows_no_secret(&error);
        error
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

/// Loses no time over retries.
fn config() -> Config {
    let config = Config::default();
    Config {
        hosts: Hosts::All,
        allow_loopback: true,
        attempts: NonZeroU32::new(3).unwrap(),
        patience: Patience {
            first_wait: Duration::from_millis(1),
            ..config.patience
        },
        ..config
    }
}

fn whole() -> Vec<u8> {
    let mut bytes = vec![0; SIZE];
    fastrand::Rng::with_seed(7).fill(&mut bytes);
    bytes
}

/// The part of the object that was asked for.
fn part(request: &Seen, etag: &str) -> Answer {
    let range = request.range(SIZE);
    let (first, last) = (range.start, range.end - 1);
    Response::builder()
        .status(206)
        .header("content-range", format!("bytes {first}-{last}/{SIZE}"))
        .header("etag", etag)
        .body(whole()[range].to_vec().into())
        .unwrap()
}

fn status(status: u16) -> Answer {
    Response::builder()
        .status(status)
        .body(Body::empty())
        .unwrap()
}

fn redirect(to: &str) -> Answer {
    Response::builder()
        .status(302)
        .header("location", to)
        .body(Body::empty())
        .unwrap()
}

async fn read(object: &RemoteObject, range: std::ops::Range<u64>) -> content::Result<Bytes> {
    collect(object.read(range).await?, 1 << 20).await
}

fn assert_shows_no_secret(error: &(dyn std::error::Error + 'static)) {
    for error in std::iter::successors(Some(error), |error| error.source()) {
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(SECRET), "{shown}");
    }
}

#[tokio::test]
async fn ranges_are_read_of_the_state_that_was_opened() {
    let server = Server::start(|request| part(request, "\"one\"")).await;
    let object = server.open().await.unwrap();
    assert_eq!(object.size(), SIZE as u64);
    assert!(!object.name().contains(SECRET));

    let whole = whole();
    assert_eq!(read(&object, 10..20).await.unwrap(), whole[10..20]);
    assert_eq!(server.seen().len(), 1, "the first bytes came with the size");
    let far = read(&object, 200_000..600_000).await.unwrap();
    assert_eq!(far, whole[200_000..600_000]);
    let requests = server.seen();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[1].header("range"), "bytes=262144-599999");
    assert_eq!(requests[1].header("if-match"), "\"one\"");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_read_on() {
    let server = Server::start(|request| {
        let answer = part(request, "\"one\"");
        if request.number != 1 {
            return answer;
        }
        let range = request.range(SIZE);
        let start = Bytes::copy_from_slice(&whole()[range.start..range.start + 1000]);
        let broken = stream::iter([Ok(start), Err("broken off")]);
        let (mut parts, _) = answer.into_parts();
        parts.headers.insert("content-length", range.len().into());
        Response::from_parts(parts, Body::from_stream(broken))
    })
    .await;
    let object = server.open().await.unwrap();
    let bytes = read(&object, 300_000..500_000).await.unwrap();
    assert_eq!(bytes, whole()[300_000..500_000]);
    let requests = server.seen();
    assert_eq!(requests.len(), 3);
    let again = requests[2].range(SIZE);
    assert!((300_000..=301_000).contains(&again.start), "{again:?}");
    assert_eq!(again.end, 500_000);
}

#[tokio::test]
async fn an_object_that_changes_is_noticed() {
    let heeds: fn(&Seen) -> Answer = |request| match request.header("if-match") {
        "" => part(request, "\"one\""),
        _ => status(412),
    };
    let ignores: fn(&Seen) -> Answer = |request| match request.number {
        0 => part(request, "\"one\""),
        _ => part(request, "\"two\""),
    };
    for script in [heeds, ignores] {
        let server = Server::start(script).await;
        let object = server.open().await.unwrap();
        let error = read(&object, 300_000..300_010).await.unwrap_err();
        let changed = error.downcast_ref::<Error>();
        assert!(matches!(changed, Some(Error::Changed { .. })), "{error}");
        assert_shows_no_secret(&error);
        assert_eq!(server.seen().len(), 2, "asking again does not help");
    }
}

#[tokio::test]
async fn what_cannot_be_read_safely_is_refused() {
    let no_ranges = Server::start(|_| Response::new(whole().into())).await;
    let error = no_ranges.refusal().await;
    assert!(matches!(error, Error::NoRanges { .. }), "{error}");
    assert!(error.to_string().contains("does not serve ranges"));

    let weak = Server::start(|request| part(request, "W/\"one\"")).await;
    let error = weak.refusal().await;
    assert!(matches!(error, Error::NoValidator { .. }), "{error}");

    let elsewhere = Server::start(|request| {
        let mut answer = part(request, "\"one\"");
        let other = "bytes 5-9/10".parse().unwrap();
        answer.headers_mut().insert("content-range", other);
        answer
    })
    .await;
    let error = elsewhere.refusal().await;
    assert!(matches!(error, Error::Protocol { .. }), "{error}");
}

#[tokio::test]
async fn an_empty_object_is_one() {
    for empty in [status(416), status(200)] {
        let code = empty.status().as_u16();
        let server = Server::start(move |_| status(code)).await;
        let object = server.open().await.unwrap();
        assert_eq!(object.size(), 0, "{code}");
        assert_eq!(read(&object, 0..0).await.unwrap(), Bytes::new());
    }
}

#[tokio::test]
async fn a_refusal_says_what_to_do_and_is_not_repeated() {
    for (code, part) in [
        (403, "presigned one, it may have expired"),
        (404, "see that the URL is right"),
    ] {
        let server = Server::start(move |_| status(code)).await;
        let error = server.refusal().await.to_string();
        assert!(error.contains(part), "{error}");
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_busy_server_is_asked_again_and_not_for_ever() {
    let recovers = Server::start(|request| match request.number {
        0 => status(503),
        1 => status(429),
        _ => part(request, "\"one\""),
    })
    .await;
    recovers.open().await.unwrap();

    let busy = Server::start(|_| status(503)).await;
    let error = busy.refusal().await;
    assert!(
        matches!(error, Error::Exhausted { attempts: 3, .. }),
        "{error}"
    );
    assert!(!error.is_retryable());
    assert_eq!(busy.seen().len(), 3);
}

#[tokio::test]
async fn a_server_that_asks_to_wait_for_hours_is_not_asked_again() {
    let server = Server::start(|_| {
        let mut answer = status(429);
        answer.headers_mut().insert("retry-after", 7200.into());
        answer
    })
    .await;
    let error = server.refusal().await;
    assert!(
        matches!(error, Error::Exhausted { attempts: 1, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn redirects_are_followed_to_an_end() {
    let server = Server::start(|request| match request.path.as_str() {
        "/a.tar" => redirect(&format!("/b.tar?signature={SECRET}")),
        _ => part(request, "\"one\""),
    })
    .await;
    let object = server.open().await.unwrap();
    assert!(object.name().contains("/a.tar"), "{}", object.name());
    assert_eq!(server.seen()[1].header("range"), "bytes=0-262143");

    let round = Server::start(|_| redirect("/a.tar")).await;
    let error = round.refusal().await;
    assert!(matches!(error, Error::Redirects { .. }), "{error}");
    assert_eq!(round.seen().len(), 6);
}

#[tokio::test]
async fn redirects_lead_only_where_requests_may_go() {
    let server = Server::start(|_| redirect("http://169.254.169.254/latest/meta-data")).await;
    let error = server.refusal().await;
    assert!(matches!(error, Error::Local { .. }), "{error}");

    let server = Server::start(|_| redirect("http://files.example/?signature=hunter2")).await;
    let error = server.refusal().await;
    assert!(matches!(error, Error::Insecure { .. }), "{error}");

    let server = Server::start(|_| redirect("https://files.example/?signature=hunter2")).await;
    let listed = Config {
        hosts: Hosts::Only(vec!["127.0.0.1:*".parse().unwrap()]),
        ..config()
    };
    let error = server.open_with(listed).await.err().unwrap();
    assert!(matches!(error, Error::Host { .. }), "{error}");
    assert_shows_no_secret(&error);
}

#[tokio::test]
async fn a_host_that_is_not_listed_is_never_asked() {
    let server = Server::start(|request| part(request, "\"one\"")).await;
    let unlisted = Config {
        hosts: Config::default().hosts,
        ..config()
    };
    let error = server.open_with(unlisted).await.err().unwrap();
    assert!(
        error.to_string().contains("LONGSHORE_HTTPS_SOURCES"),
        "{error}"
    );
    assert_shows_no_secret(&error);
    assert_eq!(server.seen().len(), 0);
}

#[tokio::test]
async fn a_server_that_never_answers_is_not_waited_for() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/a.tar", listener.local_addr().unwrap());
    let brief = Config {
        attempts: NonZeroU32::MIN,
        patience: Patience {
            answer: Duration::from_millis(50),
            ..config().patience
        },
        ..config()
    };
    let error = open_object(brief, url.parse().unwrap())
        .await
        .err()
        .unwrap();
    let Error::Exhausted { source, .. } = error else {
        panic!("{error}")
    };
    assert!(matches!(*source, Error::Timeout { .. }), "{source}");
}

#[test]
fn a_servers_own_failure_may_pass() {
    let failed = |status| Error::Status {
        url: crate::redact::RedactedUrl::new(&"https://files.example/".parse().unwrap()),
        status,
        retry_after: None,
    };
    assert!(failed(StatusCode::BAD_GATEWAY).is_retryable());
    assert!(!failed(StatusCode::METHOD_NOT_ALLOWED).is_retryable());
}
