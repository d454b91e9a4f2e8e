//! ECR: tokens, repositories, policies
//! ([API reference](https://docs.aws.amazon.com/AmazonECR/latest/APIReference/Welcome.html)).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::call::{Caller, Refusal, input, unknown_operation};
use super::service::ApiService;
use crate::local::registry::SETTINGS;
use crate::oci::Repository;
use crate::redact::Secret;

/// The time that a token is good for.
const TOKEN_LIFETIME: Duration = Duration::from_hours(12);
/// The longest policy, in characters
/// ([`SetRepositoryPolicy`](https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_SetRepositoryPolicy.html)).
const MAX_POLICY: usize = 10_240;

/// The documents that are kept beside a repository's images.
const POLICY: &str = "policy";
const LIFECYCLE: &str = "lifecycle";

impl ApiService {
    pub(super) async fn ecr(
        &self,
        caller: &Caller,
        operation: &str,
        document: &Value,
    ) -> Result<Value, Refusal> {
        match operation {
            "GetAuthorizationToken" => return Ok(self.token(caller)),
            "DescribeRepositories" => return self.describe_repositories(caller, document).await,
            _ => {}
        }
        // Every other operation that is here is about one repository.
        let name = document.get("repositoryName").and_then(Value::as_str);
        let name = name.ok_or_else(|| unknown_operation(operation))?;
        if operation == "CreateRepository" {
            return self.create_repository(caller, name, document).await;
        }
        if !Repository::is_name(name) || !self.registry.store.has_repository(name).await? {
            return Err(repository_not_found(caller, name));
        }
        match operation {
            "DeleteRepository" => self.delete_repository(caller, name, document).await,
            "GetRepositoryPolicy" => self.repository_policy(caller, name).await,
            "SetRepositoryPolicy" => self.set_repository_policy(caller, name, document).await,
            "DeleteRepositoryPolicy" => {
                let policy = self.repository_policy(caller, name).await?;
                self.registry.store.remove_note(name, POLICY).await?;
                Ok(policy)
            }
            "GetLifecyclePolicy" => self.lifecycle_policy(caller, name).await,
            "PutLifecyclePolicy" => {
                let text = text(document, "lifecyclePolicyText")?;
                self.registry.store.set_note(name, LIFECYCLE, text).await?;
                self.lifecycle_policy(caller, name).await
            }
            _ => self.ecr_images(caller, name, operation, document).await,
        }
    }

    fn token(&self, caller: &Caller) -> Value {
        let user = self.registry.door.user();
        let (user, password) = user.unwrap_or(("AWS", Secret::new("local")));
        let token = STANDARD.encode(format!("{user}:{}", password.expose()));
        let expires = SystemTime::now() + TOKEN_LIFETIME;
        let expires = expires.duration_since(UNIX_EPOCH).unwrap_or_default();
        let endpoint = format!("https://{}", caller.registry_host());
        json!({"authorizationData": [{
            "authorizationToken": token,
            "expiresAt": expires.as_secs(),
            "proxyEndpoint": endpoint,
        }]})
    }

