//! The policy of a repository.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::{Value, json};

use super::repository::unless_missing;
use super::{ECR, EcrRepository};
use crate::aws::{Call, Error, Missing, Operation};
use crate::content;
use crate::policy::{PolicyStore, StoreError};

/// The policy of a repository of a private ECR registry.
#[derive(Clone, Debug)]
pub struct EcrPolicy {
    repository: EcrRepository,
    name: String,
}

impl EcrPolicy {
    /// The policy of `repository`.
    pub fn new(repository: EcrRepository) -> Self {
        Self {
            name: repository.arn().to_string(),
            repository,
        }
    }

    fn call(&self, operation: Operation) -> Call {
        Call {
            operation,
            target: format!("the policy of repository {}", self.repository.name),
            resource: self.name.clone(),
            region: self.repository.endpoint.region.clone(),
        }
    }

    /// Asks ECR to do `operation` with the policy. Returns its text, which every answer of success
    /// has: without it, nothing can be told of the policy.
    async fn ask(&self, operation: Operation, fields: Value) -> Result<String, Error> {
        let repository = &self.repository;
        let call = self.call(operation);
        let body = repository.named_in(fields);
        let asking = repository
            .clients
            .ask(&ECR, &repository.endpoint, &call, &body);
        let answer: Answer = asking.await?;
        answer.policy_text.ok_or_else(|| Error::Incomplete {
            call: Box::new(call),
            expected: "the text of the policy",
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    policy_text: Option<String>,
}

/// The meaning of an error for the policy. ECR has one code for whatever it does not like about a
/// policy, so that only the message tells a principal that does not exist from the rest.
fn classified(error: Error) -> StoreError {
    match &error {
        Error::NotFound {
            missing: Missing::Repository,
            ..
        } => StoreError::RepositoryNotFound(error.into()),
        Error::Refused { source, .. } if &*source.code == "InvalidParameterException" => {
            if source.message.contains("Principal not found") {
                StoreError::PrincipalNotFound(error.into())
            } else {
                StoreError::Refused(error.into())
            }
        }
        _ => StoreError::Other(content::Error::backend(error)),
    }
}

impl PolicyStore for EcrPolicy {
    fn name(&self) -> &str {
        &self.name
    }

    fn get(&self) -> BoxFuture<'_, Result<Option<String>, StoreError>> {
        async {
            let answer = self.ask(Operation::GetRepositoryPolicy, json!({})).await;
            unless_missing(answer, Missing::Policy).map_err(classified)
        }
        .boxed()
    }

    fn set<'a>(&'a self, text: &'a str, force: bool) -> BoxFuture<'a, Result<(), StoreError>> {
        async move {
            let fields = json!({ "policyText": text, "force": force });
            let answer = self.ask(Operation::SetRepositoryPolicy, fields).await;
            answer.map(drop).map_err(classified)
        }
        .boxed()
    }

    fn delete(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        async {
            let answer = self.ask(Operation::DeleteRepositoryPolicy, json!({})).await;
            let deleted = unless_missing(answer, Missing::Policy);
            deleted.map(drop).map_err(classified)
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use serde_json::json;

    use super::*;
    use crate::aws::EcrHost;
    use crate::aws::stand_in::{Seen, StandIn, json as answer, json_error};

    const HOST: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
    const ARN: &str = "arn:aws:ecr:eu-west-1:123456789012:repository/team/app";

    async fn policy(ecr: &StandIn) -> EcrPolicy {
        let Some(EcrHost::Private(host)) = EcrHost::parse(HOST) else {
            panic!("{HOST}");
        };
        EcrPolicy::new(EcrRepository::new(&ecr.clients().await, &host, "team/app"))
    }

    async fn refused(code: &'static str, message: &'static str) -> StoreError {
        let ecr = StandIn::start(move |_| json_error(400, code, message)).await;
        policy(&ecr).await.set("{}", false).await.unwrap_err()
    }

    #[tokio::test]
    async fn asks_for_the_repository_in_its_account_and_never_forces_by_itself() {
        let ecr =
            StandIn::start(|_| answer(StatusCode::OK, &json!({"policyText": "{\"a\":1}"}))).await;
        let policy = policy(&ecr).await;
        assert_eq!(policy.name(), ARN);
        assert_eq!(policy.get().await.unwrap().as_deref(), Some("{\"a\":1}"));
        policy.set("{\"b\":2}", false).await.unwrap();
        policy.delete().await.unwrap();
        let seen = ecr.seen();
        let operations: Vec<_> = seen.iter().map(Seen::operation).collect();
        let expected = ["Get", "Set", "Delete"].map(|verb| format!("{verb}RepositoryPolicy"));
        assert_eq!(operations, expected);
        for request in &seen {
            let body = request.json();
            assert_eq!(body["registryId"], "123456789012");
            assert_eq!(body["repositoryName"], "team/app");
        }
        assert_eq!(seen[1].json()["policyText"], "{\"b\":2}");
        assert_eq!(seen[1].json()["force"], false);
    }

    #[tokio::test]
    async fn a_policy_that_is_not_there_is_none() {
        let ecr =
            StandIn::start(|_| json_error(400, "RepositoryPolicyNotFoundException", "none")).await;
        let policy = policy(&ecr).await;
        assert_eq!(policy.get().await.unwrap(), None);
        policy.delete().await.unwrap();
    }

    #[tokio::test]
    async fn tells_apart_what_ecr_answers() {
        let invalid = |what| {
            refused(
                "InvalidParameterException",
                match what {
                    "principal" => {
                        "Invalid parameter at 'PolicyText' failed to satisfy constraint: \
                         'Principal not found'"
                    }
                    _ => {
                        "Invalid parameter at 'PolicyText' failed to satisfy constraint: \
                         'Invalid repository policy provided'"
                    }
                },
            )
        };
        let unknown = invalid("principal").await;
        assert!(
            matches!(unknown, StoreError::PrincipalNotFound(_)),
            "{unknown}"
        );
        let malformed = invalid("policy").await;
        assert!(matches!(malformed, StoreError::Refused(_)), "{malformed}");
        let missing = refused("RepositoryNotFoundException", "gone").await;
        assert!(
            matches!(missing, StoreError::RepositoryNotFound(_)),
            "{missing}"
        );
        assert!(missing.to_string().contains("create it first"), "{missing}");
    }

    #[tokio::test]
    async fn names_the_permission_that_is_missing() {
        let denied = refused("AccessDeniedException", "no").await;
        assert!(!denied.is_retryable());
        assert_eq!(
            denied.to_string(),
            format!(
                "writing the policy of repository team/app was denied: allow \
                 ecr:SetRepositoryPolicy on {ARN} in the role's policy, and in the repository's \
                 where it is another account's"
            )
        );
    }
}
