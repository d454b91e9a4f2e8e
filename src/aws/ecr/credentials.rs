//! Credentials of private registries.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::json;

use super::ECR;
use crate::aws::clients::Endpoint;
use crate::aws::token::{AuthorizationData, Token};
use crate::aws::{Call, Clients, Error, Operation, PrivateHost};
use crate::content;
use crate::registry::{CredentialProvider, Credentials};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    authorization_data: Option<Vec<AuthorizationData>>,
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

    async fn fetch(&self) -> Result<Token, Error> {
        let region = self.endpoint.region.clone();
        let call = Call {
            operation: Operation::GetAuthorizationToken,
            target: format!("ECR in {region}"),
            resource: "*".to_owned(),
            region,
        };
        let body = json!({});
        let asking = self.clients.ask(&ECR, &self.endpoint, &call, &body);
        let answer: Answer = asking.await?;
        let data = answer.authorization_data.unwrap_or_default();
        let token = data.first().and_then(AuthorizationData::token);
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
