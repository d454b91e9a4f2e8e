//! The HTTP that the stand-ins share: a server, requests with decoded paths and queries, bodies
//! that are counted and that faults can cut.

mod body;
mod file;
mod query;
mod range;
mod raw;
mod server;

use std::future::Future;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, StatusCode};

use super::faults::Failure;

pub(super) use body::{Body, BodyLost, RequestBody};
pub(super) use file::FileAnswer;
pub(super) use query::{Query, decode};
pub(super) use server::Server;

/// The header with the digest of a manifest or blob.
pub(crate) const CONTENT_DIGEST: &str = "docker-content-digest";

/// An answer.
pub(super) type Response = hyper::Response<Body>;

/// The client hears nothing more: the connection is dropped.
#[derive(Debug, thiserror::Error)]
#[error("the connection is dropped without an answer")]
pub(super) struct Dropped;

/// A request, its body not yet read.
pub(super) struct Request {
    pub(super) method: Method,
    /// The path as it was sent, percent-encoded, or what [`Service::path`] makes of it.
    pub(super) path: String,
    pub(super) query: Query,
    pub(super) headers: HeaderMap,
    pub(super) body: RequestBody,
}

impl Request {
    /// A header's value, if it is there and is text.
    pub(super) fn header(&self, name: impl hyper::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The announced length of the body. `None`: it comes in chunks of unknown number.
    pub(super) fn content_length(&self) -> Option<u64> {
        if self.headers.contains_key(TRANSFER_ENCODING) {
            return None;
        }
        self.header(CONTENT_LENGTH).unwrap_or("0").parse().ok()
    }
}

/// A service that answers the requests of one server.
pub(super) trait Service: Send + Sync + 'static {
    /// Answers one request.
    fn answer(
        &self,
        request: &mut Request,
    ) -> impl Future<Output = Result<Response, Dropped>> + Send;

    /// An error answer to a request for `path`, in this service's own form.
    fn failure(&self, path: &str, failure: &Failure) -> Response;

    /// The path by which a request is logged, routed and met by faults.
    fn path(&self, head: &Parts) -> String {
        head.uri.path().to_owned()
    }

    /// The repository or bucket that a path names, for the request log.
    fn repository(&self, path: &str) -> Option<String>;
}

/// An answer without a body.
pub(super) fn empty(status: StatusCode) -> Response {
    with_bytes(status, Bytes::new())
}

/// An answer with a body and its media type.
pub(super) fn typed(status: StatusCode, media_type: &str, bytes: impl Into<Bytes>) -> Response {
    let mut response = with_bytes(status, bytes.into());
    set(&mut response, CONTENT_TYPE, media_type);
    response
}

fn with_bytes(status: StatusCode, bytes: Bytes) -> Response {
    let length = bytes.len();
    let body = Full::new(bytes)
        .map_err(|never| match never {})
        .boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_LENGTH, length.into());
    response
}

/// Sets a header. A value that no header can hold leaves the answer as it was.
pub(super) fn set(
    response: &mut Response,
    name: impl hyper::header::IntoHeaderName,
    value: impl AsRef<str>,
) {
    if let Ok(value) = value.as_ref().parse() {
        response.headers_mut().insert(name, value);
    }
}
