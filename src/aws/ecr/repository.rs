//! One repository, through ECR's API.

use aws_sdk_ecr::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ecr::types::Repository as Description;

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

    /// The repository's name within its registry.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The repository's ARN. Its account is `*` where the host tells none.
    pub fn arn(&self) -> Arn {
        let account = self.account.as_deref().unwrap_or("*");
        Arn::ecr_repository(&self.endpoint.region, account, &self.name)
    }

    /// Whether the repository is there.
    pub async fn exists(&self) -> Result<bool, Error> {
        Ok(self.describe().await?.is_some())
    }

    /// The repository's URI, `<registry>/<name>`, or `None` where it is not there.
    pub async fn uri(&self) -> Result<Option<String>, Error> {
        let described = self.describe().await?;
        Ok(described.and_then(|repository| repository.repository_uri))
    }

    pub(super) async fn describe(&self) -> Result<Option<Description>, Error> {
        let answer = self.client().describe_repositories();
        let answer = answer
            .set_registry_id(self.account.clone())
            .repository_names(&self.name)
            .send()
            .await;
        let answer = self.explained(Operation::DescribeRepositories, answer);
        let Some(answer) = unless_missing(answer, Missing::Repository)? else {
            return Ok(None);
        };
        let described = answer.repositories.and_then(|all| all.into_iter().next());
        self.required(Operation::DescribeRepositories, "a repository", described)
            .map(Some)
    }

    pub(super) fn client(&self) -> aws_sdk_ecr::Client {
        self.clients.ecr(&self.endpoint)
    }

    pub(super) fn call(&self, operation: Operation) -> Call {
        Call {
            operation,
            target: format!("repository {}", self.name),
            resource: self.arn().to_string(),
            region: self.endpoint.region.clone(),
        }
    }

    /// What an answer of success must have: a proxy or a broken endpoint may answer without it.
    pub(super) fn required<T>(
        &self,
        operation: Operation,
        expected: &'static str,
        found: Option<T>,
    ) -> Result<T, Error> {
        found.ok_or_else(|| Error::Incomplete {
            call: Box::new(self.call(operation)),
            expected,
        })
    }

    /// Says what the error of an answer means.
    pub(super) fn explained<T, E>(
        &self,
        operation: Operation,
        answer: Result<T, SdkError<E>>,
    ) -> Result<T, Error>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        answer.map_err(|error| self.clients.explain(&self.call(operation), &error))
    }
}

/// `None` where what is missing may be missing.
pub(super) fn unless_missing<T>(
    answer: Result<T, Error>,
    may: Missing,
) -> Result<Option<T>, Error> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(Error::NotFound { missing, .. }) if missing == may => Ok(None),
        Err(error) => Err(error),
    }
}
