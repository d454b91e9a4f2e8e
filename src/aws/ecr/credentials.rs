//! Credentials of private registries.

use std::time::SystemTime;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::token::Token;
use crate::aws::clients::Endpoint;
use crate::aws::{Call, Clients, Error, Operation, PrivateHost};
use crate::content;
use crate::registry::{CredentialProvider, Credentials};

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

    async fn fetch(&self) -> Result<Token, Error> {
        let region = self.endpoint.region.clone();
        let call = Call {
            operation: Operation::GetAuthorizationToken,
            target: format!("ECR in {region}"),
            resource: "*".to_owned(),
            region,
        };
        let client = self.clients.ecr(&self.endpoint);
        let answer = client.get_authorization_token().send().await;
        let answer = answer.map_err(|error| self.clients.explain(&call, &error))?;
        let data = answer.authorization_data().first();
        let token = data.and_then(|data| {
            let expires = data
                .expires_at()
                .and_then(|at| SystemTime::try_from(*at).ok());
            Token::read(data.authorization_token()?, expires)
        });
        token.ok_or_else(|| Error::Incomplete {
            call: Box::new(call),
            expected: "an authorization token",
        })
    }
}

impl CredentialProvider for EcrCredentials {
    fn credentials<'a>(
        &'a self,
        _registry: &'a str,
    ) -> BoxFuture<'a, content::Result<Option<Credentials>>> {
        async {
            let token = self.clients.token(&self.endpoint).get(self.fetch()).await;
            token.map(Some).map_err(content::Error::backend)
        }
        .boxed()
    }

    fn takes_basic(&self, _registry: &str) -> bool {
        true
    }

    fn invalidate(&self, _registry: &str) {
        self.clients.token(&self.endpoint).invalidate();
    }
}
