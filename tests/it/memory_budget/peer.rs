//! A registry, a token server and AWS in one, which answer what a test wants.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::Response;
use bytes::Bytes;
use futures_util::stream;
use tokio::task::JoinHandle;

/// A server on loopback. It ends with this.
pub(super) struct Peer {
    pub(super) url: String,
    server: JoinHandle<()>,
}

impl Peer {
    /// Answers as `answer` says to the method, the path and the host of a request.
    pub(super) async fn start(
        answer: impl Fn(&str, &str, &str) -> Response<Body> + Send + Sync + 'static,
    ) -> Self {
        let answer = Arc::new(answer);
        let handler = move |request: Request| async move {
            let path = request.uri().to_string();
            let host = request.headers()["host"].to_str().unwrap();
            answer(request.method().as_str(), &path, host)
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(handler);
        let server = tokio::spawn(async { axum::serve(listener, app).await.unwrap() });
        Self { url, server }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// An answer of this status, media type and body.
pub(super) fn answer(status: u16, media_type: &str, body: impl Into<Body>) -> Response<Body> {
    let answer = Response::builder().status(status);
    let answer = answer.header("content-type", media_type);
    answer.body(body.into()).unwrap()
}

/// A body that begins so and has no end.
pub(super) fn endless(begin: &str) -> Body {
    let begin = Bytes::copy_from_slice(begin.as_bytes());
    let more = Bytes::from(vec![b'x'; 64 << 10]);
    Body::from_stream(stream::unfold(Some(begin), move |begin| {
        let more = more.clone();
        async move { Some((Ok::<_, Infallible>(begin.unwrap_or(more)), None)) }
    }))
}

/// A JSON list of about `length` bytes, as a tree of values a hundred times that.
pub(super) fn tree(length: usize) -> String {
    let count = length / 7;
    format!("[{}0]", r#"{"":0},"#.repeat(count))
}
