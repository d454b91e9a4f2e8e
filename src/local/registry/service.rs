//! One registry: its state, and which part of it answers what.

use hyper::header::{LOCATION, RETRY_AFTER};
use hyper::{Method, StatusCode};

use super::auth::{Door, needed};
use super::options::{Locations, RegistryOptions};
use super::rate::Rate;
use super::refusal::{Refusal, Wording, envelope};
use super::route::{Endpoint, Route};
use super::signatures::Signatures;
use super::store::Store;
use super::upload::Uploads;
use crate::local::faults::Failure;
use crate::local::http::{CONTENT_DIGEST, Dropped, Request, Response, Service, empty, set, typed};
use crate::oci::Digest;

/// The registry behind one socket.
pub(in crate::local) struct RegistryService {
    pub(in crate::local) options: RegistryOptions,
    pub(in crate::local) store: Store,
    pub(super) uploads: Uploads,
    pub(super) wording: Wording,
    pub(in crate::local) door: Door,
    pub(super) base_url: String,
    /// The place where blobs are redirected to.
    pub(super) signatures: Option<Signatures>,
    /// Held while a manifest or tag is looked at and then written.
    pub(in crate::local) manifests: tokio::sync::Mutex<()>,
    /// The number of manifests that are taken.
    pub(super) rate: Rate,
}

impl Service for RegistryService {
    async fn answer(&self, request: &mut Request) -> Result<Response, Dropped> {
        let mut response = match self.dispatch(request).await {
            Ok(response) => response,
            Err(refusal) => refusal.into_response()?,
        };
        set(
            &mut response,
            "docker-distribution-api-version",
            "registry/2.0",
        );
        Ok(response)
    }

    fn failure(&self, _: &str, failure: &Failure) -> Response {
        let (code, message) = match failure.status {
            StatusCode::TOO_MANY_REQUESTS => ("TOOMANYREQUESTS", "Rate exceeded"),
            StatusCode::UNAUTHORIZED => ("UNAUTHORIZED", "authentication required"),
            StatusCode::FORBIDDEN => ("DENIED", "requested access to the resource is denied"),
            _ => ("UNKNOWN", "a fault that was asked for"),
        };
        let (code, message) = failure.words(code, message);
        envelope(failure.status, code, message)
    }

    fn repository(&self, path: &str) -> Option<String> {
        match Route::parse(path) {
            Ok(Route::Repository(name, _)) => Some(name),
            _ => None,
        }
    }
}

impl RegistryService {
    async fn dispatch(&self, request: &mut Request) -> Result<Response, Refusal> {
        let route = Route::parse(&request.path)?;
        if route == Route::Token {
            return self.door.give_token(request);
        }
        self.door.check(request, &needed(request, &route))?;
        match route {
            Route::Base | Route::Token => Ok(typed(StatusCode::OK, "application/json", "{}")),
            Route::Catalog => self.list_repositories(request).await,
            Route::Repository(name, endpoint) => self.in_repository(&name, endpoint, request).await,
        }
    }

    async fn in_repository(
        &self,
        name: &str,
        endpoint: Endpoint,
        request: &mut Request,
    ) -> Result<Response, Refusal> {
        let method = request.method.clone();
        let reads = matches!(method, Method::GET | Method::HEAD);
        // Where there is a referrers API, nothing has no referrers: never 404.
        let lists_referrers = matches!(endpoint, Endpoint::Referrers(_)) && reads;
        if !lists_referrers {
            self.find_repository(name, &method).await?;
        }
        if method == Method::DELETE
            && !self.options.deletes
            && !matches!(endpoint, Endpoint::Upload(_))
        {
            return Err(Refusal::not_allowed());
        }
        match endpoint {
            Endpoint::Tags if reads => self.list_tags(name, request).await,
            Endpoint::Referrers(digest) if reads => {
                self.list_referrers(name, &digest, request).await
            }
            Endpoint::Manifest(key) => match method {
                Method::GET | Method::HEAD => self.get_manifest(name, &key).await,
                Method::PUT => self.put_manifest(name, key, request).await,
                Method::DELETE => self.delete_manifest(name, &key).await,
                _ => Err(Refusal::not_allowed()),
            },
            Endpoint::Blob(digest) => match method {
                Method::GET | Method::HEAD => self.get_blob(name, &digest, request).await,
                Method::DELETE => self.delete_blob(name, &digest).await,
                _ => Err(Refusal::not_allowed()),
            },
            Endpoint::Uploads if method == Method::POST => self.start_upload(name, request).await,
            Endpoint::Upload(id) => self.continue_upload(name, &id, request).await,
            _ => Err(Refusal::not_allowed()),
        }
    }

    /// Makes sure that a repository is there, by making it where a push may.
    async fn find_repository(&self, name: &str, method: &Method) -> Result<(), Refusal> {
        if self.store.has_repository(name).await? {
            return Ok(());
        }
        let pushes = matches!(*method, Method::POST | Method::PUT | Method::PATCH);
        if !pushes || !self.options.create_on_push {
            return Err(self.wording.repository_unknown(name));
        }
        self.store.create_repository(name).await?;
        Ok(())
    }

    /// Sets `Location` to a path of this registry, in the way that its options say.
    pub(super) fn set_location(&self, response: &mut Response, path: &str, state: &str) {
        let location = match self.options.locations {
            Locations::Relative => path.to_owned(),
            Locations::Absolute => format!("{}{path}", self.base_url),
            Locations::AbsoluteWithState => format!("{}{path}?_state={state}", self.base_url),
        };
        set(response, LOCATION, location);
    }

    /// Counts a pushed manifest, and refuses it where the last second had too many.
    pub(super) fn limit_rate(&self) -> Result<(), Refusal> {
        if self.rate.take() {
            return Ok(());
        }
        let refusal = Refusal::too_many_requests();
        Err(match self.options.retry_after {
            None => refusal,
            Some(seconds) => refusal.header(RETRY_AFTER, seconds.to_string()),
        })
    }
}

/// An answer that something is there now.
pub(super) fn created(path: &str, digest: &Digest) -> Response {
    let mut response = empty(StatusCode::CREATED);
    set(&mut response, LOCATION, path);
    set(&mut response, CONTENT_DIGEST, digest.to_string());
    response
}
