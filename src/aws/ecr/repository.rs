//! One repository, through ECR's API.

use crate::aws::clients::Endpoint;
use crate::aws::{Arn, Call, Clients, Error, Missing, Operation, PrivateHost};

/// A repository of a private ECR registry. Calls go to the registry's account, which may be
/// another than the identity's.
#[derive(Clone, Debug)]
pub struct EcrRepository {
    pub(super) clients: Clients,
    pub(super) endpoint: Endpoint,
    pub(super) account: Option<String>,
    pub(super) name: String,
}

impl EcrRepository {
    /// The repository `name` of the registry `host`, under `clients`' identity.
    pub fn new(clients: &Clients, host: &PrivateHost, name: impl Into<String>) -> Self {
        Self {
            clients: clients.clone(),
            endpoint: Endpoint::of(host),
            account: host.account.clone(),
            name: name.into(),
        }
    }

    /// The repository's ARN. Its account is `*` where the host tells none.
    pub fn arn(&self) -> Arn {
        let account = self.account.as_deref().unwrap_or("*");
        Arn::ecr_repository(&self.endpoint.region, account, &self.name)
    }

    /// Whether the repository is there.
    pub async fn exists(&self) -> Result<bool, Error> {
        let client = self.clients.ecr(&self.endpoint);
        let answer = client
            .describe_repositories()
            .set_registry_id(self.account.clone())
            .repository_names(&self.name)
            .send()
            .await;
        let call = self.call(Operation::DescribeRepositories);
        match answer.map_err(|error| self.clients.explain(&call, &error)) {
            Ok(answer) => Ok(!answer.repositories().is_empty()),
            Err(Error::NotFound {
                missing: Missing::Repository,
                ..
            }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn call(&self, operation: Operation) -> Call {
        Call {
            operation,
            target: format!("repository {}", self.name),
            resource: self.arn().to_string(),
            region: self.endpoint.region.clone(),
        }
    }
}
