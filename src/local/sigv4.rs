//! The signer of a signed AWS request. Signatures are not verified.

use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;

use super::http::Query;

/// The credential scope of a request
/// ([Signature Version 4](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html)).
pub(super) struct Scope {
    /// The access key ID.
    pub(super) key_id: String,
    /// The region that the request is for.
    pub(super) region: String,
    /// The service that the request is for, such as `ecr`.
    pub(super) service: String,
}

/// The scope by which a request is signed, in its header or its presigned query.
pub(super) fn scope(headers: &HeaderMap, query: &Query) -> Option<Scope> {
    let credential = if let Some(header) = headers.get(AUTHORIZATION) {
        let header = header.to_str().ok()?;
        let parameters = header.strip_prefix("AWS4-HMAC-SHA256 ")?;
        let mut parameters = parameters.split(',').map(str::trim);
        parameters.find_map(|parameter| parameter.strip_prefix("Credential="))?
    } else {
        query.get("X-Amz-Signature")?;
        query.get("X-Amz-Credential")?
    };
    // <key>/<date>/<region>/<service>/aws4_request
    let mut parts = credential.split('/');
    let key_id = parts.next()?.to_owned();
    let region = parts.nth(1)?.to_owned();
    let service = parts.next()?.to_owned();
    Some(Scope {
        key_id,
        region,
        service,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_or_a_query_has_the_scope() {
        let mut headers = HeaderMap::new();
        let query = Query::parse(
            "X-Amz-Credential=AKIA%2F20261123%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Signature=0a",
        );
        let presigned = scope(&headers, &query).unwrap();
        assert_eq!(
            (presigned.key_id.as_str(), presigned.service.as_str()),
            ("AKIA", "s3")
        );
        let header = "AWS4-HMAC-SHA256 Credential=ASIA/20261123/eu-west-1/ecr/aws4_request, \
                      SignedHeaders=host, Signature=0a";
        headers.insert(AUTHORIZATION, header.parse().unwrap());
        let signed = scope(&headers, &query).unwrap();
        assert_eq!(
            (signed.region.as_str(), signed.service.as_str()),
            ("eu-west-1", "ecr")
        );
        headers.insert(AUTHORIZATION, "Basic eDp5".parse().unwrap());
        assert!(scope(&headers, &query).is_none());
    }
}
