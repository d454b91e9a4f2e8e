//! Scripted registries on real sockets: each test says what is answered to what, and may cut
//! connections where no proper server would.

mod http;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{
    Anonymous, Client, Config, CredentialProvider, Patience, RemoteRepository, RetryPolicy,
};
use crate::oci::{Descriptor, Digest, MediaType, Reference};

pub(super) use http::{Reply, Request};

/// A server that answers by a function. It stops when it is dropped.
pub(super) struct Scripted {
    address: std::net::SocketAddr,
    seen: Arc<Mutex<Vec<Request>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Scripted {
    /// Answers every request by `answer`.
    pub(super) async fn new(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::cutting(|_| None, answer).await
    }

    /// As [`Scripted::new`], but cuts the connection after so many bytes of a request's body as
    /// `cut` says.
    pub(super) async fn cutting(
        cut: impl Fn(&Request) -> Option<usize> + Send + Sync + 'static,
        answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let server = Arc::new(http::Server {
            seen: Arc::clone(&seen),
            cut: Box::new(cut),
            answer: Box::new(answer),
        });
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((connection, _)) = listener.accept().await {
                connections.spawn(Arc::clone(&server).serve(connection));
            }
        });
        Self {
            address,
            seen,
            task,
        }
    }

    /// `http://127.0.0.1:<port>` and `path`.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The requests so far, as `METHOD target`, and forgets them.
    pub(super) fn lines(&self) -> Vec<String> {
        self.requests().iter().map(Request::line).collect()
    }

    /// The requests so far, and forgets them.
    pub(super) fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    /// The repository `app` here, for nobody in particular.
    pub(super) fn repository(&self) -> RemoteRepository {
        self.repository_for(Arc::new(Anonymous))
    }

    pub(super) fn repository_for(&self, who: Arc<dyn CredentialProvider>) -> RemoteRepository {
        self.app(quick(), who)
    }

    pub(super) fn repository_with(&self, config: Config) -> RemoteRepository {
        self.app(config, Arc::new(Anonymous))
    }

    pub(super) fn app(&self, config: Config, who: Arc<dyn CredentialProvider>) -> RemoteRepository {
        let reference: Reference = format!("{}/app", self.address).parse().unwrap();
        let repository = reference.repository().clone();
        Client::new(config)
            .unwrap()
            .repository(repository, who)
            .unwrap()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A configuration that loses no time over retries.
pub(super) fn quick() -> Config {
    Config {
        allow_loopback: true,
        retry: RetryPolicy {
            attempts: 4,
            first_wait: Duration::from_millis(1),
            ..RetryPolicy::default()
        },
        ..Config::default()
    }
}

/// As [`quick`], for tests in which something never comes.
pub(super) fn impatient() -> Config {
    let briefly = Duration::from_millis(700);
    Config {
        patience: Patience {
            answer: briefly,
            stall: briefly,
            commit: briefly,
            ..Patience::default()
        },
        ..quick()
    }
}

/// The descriptor of these bytes.
pub(super) fn descriptor(bytes: &[u8]) -> Descriptor {
    let digest = Digest::sha256(bytes);
    Descriptor::new(MediaType::OCTET_STREAM, digest, bytes.len() as u64)
}

/// Bytes that differ everywhere, so that a misplaced one is seen.
pub(super) fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    fastrand::Rng::with_seed(7).fill(&mut bytes);
    bytes
}
