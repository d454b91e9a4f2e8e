//! What a signed AWS request says of its signer. Signatures are not verified.

use hyper::header::AUTHORIZATION;

use super::http::Request;

/// The credential scope of a request
/// ([Signature Version 4](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html)).
pub(super) struct Scope {
    /// The region that the request is for.
    pub(super) region: String,
}

/// The scope by which a request is signed, in its header or its presigned query.
pub(super) fn scope(request: &Request) -> Option<Scope> {
    let credential = if let Some(header) = request.header(AUTHORIZATION) {
        let parameters = header.strip_prefix("AWS4-HMAC-SHA256 ")?;
        let mut parameters = parameters.split(',').map(str::trim);
        parameters.find_map(|parameter| parameter.strip_prefix("Credential="))?
    } else {
        request.query.get("X-Amz-Signature")?;
        request.query.get("X-Amz-Credential")?
    };
    // <key>/<date>/<region>/<service>/aws4_request
    let mut parts = credential.split('/');
    let region = parts.nth(2)?.to_owned();
    Some(Scope { region })
}
