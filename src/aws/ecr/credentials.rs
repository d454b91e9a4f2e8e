//! The token with which an ECR registry is asked.

use std::time::{Duration, SystemTime};

use aws_sdk_ecr::types::AuthorizationData;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::aws::clients::Endpoint;
use crate::aws::{Call, Clients, Error, Operation, PrivateHost};
use crate::content;
use crate::registry::{CredentialProvider, Credentials};

/// How long before its end a token is no longer used.
const MARGIN: Duration = Duration::from_mins(15);
/// A token younger than this that is refused will not be replaced by a better one.
const YOUNG: Duration = Duration::from_mins(1);
/// How long a token is used whose end ECR does not tell. It gives them for 12 hours.
const LIFETIME: Duration = Duration::from_hours(6);

/// A token with its times.
pub(in crate::aws) struct Token {
    credentials: Credentials,
    fetched: SystemTime,
    expires: SystemTime,
}

/// Credentials of a private ECR registry. All that have the same identity and region share one
/// token, which is fetched when it is first needed and again before it ends.
#[derive(Clone, Debug)]
pub struct EcrCredentials {
    clients: Clients,
    endpoint: Endpoint,
}

impl EcrCredentials {
    /// Credentials of `clients`' identity for the registry `host`.
    pub fn new(clients: &Clients, host: &PrivateHost) -> Self {
        Self {
            clients: clients.clone(),
            endpoint: Endpoint::of(host),
        }
    }

    async fn current(&self) -> Result<Credentials, Error> {
        let cell = self.clients.token(&self.endpoint);
        // Held while fetching, so that many who need a token make one request.
        let mut token = cell.lock().await;
        let now = SystemTime::now();
        if let Some(token) = token.as_ref().filter(|token| token.expires > now + MARGIN) {
            return Ok(token.credentials.clone());
        }
        let fetched = self.fetch(now).await?;
        Ok(token.insert(fetched).credentials.clone())
    }

    async fn fetch(&self, now: SystemTime) -> Result<Token, Error> {
        let call = self.call();
        let client = self.clients.ecr(&self.endpoint);
        let answer = client.get_authorization_token().send().await;
        let answer = answer.map_err(|error| self.clients.explain(&call, &error))?;
        let data = answer.authorization_data().first();
        let token = data.and_then(|data| read(data, now));
        token.ok_or_else(|| Error::Incomplete {
            call: Box::new(call),
            expected: "an authorization token",
        })
    }

    fn call(&self) -> Call {
        let region = self.endpoint.region.clone();
        Call {
            operation: Operation::GetAuthorizationToken,
            target: format!("ECR in {region}"),
            resource: "*".to_owned(),
            region,
        }
    }
}

/// Reads the Base64 of `AWS:password`.
fn read(data: &AuthorizationData, now: SystemTime) -> Option<Token> {
    let text = STANDARD.decode(data.authorization_token()?).ok()?;
    let text = String::from_utf8(text).ok()?;
    let (username, password) = text.split_once(':')?;
    let told = data
        .expires_at()
        .and_then(|at| SystemTime::try_from(*at).ok());
    Some(Token {
        credentials: Credentials::basic(username, password),
        fetched: now,
        expires: told.unwrap_or(now + LIFETIME),
    })
}

impl CredentialProvider for EcrCredentials {
    fn credentials<'a>(
        &'a self,
        _registry: &'a str,
    ) -> BoxFuture<'a, content::Result<Option<Credentials>>> {
        let current = self.current();
        async { current.await.map(Some).map_err(content::Error::backend) }.boxed()
    }

    fn invalidate(&self, _registry: &str) {
        let cell = self.clients.token(&self.endpoint);
        // Someone who holds it is fetching a new one.
        let Ok(mut token) = cell.try_lock() else {
            return;
        };
        let is_old = |token: &mut Token| token.fetched.elapsed().is_ok_and(|age| age > YOUNG);
        token.take_if(is_old);
    }
}
