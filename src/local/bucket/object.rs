//! Objects: reading, writing, deleting.

use hyper::header::{CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH, LAST_MODIFIED};
use hyper::{Method, StatusCode};
use tokio::fs;

use super::body::write;
use super::failure::Refusal;
use super::folder::fingerprint;
use super::service::{BucketService, Target};
use crate::local::http::{FileAnswer, Request, Response, empty, set};

impl BucketService {
    pub(super) async fn get(
        &self,
        target: &Target,
        request: &Request,
    ) -> Result<Response, Refusal> {
        let file = FileAnswer::open(&target.folder.find(&target.key).await?).await?;
        let metadata = file.metadata().await?;
        let changes = self.changes(target, request.method == Method::GET);
        let fingerprint = fingerprint(&metadata, changes);
        if let Some(version) = request.query.get("versionId")
            && version != fingerprint
        {
            return Err(Refusal::NoSuchVersion);
        }
        let etag = format!("\"{fingerprint}\"");
        check_conditions(request, Some(&etag))?;
        if self.is_archived(target) && request.method == Method::GET {
            return Err(Refusal::Archived);
        }
        let mut response = file.respond(request).await?;
        if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
            return Err(Refusal::InvalidRange);
        }
        set(&mut response, ETAG, etag);
        set(&mut response, CONTENT_TYPE, "binary/octet-stream");
        if let Ok(modified) = metadata.modified() {
            set(
                &mut response,
                LAST_MODIFIED,
                httpdate::fmt_http_date(modified),
            );
        }
        if self.options.versions {
            set(&mut response, "x-amz-version-id", fingerprint);
        }
        if self.is_archived(target) {
            set(&mut response, "x-amz-storage-class", "GLACIER");
        }
        Ok(response)
    }

    pub(super) async fn put(
        &self,
        target: &Target,
        request: &mut Request,
    ) -> Result<Response, Refusal> {
        let present = match target.folder.find(&target.key).await {
            Ok(path) => Some(self.etag(target, &fs::metadata(path).await?)),
            Err(_) => None,
        };
        check_conditions(request, present.as_deref())?;
        let path = target.folder.target(&target.key)?;
        let id = format!("{:032x}", fastrand::u128(..));
        let scratch = target.folder.scratch(&id).await?.join("object");
        let written = write(request, &scratch).await;
        let kept = match written {
            Ok(_) => self.keep(target, &scratch, &path).await,
            Err(refusal) => Err(refusal),
        };
        target.folder.clean(&id).await;
        let etag = kept?;
        let mut response = empty(StatusCode::OK);
        set(&mut response, ETAG, etag);
        Ok(response)
    }

    /// Makes a written file the object, and returns its `ETag`.
    pub(super) async fn keep(
        &self,
        target: &Target,
        scratch: &std::path::Path,
        path: &std::path::Path,
    ) -> Result<String, Refusal> {
        target.folder.make_room(path).await?;
        fs::rename(scratch, path).await?;
        Ok(self.etag(target, &fs::metadata(path).await?))
    }

    fn etag(&self, target: &Target, metadata: &std::fs::Metadata) -> String {
        format!("\"{}\"", fingerprint(metadata, self.changes(target, false)))
    }

    pub(super) async fn delete(&self, target: &Target) -> Result<Response, Refusal> {
        if let Ok(path) = target.folder.find(&target.key).await {
            fs::remove_file(path).await?;
        }
        Ok(empty(StatusCode::NO_CONTENT))
    }
}

/// Checks `If-Match` and `If-None-Match` against the object that is there.
fn check_conditions(request: &Request, present: Option<&str>) -> Result<(), Refusal> {
    let matches = |condition: &str| {
        let mut tags = condition.split(',').map(str::trim);
        present.is_some_and(|etag| {
            tags.any(|tag| tag == "*" || tag.trim_matches('"') == etag.trim_matches('"'))
        })
    };
    if request
        .header(IF_MATCH)
        .is_some_and(|condition| !matches(condition))
    {
        return Err(Refusal::PreconditionFailed);
    }
    if request.header(IF_NONE_MATCH).is_some_and(matches) {
        let reads = matches!(request.method, Method::GET | Method::HEAD);
        return Err(if reads {
            Refusal::NotModified
        } else {
            Refusal::PreconditionFailed
        });
    }
    Ok(())
}
