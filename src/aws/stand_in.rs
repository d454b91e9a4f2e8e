//! A stand-in for AWS on a loopback socket, scripted by each test.

use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Response, StatusCode};

use super::Clients;

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) method: axum::http::Method,
    /// Path and query.
    pub(super) uri: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    }

    /// The operation of services that speak JSON, such as `GetAuthorizationToken`.
    pub(super) fn operation(&self) -> &str {
        self.header("x-amz-target")
            .rsplit('.')
            .next()
            .unwrap_or_default()
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The range asked for, with an exclusive end.
    pub(super) fn range(&self) -> std::ops::Range<usize> {
        let range = self.header("range").strip_prefix("bytes=").unwrap();
        let (first, last) = range.split_once('-').unwrap();
        first.parse().unwrap()..last.parse::<usize>().unwrap() + 1
    }
}

pub(super) struct StandIn {
    pub(super) endpoint: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl StandIn {
    /// Starts to answer as `answer` says.
    pub(super) async fn start(
        answer: impl Fn(&Seen) -> Response<Body> + Clone + Send + Sync + 'static,
    ) -> Self {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let log = Arc::clone(&seen);
        let handler = move |request: Request| async move {
            let (parts, body) = request.into_parts();
            let request = Seen {
                method: parts.method,
                uri: parts.uri.to_string(),
                headers: parts.headers,
                body: to_bytes(body, 16 << 20).await.unwrap(),
            };
            let answer = answer(&request);
            log.lock().unwrap().push(request);
            answer
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let app = axum::Router::new().fallback(handler);
        tokio::spawn(async { axum::serve(listener, app).await });
        Self { endpoint, seen }
    }

    pub(super) async fn clients(&self) -> Clients {
        Clients::local(&self.endpoint, &self.endpoint).await
    }

    /// The requests so far.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

/// An error as S3 writes it.
pub(super) fn s3_error(status: u16, code: &str, message: &str) -> Response<Body> {
    let body = format!(
        "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    Response::builder()
        .status(status)
        .header("x-amz-request-id", "REQ1")
        .body(Body::from(body))
        .unwrap()
}

/// An answer of a service that speaks JSON.
pub(super) fn json(status: StatusCode, body: &serde_json::Value) -> Response<Body> {
    Response::builder()
        .status(status)
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amzn-requestid", "REQ1")
        .body(Body::from(body.to_string()))
        .unwrap()
}

/// An error of a service that speaks JSON.
pub(super) fn json_error(status: u16, code: &str, message: &str) -> Response<Body> {
    let body = serde_json::json!({"__type": code, "message": message});
    json(StatusCode::from_u16(status).unwrap(), &body)
}
