//! The place that CloudFormation gives a custom resource for its answer.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What a request's `ResponseURL` has in its query, which no log may show.
pub(crate) const SIGNATURE: &str = "the-signature-of-the-response-url";

type Answers = Arc<Mutex<Vec<Value>>>;

/// Takes answers until it is dropped.
pub(crate) struct ResponseUrl {
    address: SocketAddr,
    answers: Answers,
    server: JoinHandle<()>,
}

impl ResponseUrl {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("the address of a listener");
        let answers = Answers::default();
        let router = Router::new()
            .fallback(async |State(answers): State<Answers>, body: Bytes| {
                let answer = serde_json::from_slice(&body).expect("an answer is JSON");
                answers.lock().unwrap().push(answer);
            })
            .with_state(Arc::clone(&answers));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            address,
            answers,
            server,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/?X-Amz-Signature={SIGNATURE}", self.address)
    }

    /// The answers since the last call.
    pub(crate) fn take(&self) -> Vec<Value> {
        std::mem::take(&mut self.answers.lock().unwrap())
    }
}

impl Drop for ResponseUrl {
    fn drop(&mut self) {
        self.server.abort();
    }
}
