//! Requests to one repository: authorized, redirected, retried.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{
    AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, WWW_AUTHENTICATE,
};
use reqwest::{Method, StatusCode, Url};

use super::Error;
use super::auth::{Access, CredentialProvider};
use super::authenticator::Authenticator;
use super::client::Client;
use super::endpoint::Endpoint;
use super::quota::{Allowance, Quota};
use super::redirect::{MAX_REDIRECTS, redirects};
use super::retry::{Retries, RetryPolicy};
use super::state::RegistryState;
use super::wire::{Response, Wire};
use crate::content::Parts;
use crate::oci::Repository;
use crate::redact::RedactedUrl;

/// The number of times that one request is authorized anew: once for the challenge, once for
/// credentials that turn out to have expired.
const MAX_RENEWALS: usize = 2;

/// A request that can be made any number of times.
#[derive(Clone, Debug)]
pub(super) struct Call<'a> {
    method: Method,
    url: Url,
    access: Access<'a>,
    headers: HeaderMap,
    body: Bytes,
    patience: Option<Duration>,
}

impl<'a> Call<'a> {
    pub(super) fn new(method: Method, url: Url, access: Access<'a>) -> Self {
        Self {
            method,
            url,
            access,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            patience: None,
        }
    }

    /// Adds a header. A value that is not text is left out: all values are our own.
    pub(super) fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    pub(super) fn body(mut self, body: Bytes) -> Self {
        self.body = body;
        self
    }

    /// Waits for the answer so long instead of the usual time.
    pub(super) fn patience(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    fn request(&self, url: &Url) -> reqwest::Request {
        let mut request = reqwest::Request::new(self.method.clone(), url.clone());
        *request.headers_mut() = self.headers.clone();
        let reads = matches!(self.method, Method::GET | Method::HEAD | Method::DELETE);
        if !reads {
            // An empty body goes without a length otherwise, and registries then take it for a
            // body of unknown length.
            let length = HeaderValue::from(self.body.len());
            request.headers_mut().insert(CONTENT_LENGTH, length);
            *request.body_mut() = Some(self.body.clone().into());
        }
        request
    }
}

/// The way to one repository.
pub(super) struct Transport {
    client: Client,
    endpoint: Endpoint,
    authenticator: Authenticator,
    state: Arc<RegistryState>,
    /// Held while a list of referrers is read, added to and written.
    listing: tokio::sync::Mutex<()>,
    registry: String,
    name: String,
}

impl Transport {
    pub(super) fn new(
        client: &Client,
        repository: &Repository,
        provider: Arc<dyn CredentialProvider>,
    ) -> Result<Self, Error> {
        let endpoint = Endpoint::of(repository, client.config())?;
        let names = (repository.registry(), repository.name());
        Ok(Self {
            authenticator: Authenticator::new(client.clone(), endpoint.clone(), names, provider),
            state: client.state(repository.registry()),
            client: client.clone(),
            listing: tokio::sync::Mutex::default(),
            endpoint,
            registry: repository.registry().to_owned(),
            name: repository.name().to_owned(),
        })
    }

    /// The state of the registry.
    pub(super) fn state(&self) -> &RegistryState {
        &self.state
    }

    fn retry(&self) -> &RetryPolicy {
        self.client.retry()
    }

    /// The attempts of a request, none of them made yet.
    pub(super) fn retries(&self) -> Retries<'_> {
        self.client.retries()
    }

    pub(super) fn parts(&self) -> Parts {
        self.client.config().parts
    }

    pub(super) fn wire(&self) -> &Wire {
        self.client.wire()
    }

