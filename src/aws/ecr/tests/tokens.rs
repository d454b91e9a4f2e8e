use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::http::{Response, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;

use super::{HOST, host};
use crate::aws::Error;
use crate::aws::ecr::{EcrCredentials, PublicCredentials};
use crate::aws::stand_in::{StandIn, json, json_error};
use crate::registry::{CredentialProvider, Credentials};

fn data(lifetime: Duration) -> serde_json::Value {
    let expires = SystemTime::now() + lifetime;
    serde_json::json!({
        "authorizationToken": STANDARD.encode("AWS:token:with:colons"),
        "expiresAt": expires.duration_since(UNIX_EPOCH).unwrap().as_secs(),
    })
}

fn token(lifetime: Duration) -> Response<Body> {
    json(
        StatusCode::OK,
        &serde_json::json!({"authorizationData": [data(lifetime)]}),
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
async fn the_token_of_ecr_public_is_asked_for_in_its_region() {
    let aws = StandIn::start(|_| {
        let data = data(Duration::from_hours(12));
        json(
            StatusCode::OK,
            &serde_json::json!({"authorizationData": data}),
        )
    })
    .await;
    let clients = aws.clients().await;
    for provider in [
        PublicCredentials::for_push(&clients),
        PublicCredentials::for_pull(&clients),
    ] {
        let credentials = provider.credentials("public.ecr.aws").await.unwrap();
        assert_eq!(
            credentials,
            Some(Credentials::basic("AWS", "token:with:colons"))
        );
    }
    let seen = aws.seen();
    assert_eq!(seen.len(), 1, "pull and push share the token");
    assert!(
        seen[0]
            .header("authorization")
            .contains("/us-east-1/ecr-public/aws4_request")
    );
}

#[tokio::test]
async fn who_may_not_log_in_to_ecr_public_pulls_anonymously_and_does_not_push() {
    let aws = StandIn::start(|_| json_error(400, "AccessDeniedException", "no")).await;
    let clients = aws.clients().await;
    let pull = PublicCredentials::for_pull(&clients);
    assert_eq!(pull.credentials("").await.unwrap(), None);
    let push = PublicCredentials::for_push(&clients);
    let error = push.credentials("").await.unwrap_err().to_string();
    assert!(
        error.contains("allow ecr-public:GetAuthorizationToken on *"),
        "{error}"
    );
}
