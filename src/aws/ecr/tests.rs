//! What must be true of the tokens and repositories of ECR.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::http::{Response, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;

use super::{EcrCredentials, EcrRepository};
use crate::aws::stand_in::{StandIn, json, json_error};
use crate::aws::{EcrHost, Error, PrivateHost};
use crate::registry::{CredentialProvider, Credentials};

const HOST: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

fn host(text: &str) -> PrivateHost {
    match EcrHost::parse(text) {
        Some(EcrHost::Private(host)) => host,
        other => panic!("{text}: {other:?}"),
    }
}

fn token(lifetime: Duration) -> Response<Body> {
    let expires = SystemTime::now() + lifetime;
    let data = serde_json::json!({
        "authorizationToken": STANDARD.encode("AWS:token:with:colons"),
        "expiresAt": expires.duration_since(UNIX_EPOCH).unwrap().as_secs(),
        "proxyEndpoint": format!("https://{HOST}"),
    });
    json(
        StatusCode::OK,
        &serde_json::json!({"authorizationData": [data]}),
    )
}

#[tokio::test]
async fn many_who_ask_at_once_share_one_token() {
    let ecr = StandIn::start(|_| token(Duration::from_hours(12))).await;
    let clients = ecr.clients().await;
    let providers: Vec<_> = (0..8)
        .map(|_| EcrCredentials::new(&clients, &host(HOST)))
        .collect();
    let got = join_all(providers.iter().map(|provider| provider.credentials(HOST))).await;
    for credentials in got {
        let expected = Credentials::basic("AWS", "token:with:colons");
        assert_eq!(credentials.unwrap(), Some(expected));
    }
    let seen = ecr.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].operation(), "GetAuthorizationToken");
    assert!(
        seen[0]
            .header("authorization")
            .contains("/eu-west-1/ecr/aws4_request")
    );
}

#[tokio::test]
async fn a_token_about_to_end_is_replaced() {
    let ecr = StandIn::start(|_| token(Duration::from_mins(10))).await;
    let provider = EcrCredentials::new(&ecr.clients().await, &host(HOST));
    provider.credentials(HOST).await.unwrap();
    provider.credentials(HOST).await.unwrap();
    assert_eq!(ecr.seen().len(), 2);
}

#[tokio::test]
async fn a_fresh_token_that_is_refused_is_kept() {
    let ecr = StandIn::start(|_| token(Duration::from_hours(12))).await;
    let provider = EcrCredentials::new(&ecr.clients().await, &host(HOST));
    provider.credentials(HOST).await.unwrap();
    provider.invalidate(HOST);
    provider.credentials(HOST).await.unwrap();
    assert_eq!(
        ecr.seen().len(),
        1,
        "another token would be refused as well"
    );
}

#[tokio::test]
async fn a_denied_token_names_the_permission() {
    let ecr = StandIn::start(|_| json_error(400, "AccessDeniedException", "no")).await;
    let provider = EcrCredentials::new(&ecr.clients().await, &host(HOST));
    let error = provider.credentials(HOST).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "logging in to ECR in eu-west-1 was denied: allow ecr:GetAuthorizationToken on * in the role's policy"
    );
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn an_answer_without_a_token_is_an_error() {
    for body in [
        r#"{"authorizationData":[]}"#,
        r#"{"authorizationData":[{"authorizationToken":"!"}]}"#,
    ] {
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        let ecr = StandIn::start(move |_| json(StatusCode::OK, &body)).await;
        let provider = EcrCredentials::new(&ecr.clients().await, &host(HOST));
        let error = provider.credentials(HOST).await.unwrap_err();
        assert!(
            matches!(error.downcast_ref(), Some(Error::Incomplete { .. })),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_repository_is_looked_up_in_the_registrys_account() {
    let ecr = StandIn::start(|request| {
        if request.json()["repositoryNames"][0] == "team/app" {
            let repositories =
                serde_json::json!({"repositories": [{"repositoryName": "team/app"}]});
            return json(StatusCode::OK, &repositories);
        }
        json_error(400, "RepositoryNotFoundException", "not in the registry")
    })
    .await;
    let clients = ecr.clients().await;
    assert!(
        EcrRepository::new(&clients, &host(HOST), "team/app")
            .exists()
            .await
            .unwrap()
    );
    assert!(
        !EcrRepository::new(&clients, &host(HOST), "gone")
            .exists()
            .await
            .unwrap()
    );
    assert_eq!(ecr.seen()[0].json()["registryId"], "123456789012");
}
