//! A registry that gives each client so many pulls and says how many are left, as Docker Hub does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A registry's quota, before another registry that has none.
pub(crate) struct QuotaRegistry {
    address: SocketAddr,
    seen: Arc<Seen>,
    task: JoinHandle<()>,
}

struct Seen {
    registry: SocketAddr,
    client: reqwest::Client,
    left: AtomicU64,
    refused: AtomicU64,
}

impl QuotaRegistry {
    /// Lets `pulls` manifests be read of `registry`.
    pub(crate) async fn before(registry: SocketAddr, pulls: u64) -> Self {
        let seen = Arc::new(Seen {
            registry,
            client: reqwest::Client::new(),
            left: AtomicU64::new(pulls),
            refused: AtomicU64::new(0),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().fallback(pass).with_state(Arc::clone(&seen));
        let serving = async move { axum::serve(listener, router).await.expect("a server") };
        Self {
            address,
            seen,
            task: tokio::spawn(serving),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Pulls that were refused.
    pub(crate) fn refused(&self) -> u64 {
        self.seen.refused.load(Ordering::Relaxed)
    }
}

impl Drop for QuotaRegistry {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(State(seen): State<Arc<Seen>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let is_pull = head.method == Method::GET && head.uri.path().contains("/manifests/");
    let left = seen.left.load(Ordering::Relaxed);
    if is_pull && left == 0 {
        seen.refused.fetch_add(1, Ordering::Relaxed);
        let mut refusal = Response::new(Body::empty());
        *refusal.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        return with_quota(refusal, 0);
    }
    if is_pull {
        seen.left.store(left - 1, Ordering::Relaxed);
    }
    let url = format!("http://{}{}", seen.registry, head.uri);
    let body = to_bytes(body, usize::MAX).await.expect("a body");
    let asked = seen.client.request(head.method, url).headers(head.headers);
    let answered = asked.body(body).send().await.expect("an answer");
    let mut response = Response::builder().status(answered.status());
    *response.headers_mut().expect("headers") = answered.headers().clone();
    let body = answered.bytes().await.expect("a body");
    let response = response.body(Body::from(body)).expect("an answer");
    with_quota(response, seen.left.load(Ordering::Relaxed))
}

fn with_quota(mut response: Response, left: u64) -> Response {
    let value = |text: String| HeaderValue::from_str(&text).expect("a header");
    let headers = response.headers_mut();
    headers.insert("ratelimit-limit", value("100;w=21600".to_owned()));
    headers.insert("ratelimit-remaining", value(format!("{left};w=21600")));
    response
}
