//! Blobs: pulling, deleting, mounting, uploading.

use std::io;

use hyper::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderName, LOCATION, RANGE};
use hyper::{Method, StatusCode};

use super::options::{Locations, Mounts};
use super::refusal::Refusal;
use super::service::{RegistryService, created};
use super::upload::Session;
use crate::local::http::{CONTENT_DIGEST, FileAnswer, Request, Response, empty, set};
use crate::oci::{Digest, Manifest};

/// The header that announces the smallest chunk
/// ([spec.md, "Pushing a blob in chunks"](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-a-blob-in-chunks)).
const CHUNK_MIN_LENGTH: HeaderName = HeaderName::from_static("oci-chunk-min-length");

impl RegistryService {
    pub(super) async fn get_blob(
        &self,
        name: &str,
        digest: &Digest,
        request: &Request,
    ) -> Result<Response, Refusal> {
        if !self.store.has_blob(name, digest).await? {
            return Err(Refusal::not_found(
                "BLOB_UNKNOWN",
                "blob unknown to registry",
            ));
        }
        if let (Some(signatures), &Method::GET) = (&self.signatures, &request.method) {
            let mut response = empty(StatusCode::TEMPORARY_REDIRECT);
            set(&mut response, LOCATION, signatures.sign(digest));
            return Ok(response);
        }
        let file = FileAnswer::open(&self.store.content(digest)).await?;
        let mut response = file.respond(request).await?;
        set(&mut response, CONTENT_TYPE, "application/octet-stream");
        set(&mut response, CONTENT_DIGEST, digest.to_string());
        Ok(response)
    }

    pub(super) async fn delete_blob(
        &self,
        name: &str,
        digest: &Digest,
    ) -> Result<Response, Refusal> {
        if !self.store.remove_blob(name, digest).await? {
            return Err(Refusal::not_found(
                "BLOB_UNKNOWN",
                "blob unknown to registry",
            ));
        }
        Ok(empty(StatusCode::ACCEPTED))
    }

    /// `POST`: mounts, takes a whole blob, or opens a session.
    pub(super) async fn start_upload(
        &self,
        name: &str,
        request: &mut Request,
    ) -> Result<Response, Refusal> {
        if let Some(digest) = parameter(request, "mount")?
            && let Some(from) = request.query.get("from")
            && self.is_mountable(from, &digest).await?
        {
            self.store.add_blob(name, &digest).await?;
            return Ok(created(&format!("/v2/{name}/blobs/{digest}"), &digest));
        }
        let digest = parameter(request, "digest")?;
        let upload = self.uploads.open(&self.store, name).await?;
        let mut session = upload.lock().await;
        if let Some(digest) = digest {
            let finished = self.finish(&mut session, &digest, request).await;
            // Nobody else knows of this session.
            self.uploads.end(&session).await;
            return finished;
        }
        let mut response = self.progress(StatusCode::ACCEPTED, &session);
        if let (Some(length), true) = (self.options.min_chunk, self.options.announce_min_chunk) {
            set(&mut response, CHUNK_MIN_LENGTH, length.to_string());
        }
        Ok(response)
    }

    /// Whatever is done with an open session.
    pub(super) async fn continue_upload(
        &self,
        name: &str,
        id: &str,
        request: &mut Request,
    ) -> Result<Response, Refusal> {
        let unknown =
            || Refusal::not_found("BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry");
        let stateful = self.options.locations == Locations::AbsoluteWithState;
        if stateful && request.query.get("_state") != Some(id) {
            return Err(unknown());
        }
        let upload = self.uploads.get(id).ok_or_else(unknown)?;
        let mut session = upload.lock().await;
        if session.repository != name {
            return Err(unknown());
        }
        match request.method {
            Method::GET => Ok(self.progress(StatusCode::NO_CONTENT, &session)),
            Method::PATCH => self.patch(&mut session, request).await,
            Method::PUT => {
                let digest = parameter(request, "digest")?.ok_or_else(|| {
                    Refusal::bad_request("DIGEST_INVALID", "the digest parameter is missing")
                })?;
                self.finish(&mut session, &digest, request).await
            }
            Method::DELETE => {
                self.uploads.end(&session).await;
                Ok(empty(StatusCode::NO_CONTENT))
            }
            _ => Err(Refusal::not_allowed()),
        }
    }

    async fn patch(
        &self,
        session: &mut Session,
        request: &mut Request,
    ) -> Result<Response, Refusal> {
        let start = match chunk_start(request)? {
            Some(start) => start,
            None if self.options.unranged_patch_is_zero => 0,
            None => session.offset,
        };
        self.check_offset(session, start)?;
        self.check_chunks(session, request)?;
        session.append(&mut request.body).await?;
        let status = if self.options.patch_created {
            StatusCode::CREATED
        } else {
            StatusCode::ACCEPTED
        };
        Ok(self.progress(status, session))
    }

