//! Staging: an image's archive in a bucket, from where a stack deploys it.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use super::Error;
use crate::aws::{self, Clients, Slot};
use crate::content::{FileObject, RangeRead};
use crate::copy::Meter;
use crate::deploy::{InvalidLocation, Location};

/// The place where archives are staged: `s3://bucket[/prefix]`, written as sources are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staging {
    /// As it is written, without a slash at its end.
    text: String,
    bucket: String,
    /// The prefix of its keys, as S3 has it.
    prefix: String,
}

impl FromStr for Staging {
    type Err = InvalidLocation;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim_end_matches('/');
        let invalid = || InvalidLocation::NoKey(text.to_owned());
        if text.contains(['?', '#']) {
            return Err(invalid());
        }
        let Location::S3(at) = format!("{text}/archive").parse()? else {
            return Err(invalid());
        };
        let prefix = at.key.strip_suffix("archive").ok_or_else(invalid)?;
        Ok(Self {
            text: text.to_owned(),
            bucket: at.bucket,
            prefix: prefix.to_owned(),
        })
    }
}

/// The place of one archive in a bucket.
pub struct Staged {
    slot: Slot,
    source: String,
}

impl Staging {
    /// Looks whether the archive of the asset with this hash is there.
    pub async fn find(&self, hash: &str, clients: &Clients) -> Result<Staged, Error> {
        let at = aws::Location {
            bucket: self.bucket.clone(),
            key: format!("{}{hash}.tar", self.prefix),
            version_id: None,
            region: None,
        };
        let slot = Slot::find(clients, at).await?;
        Ok(Staged {
            slot,
            source: format!("{}/{hash}.tar", self.text),
        })
    }
}

impl Staged {
    /// The archive as a `Source`.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Returns true if it was there.
    pub fn is_there(&self) -> bool {
        self.slot.size().is_some()
    }

    /// Uploads it.
    pub async fn upload(&self, archive: &Path, meter: &Arc<Meter>) -> Result<(), Error> {
        upload(&self.slot, archive, "application/x-tar", meter).await
    }
}

/// Uploads a file, its name and progress being shown by `meter`.
pub(super) async fn upload(
    slot: &Slot,
    file: &Path,
    content_type: &str,
    meter: &Arc<Meter>,
) -> Result<(), Error> {
    let object = FileObject::open(file).await?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let label = name.chars().take(12).collect();
    let transfer = meter.transfer(label, object.size());
    let sent = |bytes| transfer.sent(bytes);
    Ok(slot.write(&object, content_type, &sent).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_staging_place_is_a_bucket() {
        for text in ["s3://bucket", "s3://bucket/", "s3://bucket/a%23/b"] {
            assert!(text.parse::<Staging>().is_ok(), "{text}");
        }
        for text in [
            "",
            "bucket",
            "s3://",
            "s3://b/k?versionId=1",
            "s3://b/k#x",
            "host/name",
        ] {
            assert!(text.parse::<Staging>().is_err(), "{text}");
        }
    }
}
