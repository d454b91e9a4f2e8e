//! Lambda's API, as far as a function needs it that has itself invoked again.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;

type Events = Arc<Mutex<Vec<Value>>>;

/// Takes invocations that nobody waits for, and keeps them for the test to make.
pub(crate) struct LambdaApi {
    url: String,
    events: Events,
}

impl LambdaApi {
    pub(crate) async fn start() -> Self {
        let events = Events::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let app = Router::new().fallback(take).with_state(events.clone());
        tokio::spawn(async { axum::serve(listener, app).await });
        Self {
            url: format!("http://{address}"),
            events,
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The event of the next invocation to be made.
    pub(crate) fn next(&self) -> Option<Value> {
        self.events.lock().expect("no test has failed").pop()
    }
}

async fn take(State(events): State<Events>, headers: HeaderMap, body: String) -> StatusCode {
    assert_eq!(headers["x-amz-invocation-type"], "Event");
    let event = serde_json::from_str(&body).expect("an event is JSON");
    events.lock().expect("no test has failed").push(event);
    StatusCode::ACCEPTED
}
