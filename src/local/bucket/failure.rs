//! Why a request is refused, in S3's words
//! ([error responses](https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html)).

use std::io;

use hyper::StatusCode;

use crate::local::http::{BodyLost, Dropped, Response, set};
use crate::local::xml;

/// A request that cannot be served.
#[derive(Debug)]
pub(super) enum Refusal {
    NoSuchBucket,
    NoSuchKey,
    NoSuchVersion,
    NoSuchUpload,
    AccessDenied,
    PreconditionFailed,
    NotModified,
    Archived,
    OtherRegion(String),
    InvalidRange,
    InvalidPart,
    InvalidPartOrder,
    EntityTooSmall,
    BadDigest,
    InvalidKey,
    Malformed(&'static str),
    NotImplemented,
    /// The client is gone, or is to believe that the server is.
    Lost,
    /// The folder failed.
    Io(io::Error),
}

impl From<BodyLost> for Refusal {
    fn from(_: BodyLost) -> Self {
        Self::Lost
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::NoSuchKey,
            io::ErrorKind::PermissionDenied => Self::AccessDenied,
            _ => Self::Io(error),
        }
    }
}

impl Refusal {
    pub(super) fn into_response(self) -> Result<Response, Dropped> {
        let (status, code, message) = match &self {
            Self::NoSuchBucket => (404, "NoSuchBucket", "The specified bucket does not exist"),
            Self::NoSuchKey => (404, "NoSuchKey", "The specified key does not exist."),
            Self::NoSuchVersion => (
                404,
                "NoSuchVersion",
                "The specified version does not exist.",
            ),
            Self::NoSuchUpload => (404, "NoSuchUpload", "The specified upload does not exist."),
            Self::AccessDenied => (403, "AccessDenied", "Access Denied"),
            Self::PreconditionFailed => (
                412,
                "PreconditionFailed",
                "At least one of the pre-conditions you specified did not hold",
            ),
            Self::NotModified => (304, "NotModified", "Not Modified"),
            Self::Archived => (
                403,
                "InvalidObjectState",
                "The operation is not valid for the object's storage class",
            ),
            Self::OtherRegion(_) => (
                301,
                "PermanentRedirect",
                "The bucket you are attempting to access must be addressed using the specified \
                 endpoint.",
            ),
            Self::InvalidRange => (
                416,
                "InvalidRange",
                "The requested range is not satisfiable",
            ),
            Self::InvalidPart => (
                400,
                "InvalidPart",
                "One or more of the specified parts could not be found.",
            ),
            Self::InvalidPartOrder => (
                400,
                "InvalidPartOrder",
                "The list of parts was not in ascending order.",
            ),
            Self::EntityTooSmall => (
                400,
                "EntityTooSmall",
                "Your proposed upload is smaller than the minimum allowed size",
            ),
            Self::BadDigest => (
                400,
                "BadDigest",
                "The checksum you specified did not match the calculated checksum.",
            ),
            Self::InvalidKey => (400, "InvalidArgument", "This key cannot be a file's path."),
            Self::Malformed(message) => (400, "InvalidRequest", *message),
            Self::NotImplemented => (
                501,
                "NotImplemented",
                "The embedded bucket does not have this operation.",
            ),
            Self::Lost => return Err(Dropped),
            Self::Io(error) => {
                tracing::error!(%error, "the embedded bucket's folder failed");
                (500, "InternalError", "the bucket's folder failed")
            }
        };
        let status = StatusCode::from_u16(status).unwrap_or_default();
        let mut response = xml::error(status, code, message);
        if let Self::OtherRegion(region) = &self {
            set(&mut response, "x-amz-bucket-region", region);
        }
        Ok(response)
    }
}