    /// Waits until nobody else changes a list of referrers of the repository.
    pub(super) async fn listing_turn(&self) -> impl Drop + '_ {
        self.listing.lock().await
    }

    /// The address of `path` within the repository.
    pub(super) fn url(&self, path: &str) -> Url {
        self.endpoint.url(&format!("{}/{path}", self.name))
    }

    /// The address of the API itself.
    pub(super) fn root(&self) -> Url {
        self.endpoint.url("")
    }

    /// Returns true if requests have been made with credentials.
    pub(super) async fn has_credentials(&self) -> bool {
        self.authenticator.has_credentials().await
    }

    /// Returns true if `url` is at the registry itself.
    pub(super) fn is_origin_of(&self, url: &Url) -> bool {
        self.endpoint.is_origin_of(url)
    }

    /// Refuses addresses that this registry must not send requests to.
    pub(super) fn permit(&self, url: &Url) -> Result<(), Error> {
        self.endpoint.permit(url)
    }

    /// Makes a request until it succeeds or fails for good.
    pub(super) async fn send(&self, call: &Call<'_>) -> Result<Response, Error> {
        self.retries().run(|| Box::pin(self.once(call))).await
    }

    /// As [`Transport::send`], with the whole body, of at most `limit` bytes, and the answer's
    /// headers as `read` sees them.
    pub(super) async fn fetch<T>(
        &self,
        call: &Call<'_>,
        limit: u64,
        read: impl Fn(&Response) -> T,
    ) -> Result<(T, Bytes), Error> {
        self.retries()
            .run(|| async {
                let response = Box::pin(self.once(call)).await?;
                let head = read(&response);
                Ok((head, response.bytes(limit).await?))
            })
            .await
    }

    /// Makes a request once, or as often as authorization needs; the answer is a success.
    pub(super) async fn once(&self, call: &Call<'_>) -> Result<Response, Error> {
        let mut authorization = self.authenticator.authorize(call.access).await?;
        let mut renewals = 0;
        loop {
            let response = self.follow(call, authorization.as_ref()).await?;
            if renewals == MAX_RENEWALS {
                return self.success(response).await;
            }
            let renewed = self
                .renew(&response, authorization.as_ref(), call.access)
                .await?;
            let Some(renewed) = renewed else {
                return self.success(response).await;
            };
            authorization = Some(renewed);
            renewals += 1;
        }
    }

    /// An answer, or the error that it is.
    pub(super) async fn success(&self, response: Response) -> Result<Response, Error> {
        if response.status() != StatusCode::TOO_MANY_REQUESTS {
            return response.success().await;
        }
        let authenticated = self.authenticator.has_credentials().await;
        let patience = self.retry().longest_wait;
        match Quota::of(&response, &self.registry, authenticated, patience) {
            Some(quota) => Err(Error::Quota(Box::new(quota))),
            None => response.success().await,
        }
    }

    /// The `Authorization` for a request to `url` that is made outside of [`Transport::once`].
    pub(super) async fn authorization_for(
        &self,
        url: &Url,
        access: Access<'_>,
    ) -> Result<Option<HeaderValue>, Error> {
        if !self.endpoint.is_origin_of(url) {
            return Ok(None);
        }
        self.authenticator.authorize(access).await
    }

    /// The header that authorizes the request when it is made again, if `response` asks for one.
    pub(super) async fn renew(
        &self,
        response: &Response,
        used: Option<&HeaderValue>,
        access: Access<'_>,
    ) -> Result<Option<HeaderValue>, Error> {
        let ours = self.endpoint.is_origin_of(response.url());
        if response.status() != StatusCode::UNAUTHORIZED || !ours {
            return Ok(None);
        }
        let challenges = response.headers(&WWW_AUTHENTICATE);
        self.authenticator.renew(challenges, used, access).await
    }

    /// Follows redirects of requests that read. Authorization goes to the registry alone, and
    /// not even there once a redirect has led away.
    async fn follow(
        &self,
        call: &Call<'_>,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response, Error> {
        let patience = call.patience.unwrap_or(self.wire().patience().answer);
        let mut url = call.url.clone();
        let mut at_home = true;
        for _ in 0..=MAX_REDIRECTS {
            self.permit(&url)?;
            at_home &= self.endpoint.is_origin_of(&url);
            let mut request = call.request(&url);
            if let Some(authorization) = authorization.filter(|_| at_home) {
                let headers = request.headers_mut();
                headers.insert(AUTHORIZATION, authorization.clone());
            }
            if at_home {
                self.state.request_turn().await;
            }
            let response = self.wire().answer_within(request, patience).await?;
            if at_home {
                self.state.allows(Allowance::of(&response));
            }
            if !redirects(&call.method, response.status()) {
                return Ok(response);
            }
            url = response.location()?;
        }
        Err(Error::Redirects {
            url: RedactedUrl::new(&call.url),
            limit: MAX_REDIRECTS,
        })
    }
}
