//! Answering challenges: the one place that puts credentials into requests.

use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Method, Url};
use tokio::sync::{Mutex, MutexGuard};

use super::Error;
use super::auth::challenge;
use super::auth::scope::{Access, Scopes};
use super::auth::sensitive;
use super::auth::token::{Issued, Issuer, parse_issued};
use super::auth::{CredentialProvider, Credentials, Scheme};
use super::client::Client;
use super::endpoint::Endpoint;
use super::redirect::{MAX_REDIRECTS, redirects};
use super::wire::Response;
use crate::redact::{RedactedUrl, remember};

/// The most that a token server's answer may be.
const MAX_TOKEN_ANSWER: u64 = 64 << 10;
/// The way in which this client calls itself to token servers.
const CLIENT_ID: &str = "longshore";

/// Authorizes the requests to one repository.
pub(super) struct Authenticator {
    registry: String,
    repository: String,
    endpoint: Endpoint,
    client: Client,
    provider: Arc<dyn CredentialProvider>,
    /// Once the provider was asked. Locked while tokens are asked for too, so that requests that
    /// start together ask once.
    credentials: Mutex<Asked>,
}

/// The provider's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Asked {
    #[default]
    NotYet,
    Answered(Option<Credentials>),
}

type Held<'a> = MutexGuard<'a, Asked>;

impl Authenticator {
    pub(super) fn new(
        client: Client,
        endpoint: Endpoint,
        (registry, repository): (&str, &str),
        provider: Arc<dyn CredentialProvider>,
    ) -> Self {
        Self {
            registry: registry.to_owned(),
            repository: repository.to_owned(),
            endpoint,
            client,
            provider,
            credentials: Mutex::default(),
        }
    }

    /// The header for a request, by the scheme that the registry is known to want.
    pub(super) async fn authorize(&self, access: Access<'_>) -> Result<Option<HeaderValue>, Error> {
        let known = self.client.state(&self.registry).scheme();
        let basic = || self.provider.takes_basic(&self.registry);
        let Some(scheme) = known.or_else(|| basic().then_some(Scheme::Basic)) else {
            return Ok(None);
        };
        let mut held = self.credentials.lock().await;
        let scopes = Scopes::of(&self.repository, access);
        self.header(&scheme, &scopes, &mut held).await
    }

    /// The header to repeat a request with that was refused with `used`, challenged by these
    /// `WWW-Authenticate` headers. `None` if nothing better can be offered.
    pub(super) async fn renew(
        &self,
        challenges: impl Iterator<Item = &str>,
        used: Option<&HeaderValue>,
        access: Access<'_>,
    ) -> Result<Option<HeaderValue>, Error> {
        let challenges: Vec<_> = challenges.flat_map(challenge::parse).collect();
        let Some((scheme, asked)) = Scheme::choose(&challenges) else {
            return Ok(None);
        };
        self.client.state(&self.registry).set_scheme(scheme.clone());
        let mut scopes = Scopes::of(&self.repository, access);
        scopes.add(asked.unwrap_or_default());
        let mut held = self.credentials.lock().await;
        let current = self.header(&scheme, &scopes, &mut held).await?;
        let Some(refused) = used.filter(|used| current.as_ref() == Some(*used)) else {
            return Ok(current);
        };
        match scheme {
            Scheme::Basic => {
                if !self.reload(&mut held).await? {
                    return Ok(None);
                }
            }
            Scheme::Bearer { .. } => self.client.tokens().forget(refused),
        }
        self.header(&scheme, &scopes, &mut held).await
    }

    /// Returns true if requests have been made with credentials.
    pub(super) async fn has_credentials(&self) -> bool {
        matches!(&*self.credentials.lock().await, Asked::Answered(Some(_)))
    }

    async fn header(
        &self,
        scheme: &Scheme,
        scopes: &Scopes,
        held: &mut Held<'_>,
    ) -> Result<Option<HeaderValue>, Error> {
        let credentials = self.credentials(held).await?;
        match scheme {
            Scheme::Basic => Ok(credentials.as_ref().and_then(basic)),
            Scheme::Bearer { realm, service } => {
                let issuer = Issuer {
                    realm: self.endpoint.secured(realm),
                    service: service.clone(),
                    credentials,
                };
                self.bearer(issuer, scopes, held).await.map(Some)
            }
        }
    }

    async fn credentials(&self, held: &mut Held<'_>) -> Result<Option<Credentials>, Error> {
        if let Asked::Answered(known) = &**held {
            return Ok(known.clone());
        }
        let provided = self.provider.credentials(&self.registry).await;
        let credentials = provided.map_err(|source| Error::Credentials {
            registry: self.registry.clone(),
            source,
        })?;
        **held = Asked::Answered(credentials.clone());
        Ok(credentials)
    }

    /// Asks the provider again; whether it now says something else.
    async fn reload(&self, held: &mut Held<'_>) -> Result<bool, Error> {
        self.provider.invalidate(&self.registry);
        let before = std::mem::take(&mut **held);
        self.credentials(held).await?;
        Ok(**held != before)
    }

