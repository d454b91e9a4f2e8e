use axum::body::Body;
use axum::http::{Response, StatusCode};
use serde_json::{Value, json};

use super::{HOST, host};
use crate::aws::Error;
use crate::aws::ecr::{EcrRepository, Encryption, Ensured, Mutability, RepositorySettings};
use crate::aws::stand_in::{Seen, StandIn, json, json_error};

const LIFECYCLE: &str = r#"{"rules": [{"rulePriority": 1}]}"#;

fn settings() -> RepositorySettings {
    RepositorySettings {
        mutability: Some(Mutability::Immutable(vec!["dev-*".to_owned()])),
        scan_on_push: Some(true),
        encryption: Some(Encryption::Kms(Some("alias/images".to_owned()))),
        tags: [("team".to_owned(), "a".to_owned())].into(),
        lifecycle_policy: Some(LIFECYCLE.to_owned()),
    }
}

fn present() -> Value {
    json!({"repositories": [{
        "repositoryName": "app",
        "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
        "imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": "dev-*"}],
        "imageScanningConfiguration": {"scanOnPush": true},
        "encryptionConfiguration": {"encryptionType": "KMS", "kmsKey": "arn:aws:kms:eu-west-1:1:key/k"},
    }]})
}

fn created() -> Value {
    json!({"repository": {"repositoryName": "app"}})
}

async fn ensure(
    settings: &RepositorySettings,
    answer: impl Fn(&Seen) -> Response<Body> + Clone + Send + Sync + 'static,
) -> (Result<Ensured, Error>, Vec<Seen>) {
    let ecr = StandIn::start(answer).await;
    let repository = EcrRepository::new(&ecr.clients().await, &host(HOST), "app");
    (repository.ensure(settings).await, ecr.seen())
}

fn ok(body: &Value) -> Response<Body> {
    json(StatusCode::OK, body)
}

fn operations(seen: &[Seen]) -> Vec<&str> {
    seen.iter().map(Seen::operation).collect()
}

#[tokio::test]
async fn a_missing_repository_is_created_as_asked_for() {
    let (ensured, seen) = ensure(&settings(), |request| match request.operation() {
        "DescribeRepositories" => json_error(400, "RepositoryNotFoundException", "none"),
        "CreateRepository" => ok(&created()),
        _ => ok(&json!({"lifecyclePolicyText": LIFECYCLE})),
    })
    .await;
    assert_eq!(ensured.unwrap(), Ensured::Created);
    assert_eq!(
        operations(&seen),
        [
            "DescribeRepositories",
            "CreateRepository",
            "PutLifecyclePolicy"
        ]
    );
    assert_eq!(
        seen[1].json(),
        json!({
            "registryId": "123456789012",
            "repositoryName": "app",
            "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
            "imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": "dev-*"}],
            "imageScanningConfiguration": {"scanOnPush": true},
            "encryptionConfiguration": {"encryptionType": "KMS", "kmsKey": "alias/images"},
            "tags": [{"Key": "team", "Value": "a"}],
        })
    );
    assert_eq!(seen[2].json()["lifecyclePolicyText"], LIFECYCLE);
}

#[tokio::test]
async fn a_repository_without_wishes_is_created_by_two_requests() {
    let (ensured, seen) = ensure(&RepositorySettings::default(), |request| {
        match request.operation() {
            "DescribeRepositories" => json_error(400, "RepositoryNotFoundException", "none"),
            _ => ok(&created()),
        }
    })
    .await;
    assert_eq!(ensured.unwrap(), Ensured::Created);
    assert_eq!(
        seen[1].json(),
        json!({"registryId": "123456789012", "repositoryName": "app"})
    );
    assert_eq!(seen.len(), 2);
}

#[tokio::test]
async fn a_present_repository_is_left_alone() {
    let (ensured, seen) = ensure(&settings(), |request| match request.operation() {
        "DescribeRepositories" => ok(&present()),
        "GetLifecyclePolicy" => {
            ok(&json!({"lifecyclePolicyText": r#"{"rules":[{"rulePriority":1}]}"#}))
        }
        other => panic!("{other} changes the repository"),
    })
    .await;
    assert_eq!(ensured.unwrap(), Ensured::Present(vec![]));
    assert_eq!(seen.len(), 2);
}

#[tokio::test]
async fn differences_of_a_present_repository_are_told() {
    let wanted = RepositorySettings {
        mutability: Some(Mutability::Mutable(vec![])),
        scan_on_push: Some(false),
        encryption: Some(Encryption::Kms(Some(
            "arn:aws:kms:eu-west-1:1:key/other".to_owned(),
        ))),
        ..settings()
    };
    let (ensured, _) = ensure(&wanted, |request| match request.operation() {
        "DescribeRepositories" => ok(&present()),
        "GetLifecyclePolicy" => json_error(400, "LifecyclePolicyNotFoundException", "none"),
        other => panic!("{other} changes the repository"),
    })
    .await;
    let Ensured::Present(differences) = ensured.unwrap() else {
        panic!("it was there");
    };
    let told: Vec<_> = differences.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "image tag mutability: expected MUTABLE, got IMMUTABLE except dev-*",
            "scan on push: expected false, got true",
            "encryption: expected KMS with arn:aws:kms:eu-west-1:1:key/other, \
             got KMS with arn:aws:kms:eu-west-1:1:key/k",
            r#"lifecycle policy: expected {"rules": [{"rulePriority": 1}]}, got none"#,
        ]
    );
}

#[tokio::test]
async fn one_that_someone_else_creates_meanwhile_is_taken() {
    let described = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (ensured, seen) = ensure(&RepositorySettings::default(), move |request| {
        let before = std::sync::atomic::Ordering::Relaxed;
        match request.operation() {
            "DescribeRepositories" if described.swap(true, before) => ok(&present()),
            "DescribeRepositories" => json_error(400, "RepositoryNotFoundException", "none"),
            _ => json_error(400, "RepositoryAlreadyExistsException", "there"),
        }
    })
    .await;
    assert_eq!(ensured.unwrap(), Ensured::Present(vec![]));
    assert_eq!(seen.len(), 3);
}

#[tokio::test]
async fn a_repository_without_the_policy_that_it_was_to_have_is_told() {
    let (ensured, _) = ensure(&settings(), |request| match request.operation() {
        "DescribeRepositories" => json_error(400, "RepositoryNotFoundException", "none"),
        "PutLifecyclePolicy" => json_error(400, "AccessDeniedException", ""),
        _ => ok(&created()),
    })
    .await;
    let error = ensured.unwrap_err();
    assert_eq!(
        error.to_string(),
        "repository app was created without its lifecycle policy, and later deployments leave it \
         as it is: set the policy, or delete the repository and deploy again"
    );
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("allow ecr:PutLifecyclePolicy"), "{cause}");
}

#[tokio::test]
async fn a_refused_creation_says_what_to_do() {
    let (ensured, _) = ensure(&settings(), |request| match request.operation() {
        "DescribeRepositories" => json_error(400, "RepositoryNotFoundException", "none"),
        _ => json_error(400, "AccessDeniedException", ""),
    })
    .await;
    assert_eq!(
        ensured.unwrap_err().to_string(),
        "creating repository app was denied: allow ecr:CreateRepository on \
         arn:aws:ecr:eu-west-1:123456789012:repository/app in the role's policy; \
         in another account, that takes a role of that account"
    );
}
