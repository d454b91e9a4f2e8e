//! The other origin that blobs are redirected to, as ECR redirects to S3.

use std::sync::Arc;

use hyper::header::AUTHORIZATION;
use hyper::{Method, StatusCode};

use super::service::RegistryService;
use crate::local::faults::Failure;
use crate::local::http::{Dropped, FileAnswer, Request, Response, Service};
use crate::local::xml;
use crate::oci::Digest;

/// Serves what was signed.
pub(super) struct Origin(pub(super) Arc<RegistryService>);

impl Service for Origin {
    async fn answer(&self, request: &mut Request) -> Result<Response, Dropped> {
        let digest = request.path.strip_prefix("/storage/");
        let Some(digest) = digest.and_then(|digest| digest.parse::<Digest>().ok()) else {
            return Ok(no_such_key());
        };
        if request.headers.contains_key(AUTHORIZATION) {
            let message = "Only one auth mechanism allowed";
            return Ok(xml::error(
                StatusCode::BAD_REQUEST,
                "InvalidArgument",
                message,
            ));
        }
        let expected = self.0.signatures.as_ref();
        let expected = expected.map(|signatures| signatures.signature(&digest));
        let given = request.query.get("X-Amz-Signature");
        if given.is_none() || given != expected.as_deref() || request.method != Method::GET {
            let message = "The request signature we calculated does not match";
            let code = "SignatureDoesNotMatch";
            return Ok(xml::error(StatusCode::FORBIDDEN, code, message));
        }
        let answer = async {
            let file = FileAnswer::open(&self.0.store.content(&digest)).await?;
            file.respond(request).await
        };
        Ok(answer.await.unwrap_or_else(|_| no_such_key()))
    }

    fn failure(&self, _: &str, failure: &Failure) -> Response {
        let (code, message) = failure.words("InternalError", "a fault that was asked for");
        xml::error(failure.status, code, message)
    }

    fn repository(&self, _: &str) -> Option<String> {
        None
    }
}

fn no_such_key() -> Response {
    let message = "The specified key does not exist.";
    xml::error(StatusCode::NOT_FOUND, "NoSuchKey", message)
}
