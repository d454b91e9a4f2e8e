//! The embedded receiver of CloudFormation's answers.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, IF_NONE_MATCH};
use hyper::{HeaderMap, Method, StatusCode};
use tokio::net::TcpListener;

use super::faults::Failure;
use super::http::{Dropped, Request, Response, Server, Service, empty};
use super::mailbox::Mailbox;
use super::request_log::RequestLog;
use super::{Faults, RequestRecord, xml};

/// The longest answer that is read; CloudFormation takes 4096 bytes, and tests want to see more.
const MAX_BODY: usize = 1 << 20;

/// Stands where a custom resource's `ResponseURL` points: takes the answer by PUT, as S3 takes it
/// by a presigned URL. A PUT with a `Content-Type` that is not empty is refused, since it is not
/// what was signed; one with `If-None-Match: *` is refused where the request has an answer.
pub struct ResponseUrl {
    service: Arc<Receiver>,
    server: Server,
    faults: Faults,
    log: RequestLog,
    /// The number of URLs that were given out.
    urls: AtomicU64,
}

/// One answer that was taken.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The `Content-Type`, where one was sent; then it was empty.
    pub content_type: Option<String>,
    /// The `Content-Length`.
    pub content_length: Option<u64>,
    /// The body.
    pub body: Bytes,
    /// The path that it was put to.
    path: String,
}

/// The service on the socket.
#[derive(Default)]
struct Receiver {
    answers: Mailbox<Answer>,
}

impl ResponseUrl {
    /// Starts to listen on a free port.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let service = Arc::new(Receiver::default());
        let (faults, log) = (Faults::default(), RequestLog::default());
        let server = Server::start(listener, Arc::clone(&service), faults.clone(), log.clone())?;
        Ok(Self {
            service,
            server,
            faults,
            log,
            urls: AtomicU64::default(),
        })
    }

    /// The place where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// A new `ResponseURL` as CloudFormation gives it, query included: one for each request.
    pub fn url(&self) -> String {
        let number = self.urls.fetch_add(1, Ordering::Relaxed);
        format!(
            "{}/arn%3Aaws%3Acloudformation%3Aus-east-1%3A123456789012%3Astack/demo/{number}\
             ?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=7200&X-Amz-Signature=0123456789abcdef",
            self.server.base_url()
        )
    }

    /// The answers taken so far.
    pub fn answers(&self) -> Vec<Answer> {
        self.service.answers.all()
    }

    /// The next answer that this has not given yet, or `None` when none came within `limit`.
    pub async fn next_answer(&self, limit: Duration) -> Option<Answer> {
        self.service.answers.next(limit).await
    }

    /// The faults that the server shows on demand: [`super::Fault::answer`], [`super::Fault::hang`]
    /// and the others.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The requests so far, with those that were refused.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.log.records()
    }

    /// Takes no more answers.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

impl Receiver {
    fn has_answer_at(&self, path: &str) -> bool {
        self.answers.all().iter().any(|answer| answer.path == path)
    }
}

impl Service for Receiver {
    async fn answer(&self, request: &mut Request) -> Result<Response, Dropped> {
        if request.method != Method::PUT || !request.query.has("X-Amz-Signature") {
            return Ok(xml::error(
                StatusCode::FORBIDDEN,
                "AccessDenied",
                "Access Denied",
            ));
        }
        let body = request.body.collect(MAX_BODY).await.map_err(|_| Dropped)?;
        let content_type = text(&request.headers, CONTENT_TYPE);
        if content_type.as_ref().is_some_and(|text| !text.is_empty()) {
            let message = "The request signature we calculated does not match";
            return Ok(xml::error(
                StatusCode::FORBIDDEN,
                "SignatureDoesNotMatch",
                message,
            ));
        }
        let Some(body) = body else {
            let message = "Your proposed upload exceeds the maximum allowed size";
            return Ok(xml::error(
                StatusCode::BAD_REQUEST,
                "EntityTooLarge",
                message,
            ));
        };
        let is_first = text(&request.headers, IF_NONE_MATCH).as_deref() == Some("*");
        if is_first && self.has_answer_at(&request.path) {
            let message = "At least one of the pre-conditions you specified did not hold";
            return Ok(xml::error(
                StatusCode::PRECONDITION_FAILED,
                "PreconditionFailed",
                message,
            ));
        }
        let content_length = text(&request.headers, CONTENT_LENGTH);
        self.answers.put(Answer {
            content_type,
            content_length: content_length.and_then(|text| text.parse().ok()),
            body,
            path: request.path.clone(),
        });
        Ok(empty(StatusCode::OK))
    }

    fn failure(&self, _: &str, failure: &Failure) -> Response {
        let (code, message) = failure.words("InternalError", "Please try again.");
        xml::error(failure.status, code, message)
    }

    fn repository(&self, _: &str) -> Option<String> {
        None
    }
}

fn text(headers: &HeaderMap, name: hyper::header::HeaderName) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}
