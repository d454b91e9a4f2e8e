//! Credentials of ECR Public.

use std::time::SystemTime;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::token::Token;
use crate::aws::{Call, Clients, Error, Operation, PUBLIC_REGION};
use crate::content;
use crate::registry::{CredentialProvider, Credentials};

/// Credentials of ECR Public, whose images anyone may pull and only few may push. They raise the
/// rate at which one may pull.
#[derive(Clone, Debug)]
pub struct PublicCredentials {
    clients: Clients,
    required: bool,
}

impl PublicCredentials {
    /// Credentials of `clients`' identity for pulling: anonymous, where that may have none.
    pub fn for_pull(clients: &Clients) -> Self {
        Self {
            clients: clients.clone(),
            required: false,
        }
    }

    /// Credentials of `clients`' identity for pushing.
    pub fn for_push(clients: &Clients) -> Self {
        Self {
            clients: clients.clone(),
            required: true,
        }
    }

    async fn fetch(&self) -> Result<Token, Error> {
        let call = Call {
            operation: Operation::GetPublicAuthorizationToken,
            target: "ECR Public".to_owned(),
            resource: "*".to_owned(),
            region: PUBLIC_REGION.to_owned(),
        };
        let client = self.clients.ecr_public();
        let answer = client.get_authorization_token().send().await;
        let answer = answer.map_err(|error| self.clients.explain(&call, &error))?;
        let token = answer.authorization_data().and_then(|data| {
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

    async fn current(&self) -> Result<Option<Credentials>, Error> {
        match self.clients.public_token().get(self.fetch()).await {
            Ok(credentials) => Ok(Some(credentials)),
            Err(error) if self.required => Err(error),
            Err(error) => {
                tracing::info!(%error, "pulling from ECR Public without credentials");
                Ok(None)
            }
        }
    }
}

impl CredentialProvider for PublicCredentials {
    fn credentials<'a>(
        &'a self,
        _registry: &'a str,
    ) -> BoxFuture<'a, content::Result<Option<Credentials>>> {
        async { self.current().await.map_err(content::Error::backend) }.boxed()
    }

    fn invalidate(&self, _registry: &str) {
        self.clients.public_token().invalidate();
    }
}