    /// Takes what a `PUT` or a lone `POST` still brings, and makes the whole a blob.
    async fn finish(
        &self,
        session: &mut Session,
        digest: &Digest,
        request: &mut Request,
    ) -> Result<Response, Refusal> {
        if let Some(start) = chunk_start(request)? {
            self.check_offset(session, start)?;
        }
        if request.content_length() != Some(0) {
            self.check_chunks(session, request)?;
        }
        session.append(&mut request.body).await?;
        if session.offset == 0 && self.options.refuse_empty_blobs {
            return Err(self.wording.blob_empty(&session.repository, &session.id));
        }
        let right = session.commit(&self.store, digest).await?;
        self.uploads.end(session).await;
        if !right {
            return Err(self.wording.blob_digest());
        }
        let name = &session.repository;
        self.store.add_blob(name, digest).await?;
        Ok(created(&format!("/v2/{name}/blobs/{digest}"), digest))
    }

    fn check_offset(&self, session: &Session, start: u64) -> Result<(), Refusal> {
        if start == session.offset {
            return Ok(());
        }
        let refusal = self.wording.upload_offset(start, session.offset);
        Err(refusal.header(RANGE, self.reported_range(session)))
    }

    /// Refuses a chunk that is too long, or one after a chunk that was too short.
    fn check_chunks(&self, session: &Session, request: &Request) -> Result<(), Refusal> {
        let too_long = |max| request.content_length().is_none_or(|length| length > max);
        if self.options.max_chunk.is_some_and(too_long) {
            let status = StatusCode::PAYLOAD_TOO_LARGE;
            return Err(Refusal::new(
                status,
                "SIZE_INVALID",
                "the chunk is too large",
            ));
        }
        if let (Some(min), Some(last)) = (self.options.min_chunk, session.last_chunk)
            && last < min
        {
            return Err(Refusal::bad_request(
                "BLOB_UPLOAD_INVALID",
                format!("a chunk but the last has at least {min} bytes, got {last}"),
            ));
        }
        Ok(())
    }

    fn progress(&self, status: StatusCode, session: &Session) -> Response {
        let mut response = empty(status);
        let path = format!("/v2/{}/blobs/uploads/{}", session.repository, session.id);
        self.set_location(&mut response, &path, &session.id);
        set(&mut response, RANGE, self.reported_range(session));
        set(&mut response, "docker-upload-uuid", &session.id);
        response
    }

    fn reported_range(&self, session: &Session) -> String {
        let end = if self.options.sticky_range {
            session.first_chunk
        } else {
            session.offset
        };
        // The specification has no range for nothing; registries say this.
        format!("0-{}", end.saturating_sub(1))
    }

    async fn is_mountable(&self, from: &str, digest: &Digest) -> io::Result<bool> {
        if self.options.mounts == Mounts::Never
            || !crate::oci::Repository::is_name(from)
            || !self.store.has_blob(from, digest).await?
        {
            return Ok(false);
        }
        if self.options.mounts == Mounts::Any {
            return Ok(true);
        }
        let manifests = self.store.manifests(from).await?;
        let names = |manifest: Manifest| manifest.blobs().any(|blob| blob.digest == *digest);
        Ok(manifests
            .iter()
            .any(|manifest| manifest.parse().is_ok_and(names)))
    }
}

/// A digest in the query.
fn parameter(request: &Request, name: &str) -> Result<Option<Digest>, Refusal> {
    let parse = |text: &str| {
        text.parse()
            .map_err(|error| Refusal::bad_request("DIGEST_INVALID", format!("{error}")))
    };
    request.query.get(name).map(parse).transpose()
}

/// The place where a chunk starts, by its `Content-Range`, which here has no unit.
fn chunk_start(request: &Request) -> Result<Option<u64>, Refusal> {
    let Some(range) = request.header(CONTENT_RANGE) else {
        return Ok(None);
    };
    let malformed = || {
        let message = format!("malformed Content-Range {range:?}, expected <first>-<last>");
        Refusal::bad_request("BLOB_UPLOAD_INVALID", message)
    };
    let (first, last) = range.split_once('-').ok_or_else(malformed)?;
    let first: u64 = first.parse().map_err(|_| malformed())?;
    let last: u64 = last.parse().map_err(|_| malformed())?;
    let length = request.content_length();
    if first > last || length.is_some_and(|length| length != last - first + 1) {
        return Err(malformed());
    }
    Ok(Some(first))
}
