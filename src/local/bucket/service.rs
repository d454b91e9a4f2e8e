//! The object store's state, and which part of it answers what.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hyper::{Method, StatusCode};

use super::failure::Refusal;
use super::folder::Folder;
use super::options::BucketOptions;
use crate::local::faults::Failure;
use crate::local::http::{Dropped, Request, Response, Service, decode, empty, set};
use crate::local::xml::element;
use crate::local::{sigv4, xml};

/// The object store behind one socket.
pub(super) struct BucketService {
    pub(super) options: BucketOptions,
    state: Mutex<State>,
}

/// The state of a bucket that is not in the folders.
#[derive(Default)]
pub(super) struct State {
    /// Bucket and key of each multipart upload.
    pub(super) uploads: HashMap<String, (String, String)>,
    /// By bucket and key: reads until an object seems changed.
    changes: HashMap<(String, String), Change>,
    archived: HashSet<(String, String)>,
}

#[derive(Default)]
struct Change {
    done: u32,
    reads_left: Option<u32>,
}

/// A bucket and, of a request for an object, its key.
pub(super) struct Target {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) folder: Folder,
}

impl BucketService {
    pub(super) fn new(options: BucketOptions) -> Self {
        Self {
            options,
            state: Mutex::default(),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn change_after(&self, bucket: &str, key: &str, reads: u32) {
        let place = (bucket.to_owned(), key.to_owned());
        self.state().changes.entry(place).or_default().reads_left = Some(reads);
    }

    pub(super) fn archive(&self, bucket: &str, key: &str) {
        let place = (bucket.to_owned(), key.to_owned());
        self.state().archived.insert(place);
    }

    pub(super) fn is_archived(&self, target: &Target) -> bool {
        let place = (target.bucket.clone(), target.key.clone());
        self.state().archived.contains(&place)
    }

    /// The number of times that an object seems to have changed, a read of it being counted if
    /// `reads`.
    pub(super) fn changes(&self, target: &Target, reads: bool) -> u32 {
        let place = (target.bucket.clone(), target.key.clone());
        let mut state = self.state();
        let Some(change) = state.changes.get_mut(&place) else {
            return 0;
        };
        match change.reads_left {
            Some(0) => {
                change.done += 1;
                change.reads_left = None;
            }
            Some(left) if reads => change.reads_left = Some(left - 1),
            _ => {}
        }
        change.done
    }

    async fn dispatch(&self, request: &mut Request) -> Result<Response, Refusal> {
        let target = self.target(request).await?;
        self.admit(request)?;
        if target.key.is_empty() {
            return self.on_bucket(&target, request).await;
        }
        let query = &request.query;
        let (multipart, starts) = (query.has("uploadId"), query.has("uploads"));
        match request.method {
            Method::GET | Method::HEAD if !multipart => self.get(&target, request).await,
            Method::PUT if multipart => self.put_part(&target, request).await,
            Method::PUT if !request.headers.contains_key("x-amz-copy-source") => {
                self.put(&target, request).await
            }
            Method::POST if starts => self.start_multipart(&target),
            Method::POST if multipart => self.complete_multipart(&target, request).await,
            Method::DELETE if multipart => self.abort_multipart(&target, request).await,
            Method::DELETE => self.delete(&target).await,
            _ => Err(Refusal::NotImplemented),
        }
    }

    async fn on_bucket(&self, target: &Target, request: &Request) -> Result<Response, Refusal> {
        match request.method {
            Method::HEAD => {
                let mut response = empty(StatusCode::OK);
                set(&mut response, "x-amz-bucket-region", self.region());
                Ok(response)
            }
            Method::GET if request.query.has("location") => Ok(location(self.region())),
            Method::GET if request.query.has("encryption") => Ok(encryption()),
            Method::GET if request.query.get("list-type") == Some("2") => {
                self.list(target, &request.query).await
            }
            _ => Err(Refusal::NotImplemented),
        }
    }

    fn region(&self) -> &str {
        self.options.region.as_deref().unwrap_or("us-east-1")
    }

    async fn target(&self, request: &Request) -> Result<Target, Refusal> {
        let (bucket, key) = split(&request.path).ok_or(Refusal::InvalidKey)?;
        let folder = match (self.options.folders.get(&bucket), &self.options.made_in) {
            (Some(folder), _) => Folder::open(folder).await?,
            (None, Some(parent)) if is_bucket(&bucket) => {
                let folder = parent.join(&bucket);
                tokio::fs::create_dir_all(&folder).await?;
                Folder::open(&folder).await?
            }
            _ => return Err(Refusal::NoSuchBucket),
        };
        Ok(Target {
            bucket,
            key,
            folder,
        })
    }

    fn admit(&self, request: &Request) -> Result<(), Refusal> {
        let scope = sigv4::scope(&request.headers, &request.query);
        if scope.is_none() && !self.options.anonymous {
            return Err(Refusal::AccessDenied);
        }
        if let (Some(own), Some(scope)) = (&self.options.region, scope)
            && *own != scope.region
        {
            return Err(Refusal::OtherRegion(own.clone()));
        }
        let pays = request.header("x-amz-request-payer") == Some("requester");
        if self.options.requester_pays && !pays {
            return Err(Refusal::AccessDenied);
        }
        Ok(())
    }
}

impl Service for BucketService {
    async fn answer(&self, request: &mut Request) -> Result<Response, Dropped> {
        let mut response = match self.dispatch(request).await {
            Ok(response) => response,
            Err(refusal) => refusal.into_response()?,
        };
        set(&mut response, "x-amz-request-id", "local");
        Ok(response)
    }

    fn failure(&self, _: &str, failure: &Failure) -> Response {
        let (code, message) = match failure.status {
            StatusCode::SERVICE_UNAVAILABLE => ("SlowDown", "Please reduce your request rate."),
            StatusCode::FORBIDDEN => ("AccessDenied", "Access Denied"),
            _ => (
                "InternalError",
                "We encountered an internal error. Please try again.",
            ),
        };
        let (code, message) = failure.words(code, message);
        xml::error(failure.status, code, message)
    }

    fn repository(&self, path: &str) -> Option<String> {
        split(path).map(|(bucket, _)| bucket)
    }
}

/// The place where the bucket is; of us-east-1 S3 says nothing.
fn location(region: &str) -> Response {
    let region = if region == "us-east-1" { "" } else { region };
    xml::document(StatusCode::OK, &element("LocationConstraint", region))
}

/// The default encryption of every bucket of S3.
fn encryption() -> Response {
    let algorithm = element("SSEAlgorithm", "AES256");
    let default = format!(
        "<ApplyServerSideEncryptionByDefault>{algorithm}</ApplyServerSideEncryptionByDefault>"
    );
    let root = format!(
        "<ServerSideEncryptionConfiguration><Rule>{default}</Rule></ServerSideEncryptionConfiguration>"
    );
    xml::document(StatusCode::OK, &root)
}

/// Returns true if a bucket can have this name, as far as folders are concerned.
fn is_bucket(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
    (3..=63).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(allowed)
}

/// A path as bucket and key, each decoded once.
fn split(path: &str) -> Option<(String, String)> {
    let path = path.strip_prefix('/')?;
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    Some((decode(bucket)?, decode(key)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_decoded_once() {
        let split = |path| split(path).unwrap();
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(split("/b/a%20b/c%2Bd+e%3Af%23"), pair("b", "a b/c+d+e:f#"));
        assert_eq!(split("/b/%252e%C3%BC"), pair("b", "%2eü"));
        assert_eq!(split("/b"), pair("b", ""));
        assert_eq!(split("/b/"), pair("b", ""));
    }
}
