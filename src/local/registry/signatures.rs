//! Signed URLs of blobs at the other origin.

use super::store::random_name;
use crate::oci::Digest;

/// Signs URLs of blobs at the other origin.
pub(super) struct Signatures {
    base_url: String,
    secret: String,
}

impl Signatures {
    pub(super) fn new(base_url: String) -> Self {
        Self {
            base_url,
            secret: random_name(),
        }
    }

    /// A URL that gives the content of `digest` to whoever has it.
    pub(super) fn sign(&self, digest: &Digest) -> String {
        format!(
            "{}/storage/{digest}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=3600\
             &X-Amz-Signature={}",
            self.base_url,
            self.signature(digest)
        )
    }

    /// The signature of a URL.
    pub(super) fn signature(&self, digest: &Digest) -> String {
        let signed = Digest::sha256(format!("{} {digest}", self.secret).as_bytes());
        signed.hex().to_owned()
    }
}
