//! The embedded AWS API.

mod call;
mod ecr;
mod ecr_images;
mod lambda;
mod options;
mod secrets;
mod service;
mod sts;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::http::Server;
use super::request_log::RequestLog;
use super::{Faults, Registry, RequestRecord};
use service::ApiService;

pub use call::AwsCall;
pub use lambda::Invocation;
pub use options::AwsApiOptions;

/// One endpoint for the AWS services that Longshore calls beside S3: ECR (on the repositories of
/// a [`Registry`]), Secrets Manager, STS, and Lambda's `Invoke`, which runs nothing. Set `AWS_ENDPOINT_URL` to its
/// [`AwsApi::base_url`]. Operations that it does not have are answered with an AWS error.
///
/// In its request log and for its faults, a request's path is `/<service>/<operation>`, such as
/// `/ecr/GetAuthorizationToken`; for STS it is `/sts`, for Lambda `/lambda` and its own path.
pub struct AwsApi {
    service: Arc<ApiService>,
    server: Server,
    faults: Faults,
    log: RequestLog,
}

impl AwsApi {
    /// Starts the endpoint beside a registry. Fails where the address is taken.
    pub async fn start(options: AwsApiOptions, registry: &Registry) -> io::Result<Self> {
        let listener = TcpListener::bind(options.address).await?;
        let service = Arc::new(ApiService::new(options, registry.service()));
        let (faults, log) = (Faults::default(), RequestLog::default());
        let server = Server::start(listener, Arc::clone(&service), faults.clone(), log.clone())?;
        Ok(Self {
            service,
            server,
            faults,
            log,
        })
    }

    /// The place where the endpoint listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// `http://<address>`.
    pub fn base_url(&self) -> String {
        self.server.base_url()
    }

    /// The operations called so far.
    pub fn calls(&self) -> Vec<AwsCall> {
        self.service.calls()
    }

    /// Lets a principal be unknown to the next so many repository policies that name it, as a
    /// fresh role is until IAM has spread it.
    pub fn hide_principal(&self, principal: &str, policies: u32) {
        self.service.hide_principal(principal, policies);
    }

    /// The invocations of Lambda functions so far.
    pub fn invocations(&self) -> Vec<Invocation> {
        self.service.invocations.all()
    }

    /// The next invocation that this has not given yet, or `None` when none came within `limit`.
    pub async fn next_invocation(&self, limit: Duration) -> Option<Invocation> {
        self.service.invocations.next(limit).await
    }

    /// The faults that the server shows on demand.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.log.records()
    }

    /// Forgets the requests and calls so far.
    pub fn reset(&self) {
        self.log.reset();
        self.service.forget_calls();
    }

    /// Takes no more requests and ends when those under way are done.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}