    async fn bearer(
        &self,
        mut issuer: Issuer,
        scopes: &Scopes,
        held: &mut Held<'_>,
    ) -> Result<HeaderValue, Error> {
        if let Some(header) = self.client.tokens().get(&issuer, scopes) {
            return Ok(header);
        }
        self.endpoint.permit(&issuer.realm)?;
        let realms = &self.client.config().token_realms;
        let is_trusted = self.endpoint.is_at_host_of(&issuer.realm)
            || realms.allow(&self.registry, &issuer.realm);
        if issuer.credentials.is_some() && !is_trusted {
            return Err(Error::Realm {
                registry: self.registry.clone(),
                realm: RedactedUrl::new(&issuer.realm),
            });
        }
        let of_server = |source| Error::TokenServer {
            registry: self.registry.clone(),
            source: Box::new(source),
        };
        let token = match self.issue(&issuer, scopes).await {
            Err(error) if error.is_denied() && issuer.credentials.is_some() => {
                if !self.reload(held).await? {
                    return Err(of_server(error));
                }
                issuer.credentials = self.credentials(held).await?;
                self.issue(&issuer, scopes).await.map_err(of_server)?
            }
            answer => answer.map_err(of_server)?,
        };
        Ok(self.client.tokens().put(issuer, scopes.clone(), token))
    }

    async fn issue(&self, issuer: &Issuer, scopes: &Scopes) -> Result<Issued, Error> {
        let body = self
            .client
            .retries()
            .run(|| async {
                let answer = self.ask(token_request(issuer, scopes)).await?;
                answer.success().await?.bytes(MAX_TOKEN_ANSWER).await
            })
            .await?;
        parse_issued(&body, SystemTime::now()).ok_or_else(|| Error::Token {
            realm: RedactedUrl::new(&issuer.realm),
            problem: "answered without a usable token",
        })
    }
}

impl Authenticator {
    /// Makes a request to a token server, and follows its redirects. Credentials go along to the
    /// same host over TLS only, or to the same origin.
    async fn ask(&self, mut request: reqwest::Request) -> Result<Response, Error> {
        let first = RedactedUrl::new(request.url());
        for _ in 0..=MAX_REDIRECTS {
            let url = request.url().clone();
            let again = request.try_clone();
            let answer = self.client.wire().answer(request).await?;
            let Some(again) = again.filter(|_| redirects(&Method::GET, answer.status())) else {
                return Ok(answer);
            };
            let location = answer.location()?;
            // A refresh token goes nowhere else.
            if again.method() != Method::GET && location.origin() != url.origin() {
                return Ok(answer);
            }
            self.endpoint.permit(&location)?;
            request = redirected(again, &url, location);
        }
        Err(Error::Redirects {
            url: first,
            limit: MAX_REDIRECTS,
        })
    }
}

/// The same request for another address. What holds credentials goes to trusted ones only.
fn redirected(mut request: reqwest::Request, from: &Url, to: Url) -> reqwest::Request {
    let is_secure = to.scheme() == "https" && to.host_str() == from.host_str();
    if !is_secure && to.origin() != from.origin() {
        request.headers_mut().remove(AUTHORIZATION);
        *request.body_mut() = None;
    }
    *request.url_mut() = to;
    request
}

fn basic(credentials: &Credentials) -> Option<HeaderValue> {
    let Credentials::Basic { username, password } = credentials else {
        return None;
    };
    let pair = format!("{username}:{}", password.expose());
    // A password may be too short to be looked for by itself.
    remember(&pair);
    sensitive(&format!("Basic {}", STANDARD.encode(pair)))
}

/// A GET with Basic or no credentials, or `OAuth2`'s POST with a refresh token.
fn token_request(issuer: &Issuer, scopes: &Scopes) -> reqwest::Request {
    use reqwest::header::CONTENT_TYPE;
    let mut url = issuer.realm.clone();
    if let Some(Credentials::IdentityToken(token)) = &issuer.credentials {
        let scope = scopes.texts().collect::<Vec<_>>().join(" ");
        let mut form = url.clone();
        form.set_query(None);
        form.query_pairs_mut()
            .append_pair("grant_type", "refresh_token")
            .append_pair("client_id", CLIENT_ID)
            .append_pair("scope", &scope)
            .append_pair("refresh_token", token.expose())
            .extend_pairs(issuer.service.iter().map(|service| ("service", service)));
        let mut request = reqwest::Request::new(Method::POST, url);
        let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(CONTENT_TYPE, form_type);
        *request.body_mut() = form.query().map(|form| form.to_owned().into());
        return request;
    }
    let account = match &issuer.credentials {
        Some(Credentials::Basic { username, .. }) => Some(("account", username)),
        _ => None,
    };
    url.query_pairs_mut()
        .extend_pairs(issuer.service.iter().map(|service| ("service", service)))
        .extend_pairs(scopes.texts().map(|scope| ("scope", scope)))
        .extend_pairs(account);
    let mut request = reqwest::Request::new(Method::GET, url);
    if let Some(header) = issuer.credentials.as_ref().and_then(basic) {
        request.headers_mut().insert(AUTHORIZATION, header);
    }
    request
}