    async fn describe_repositories(
        &self,
        caller: &Caller,
        document: &Value,
    ) -> Result<Value, Refusal> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Input {
            repository_names: Option<Vec<String>>,
        }
        let Input { repository_names } = input(document)?;
        let names = match repository_names {
            Some(names) => names,
            None => self.registry.store.repositories().await?,
        };
        let mut repositories = Vec::new();
        for name in names {
            if !Repository::is_name(&name) || !self.registry.store.has_repository(&name).await? {
                return Err(repository_not_found(caller, &name));
            }
            repositories.push(self.repository(caller, &name).await?);
        }
        Ok(json!({"repositories": repositories}))
    }

    async fn create_repository(
        &self,
        caller: &Caller,
        name: &str,
        document: &Value,
    ) -> Result<Value, Refusal> {
        if !Repository::is_name(name) {
            let message = "Invalid parameter at 'repositoryName' failed to satisfy constraint: \
                           'must satisfy regular expression'";
            return Err(Refusal::new("InvalidParameterException", message));
        }
        if self.registry.store.has_repository(name).await? {
            let message = format!(
                "The repository with name '{name}' already exists in the registry with id '{}'",
                caller.account
            );
            return Err(Refusal::new("RepositoryAlreadyExistsException", message));
        }
        self.registry.store.create_repository(name).await?;
        let settings = settings(document).to_string();
        self.registry
            .store
            .set_note(name, SETTINGS, &settings)
            .await?;
        let repository = self.repository(caller, name).await?;
        Ok(json!({"repository": repository}))
    }

    async fn delete_repository(
        &self,
        caller: &Caller,
        name: &str,
        document: &Value,
    ) -> Result<Value, Refusal> {
        let forced = document.get("force") == Some(&Value::Bool(true));
        if !forced && !self.registry.store.manifests(name).await?.is_empty() {
            let message = format!(
                "The repository with name '{name}' in registry with id '{}' cannot be deleted \
                 because it still contains images",
                caller.account
            );
            return Err(Refusal::new("RepositoryNotEmptyException", message));
        }
        let repository = self.repository(caller, name).await?;
        self.registry.store.delete_repository(name).await?;
        Ok(json!({"repository": repository}))
    }

    /// A repository as ECR describes it.
    async fn repository(&self, caller: &Caller, name: &str) -> Result<Value, Refusal> {
        let stored = self.registry.store.note(name, SETTINGS).await?;
        let stored = stored.and_then(|text| serde_json::from_str(&text).ok());
        let mut repository = stored.unwrap_or_else(|| settings(&Value::Null));
        repository["registryId"] = caller.account.as_str().into();
        repository["repositoryName"] = name.into();
        repository["repositoryArn"] = caller.repository_arn(name).into();
        repository["repositoryUri"] = format!("{}/{name}", caller.registry_host()).into();
        Ok(repository)
    }

    async fn repository_policy(&self, caller: &Caller, name: &str) -> Result<Value, Refusal> {
        let policy = self.registry.store.note(name, POLICY).await?;
        let policy = policy.ok_or_else(|| {
            let message = format!(
                "Repository policy does not exist for the repository with name '{name}' in the \
                 registry with id '{}'",
                caller.account
            );
            Refusal::new("RepositoryPolicyNotFoundException", message)
        })?;
        Ok(about(caller, name, "policyText", policy.into()))
    }

    async fn set_repository_policy(
        &self,
        caller: &Caller,
        name: &str,
        document: &Value,
    ) -> Result<Value, Refusal> {
        let invalid = |why: &str| {
            let message =
                format!("Invalid parameter at 'PolicyText' failed to satisfy constraint: '{why}'");
            Refusal::new("InvalidParameterException", message)
        };
        let text = text(document, "policyText")?;
        if text.chars().count() > MAX_POLICY {
            return Err(invalid("must have length less than or equal to 10240"));
        }
        let policy: Value =
            serde_json::from_str(text).map_err(|_| invalid("Invalid JSON syntax"))?;
        if policy.get("Statement").is_none() {
            return Err(invalid("Invalid repository policy provided"));
        }
        if self.names_hidden_principal(text) {
            return Err(invalid("Principal not found"));
        }
        // ECR gives back its own formatting, not the text it was given.
        let stored = format!("{policy:#}");
        self.registry.store.set_note(name, POLICY, &stored).await?;
        Ok(about(caller, name, "policyText", stored.into()))
    }

    async fn lifecycle_policy(&self, caller: &Caller, name: &str) -> Result<Value, Refusal> {
        let policy = self.registry.store.note(name, LIFECYCLE).await?;
        let policy = policy.ok_or_else(|| {
            let message = format!("Lifecycle policy does not exist for the repository '{name}'");
            Refusal::new("LifecyclePolicyNotFoundException", message)
        })?;
        Ok(about(caller, name, "lifecyclePolicyText", policy.into()))
    }
}

/// Settings of a repository as they are asked for, or by default.
fn settings(document: &Value) -> Value {
    let mut settings = Map::new();
    for (name, default) in [
        ("imageTagMutability", json!("MUTABLE")),
        ("imageScanningConfiguration", json!({"scanOnPush": false})),
        (
            "encryptionConfiguration",
            json!({"encryptionType": "AES256"}),
        ),
        ("imageTagMutabilityExclusionFilters", json!([])),
    ] {
        let given = document.get(name).filter(|given| !given.is_null());
        settings.insert(name.to_owned(), given.cloned().unwrap_or(default));
    }
    settings.into()
}

/// An output that names its repository.
pub(super) fn about(caller: &Caller, name: &str, member: &str, value: Value) -> Value {
    let mut output = json!({"registryId": caller.account, "repositoryName": name});
    output[member] = value;
    output
}

fn text<'a>(document: &'a Value, member: &str) -> Result<&'a str, Refusal> {
    let text = document.get(member).and_then(Value::as_str);
    text.ok_or_else(|| {
        let message = format!("Invalid parameter at '{member}': must not be null");
        Refusal::new("InvalidParameterException", message)
    })
}

fn repository_not_found(caller: &Caller, name: &str) -> Refusal {
    let message = format!(
        "The repository with name '{name}' does not exist in the registry with id '{}'",
        caller.account
    );
    Refusal::new("RepositoryNotFoundException", message)
}
