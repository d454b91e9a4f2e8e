//! One repository, through ECR's API.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::ECR;
use super::settings::{EncryptionConfiguration, ScanningConfiguration, TagFilter};
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

/// A repository as ECR describes it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Description {
    repository_uri: Option<String>,
    pub(super) image_tag_mutability: Option<String>,
    pub(super) image_tag_mutability_exclusion_filters: Option<Vec<TagFilter>>,
    pub(super) image_scanning_configuration: Option<ScanningConfiguration>,
    pub(super) encryption_configuration: Option<EncryptionConfiguration>,
}

#[derive(Deserialize)]
struct Descriptions {
    repositories: Option<Vec<Description>>,
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

    /// Returns true if the repository is there.
    pub async fn exists(&self) -> Result<bool, Error> {
        Ok(self.describe().await?.is_some())
    }

    /// The repository's URI, `<registry>/<name>`, or `None` where it is not there.
    pub async fn uri(&self) -> Result<Option<String>, Error> {
        let described = self.describe().await?;
        Ok(described.and_then(|repository| repository.repository_uri))
    }

    pub(super) async fn describe(&self) -> Result<Option<Description>, Error> {
        let body = self.in_registry(json!({ "repositoryNames": [self.name] }));
        let answer = self.ask(Operation::DescribeRepositories, &body).await;
        let Some(found): Option<Descriptions> = unless_missing(answer, Missing::Repository)? else {
            return Ok(None);
        };
        let described = found.repositories.and_then(|all| all.into_iter().next());
        self.required(Operation::DescribeRepositories, "a repository", described)
            .map(Some)
    }

    /// Asks ECR to do `operation` with the repository.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        operation: Operation,
        body: &Value,
    ) -> Result<T, Error> {
        let call = self.call(operation);
        self.clients.ask(&ECR, &self.endpoint, &call, body).await
    }

    /// The fields of a request, and which repository they are about.
    pub(super) fn named_in(&self, mut fields: Value) -> Value {
        fields["repositoryName"] = self.name.as_str().into();
        self.in_registry(fields)
    }

    fn in_registry(&self, mut fields: Value) -> Value {
        if let Some(account) = &self.account {
            fields["registryId"] = account.as_str().into();
        }
        fields
    }

    pub(super) fn call(&self, operation: Operation) -> Call {
        Call {
            operation,
            target: format!("repository {}", self.name),
            resource: self.arn().to_string(),
            region: self.endpoint.region.clone(),
        }
    }

    /// Returns a member that an answer of success must have: a proxy or a broken endpoint may
    /// answer without it.
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
