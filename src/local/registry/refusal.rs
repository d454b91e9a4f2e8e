//! Why a request is refused, in the specification's words or in ECR's.

use std::fmt::Display;
use std::io;

use hyper::StatusCode;
use hyper::header::{HeaderName, HeaderValue};
use serde_json::json;

use crate::local::http::{BodyLost, Dropped, Response, typed};
use crate::oci::Digest;

/// A request that cannot be served.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The client is told why.
    Told(Told),
    /// The client is gone, or is to believe that the registry is.
    Lost,
    /// The folder failed.
    Io(io::Error),
}

/// An error as the specification words it
/// ([spec.md, "Error codes"](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes)).
#[derive(Debug)]
pub(super) struct Told {
    status: StatusCode,
    code: &'static str,
    message: String,
    headers: Vec<(HeaderName, String)>,
}

impl From<BodyLost> for Refusal {
    fn from(_: BodyLost) -> Self {
        Self::Lost
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self::Told(Told {
            status,
            code,
            message: message.into(),
            headers: Vec::new(),
        })
    }

    pub(super) fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(super) fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    pub(super) fn too_many_requests() -> Self {
        let status = StatusCode::TOO_MANY_REQUESTS;
        Self::new(status, "TOOMANYREQUESTS", "Rate exceeded")
    }

    pub(super) fn not_allowed() -> Self {
        let message = "The operation is unsupported.";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", message)
    }

    /// With another header on the answer.
    pub(super) fn header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        if let Self::Told(told) = &mut self {
            told.headers.push((name, value.into()));
        }
        self
    }

    pub(super) fn into_response(self) -> Result<Response, Dropped> {
        match self {
            Self::Told(told) => Ok(told.into_response()),
            Self::Lost => Err(Dropped),
            Self::Io(error) => {
                tracing::error!(%error, "the embedded registry's folder failed");
                Ok(envelope(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "UNKNOWN",
                    "the registry's folder failed",
                ))
            }
        }
    }
}

impl Told {
    fn into_response(self) -> Response {
        let mut response = envelope(self.status, self.code, &self.message);
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().append(name, value);
            }
        }
        response
    }
}

/// An answer with the specification's error envelope.
pub(super) fn envelope(status: StatusCode, code: &str, message: &str) -> Response {
    let body = json!({"errors": [{"code": code, "message": message}]});
    typed(status, "application/json", body.to_string())
}

/// The words of the errors that ECR words in its own way: with its registry ID, or without one in
/// those of the specification.
#[derive(Clone, Debug)]
pub(super) struct Wording(pub(super) Option<String>);

impl Wording {
    pub(super) fn repository_unknown(&self, name: &str) -> Refusal {
        let message = match &self.0 {
            None => "repository name not known to registry".to_owned(),
            Some(id) => format!(
                "The repository with name '{name}' does not exist in the registry with id '{id}'"
            ),
        };
        Refusal::not_found("NAME_UNKNOWN", message)
    }

    pub(super) fn manifest_unknown(&self) -> Refusal {
        let message = match &self.0 {
            None => "manifest unknown",
            Some(_) => "Requested image not found",
        };
        Refusal::not_found("MANIFEST_UNKNOWN", message)
    }

    pub(super) fn tag_immutable(&self, name: &str, tag: &str) -> Refusal {
        let message = match &self.0 {
            None => format!("tag {tag} exists and cannot be overwritten"),
            Some(_) => format!(
                "The image tag '{tag}' already exists in the '{name}' repository and cannot be \
                 overwritten because the repository is immutable."
            ),
        };
        Refusal::bad_request("TAG_INVALID", message)
    }

    pub(super) fn blob_digest(&self) -> Refusal {
        match &self.0 {
            None => Refusal::bad_request("DIGEST_INVALID", "digest does not match the content"),
            Some(_) => Refusal::bad_request(
                "BLOB_UPLOAD_INVALID",
                "None of the provided layer digests match the calculated layer digest",
            ),
        }
    }

    /// ECR's words are the same whatever it does not like in a manifest.
    pub(super) fn manifest_invalid(&self, problem: impl Display) -> Refusal {
        match &self.0 {
            None => Refusal::bad_request("MANIFEST_INVALID", problem.to_string()),
            Some(_) => Refusal::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "UNSUPPORTED",
                "Invalid parameter at 'ImageManifest' failed to satisfy constraint: \
                 'Invalid JSON syntax'",
            ),
        }
    }

    pub(super) fn manifest_digest(&self, name: &str, digest: &Digest) -> Refusal {
        match &self.0 {
            None => Refusal::bad_request("DIGEST_INVALID", "digest does not match the content"),
            Some(id) => Refusal::bad_request(
                "MANIFEST_INVALID",
                format!(
                    "The image with digest '{digest}' in repository '{name}' and registry ID \
                     '{id}' does not match the image digest that Amazon ECR has calculated."
                ),
            ),
        }
    }

    pub(super) fn blobs_missing(&self, name: &str, missing: &[Digest]) -> Refusal {
        match &self.0 {
            None => Refusal::not_found("MANIFEST_BLOB_UNKNOWN", "blob unknown to registry"),
            Some(id) => Refusal::not_found(
                "BLOB_UPLOAD_UNKNOWN",
                format!(
                    "Layers with digests '{missing:?}' required for pushing image into repository \
                     with name '{name}' in the registry with id '{id}' do not exist"
                ),
            ),
        }
    }

    pub(super) fn manifests_missing(&self, name: &str, missing: &[Digest]) -> Refusal {
        let message = match &self.0 {
            None => "manifest unknown to registry".to_owned(),
            Some(id) => format!(
                "Images with digests '{missing:?}' required for pushing image into repository \
                 with name '{name}' in the registry with id '{id}' do not exist"
            ),
        };
        Refusal::not_found("MANIFEST_BLOB_UNKNOWN", message)
    }

    pub(super) fn upload_offset(&self, asked: u64, offset: u64) -> Refusal {
        let message = match &self.0 {
            None => format!("expected a chunk from byte {offset}, got one from byte {asked}"),
            Some(_) => format!("First byte of the layer part is {asked} instead of {offset}"),
        };
        let status = StatusCode::RANGE_NOT_SATISFIABLE;
        Refusal::new(status, "BLOB_UPLOAD_INVALID", message)
    }

    pub(super) fn blob_empty(&self, name: &str, upload: &str) -> Refusal {
        let message = match &self.0 {
            None => "a blob of no bytes is not taken".to_owned(),
            Some(id) => format!(
                "The upload with id '{upload}' in the repository with name '{name}' in registry \
                 with id '{id}' cannot be completed because it does not have any parts."
            ),
        };
        Refusal::bad_request("BLOB_UPLOAD_INVALID", message)
    }
}
