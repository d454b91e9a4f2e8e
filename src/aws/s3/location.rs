//! The place where an object is.

use std::fmt;

use crate::aws::{Arn, Call, Operation};

/// The place where an object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The bucket's name, an access point's alias, or an access point's ARN.
    pub bucket: String,
    /// The object's key, as S3 has it.
    pub key: String,
    /// The object's version. `None`: whichever is the newest.
    pub version_id: Option<String>,
    /// The bucket's region, if it is known. Otherwise S3 tells where it is another than the
    /// client's.
    pub region: Option<String>,
}

impl Location {
    /// Reading the object in `region`.
    pub(super) fn call(&self, region: String) -> Call {
        let operation = match self.version_id {
            Some(_) => Operation::GetObjectVersion,
            None => Operation::GetObject,
        };
        Call {
            operation,
            target: self.to_string(),
            resource: Arn::s3_object(&region, &self.bucket, &self.key).to_string(),
            region,
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)?;
        match &self.version_id {
            Some(version) => write!(f, "?versionId={version}"),
            None => Ok(()),
        }
    }
}
