//! In which region a bucket is, as S3 tells whoever asks in another.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::aws::partition::is_region;

/// The region that a refusal names: in a header mostly, and in its body where the signature was
/// for another region.
pub(super) fn told_by(refusal: &HttpResponse) -> Option<String> {
    let header = refusal.headers().get("x-amz-bucket-region");
    let region = header.or_else(|| in_body(refusal.body().bytes()?))?;
    is_region(region).then(|| region.to_owned())
}

fn in_body(body: &[u8]) -> Option<&str> {
    let (_, rest) = std::str::from_utf8(body).ok()?.split_once("<Region>")?;
    Some(rest.split_once("</Region>")?.0)
}
