//! What must be true of identities, secrets and what cannot be reached.

mod hosts;

use aws_credential_types::Credentials as AwsCredentials;
use aws_credential_types::credential_fn::provide_credentials_fn;
use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use axum::body::Body;
use axum::http::{Response, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::stand_in::{Seen, StandIn, json, json_error};
use super::{
    Clients, EcrCredentials, EcrHost, Error, Location, Role, SecretCredentials, open_object,
};
use crate::registry::{CredentialProvider, Credentials};

const ROLE: &str = "arn:aws:iam::210987654321:role/push";

fn location() -> Location {
    Location {
        bucket: "bucket".to_owned(),
        key: "image.tar".to_owned(),
        version_id: None,
        region: None,
    }
}

fn secret(text: &str) -> Response<Body> {
    json(StatusCode::OK, &serde_json::json!({"SecretString": text}))
}

fn is_sts(request: &Seen) -> bool {
    request
        .header("authorization")
        .contains("/sts/aws4_request")
}

fn assumed() -> Response<Body> {
    let body = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
        <Credentials><AccessKeyId>ROLEKEY</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
        <SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>\
        </AssumeRoleResult></AssumeRoleResponse>";
    Response::new(Body::from(body))
}

fn sts_error(code: &str) -> Response<Body> {
    let body = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code>\
         <Message>not authorized</Message></Error></ErrorResponse>"
    );
    Response::builder()
        .status(403)
        .header("x-amzn-requestid", "REQ1")
        .body(Body::from(body))
        .unwrap()
}

#[tokio::test]
async fn a_secret_is_read_once_in_the_region_of_its_arn() {
    let aws = StandIn::start(|_| secret(r#"{"username":"u","password":"p"}"#)).await;
    let arn = "arn:aws:secretsmanager:ap-south-1:123456789012:secret:hub-AbCdEf";
    let provider = SecretCredentials::new(&aws.clients().await, arn);
    for _ in 0..2 {
        let credentials = provider.credentials("docker.io").await.unwrap();
        assert_eq!(credentials, Some(Credentials::basic("u", "p")));
    }
    let seen = aws.seen();
    assert_eq!(seen.len(), 1);
    assert!(
        seen[0]
            .header("authorization")
            .contains("/ap-south-1/secretsmanager/")
    );
    assert_eq!(seen[0].json()["SecretId"], arn);
}

#[tokio::test]
async fn a_secret_may_be_kept_as_bytes() {
    let binary = STANDARD.encode("u:p");
    let answer = serde_json::json!({"Name": "hub", "SecretBinary": binary});
    let aws = StandIn::start(move |_| json(StatusCode::OK, &answer)).await;
    let provider = SecretCredentials::new(&aws.clients().await, "hub");
    let credentials = provider.credentials("docker.io").await.unwrap();
    assert_eq!(credentials, Some(Credentials::basic("u", "p")));
    assert!(aws.seen()[0].header("user-agent").starts_with("longshore/"));
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_not_shown() {
    for body in [
        r#"{"SecretString":{"hunter2":1}}"#,
        r#"["hunter2"]"#,
        "<p>hunter2",
    ] {
        let aws = StandIn::start(move |_| Response::new(Body::from(body))).await;
        let provider = SecretCredentials::new(&aws.clients().await, "hub");
        let error = provider.credentials("docker.io").await.unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("the request or its answer is malformed"),
            "{error}"
        );
        let cause = std::error::Error::source(&error).unwrap();
        assert!(
            !format!("{error:?} {cause}").contains("hunter2"),
            "{error:?}"
        );
        assert_eq!(aws.seen().len(), 1);
    }
}

#[tokio::test]
async fn an_answer_without_end_is_given_up() {
    for status in [200, 403] {
        let aws = StandIn::start(move |_| {
            let more = Ok::<_, std::convert::Infallible>("x".repeat(1 << 16));
            let body = futures_util::stream::repeat(more);
            let answer = Response::builder().status(status);
            answer.body(Body::from_stream(body)).unwrap()
        })
        .await;
        let clients = aws.clients().await;
        let secret = SecretCredentials::new(&clients, "pull");
        let error = secret.credentials("quay.io").await.unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(cause, "the answer has more than 4194304 bytes");
    }
}

#[tokio::test]
async fn a_secret_that_is_none_is_not_shown() {
    let aws = StandIn::start(|_| secret("hunter2")).await;
    let provider = SecretCredentials::new(&aws.clients().await, "hub");
    let error = provider.credentials("docker.io").await.unwrap_err();
    assert!(matches!(
        error.downcast_ref(),
        Some(Error::SecretFormat { .. })
    ));
    assert!(!format!("{error} {error:?} {provider:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_secret_that_is_refused_says_what_to_do() {
    for (code, expected) in [
        (
            "ResourceNotFoundException",
            "reading secret hub failed: there is no such secret in us-east-1; a secret of another region is given by its ARN",
        ),
        (
            "AccessDeniedException",
            "reading secret hub was denied: allow secretsmanager:GetSecretValue on \
             arn:aws:secretsmanager:us-east-1:*:secret:hub-?????? in the role's policy, \
             and in the secret's where it is another account's",
        ),
        (
            "DecryptionFailure",
            "reading secret hub failed: the KMS key that encrypts it cannot be used; \
             see that it is enabled and not pending deletion",
        ),
    ] {
        let aws = StandIn::start(move |_| json_error(400, code, "no")).await;
        let provider = SecretCredentials::new(&aws.clients().await, "hub");
        let error = provider.credentials("docker.io").await.unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[tokio::test]
async fn a_role_is_taken_on_once_and_signs_what_follows() {
    let aws = StandIn::start(|request| {
        if is_sts(request) {
            assumed()
        } else {
            secret("u:p")
        }
    })
    .await;
    let own = aws.clients().await;
    let role = Role::new(ROLE, Some("ext".to_owned()), "stack/Image");
    for id in ["one", "two"] {
        let clients = own.assume(&role).await;
        SecretCredentials::new(&clients, id)
            .credentials("")
            .await
            .unwrap();
    }
    let seen = aws.seen();
    assert_eq!(seen.len(), 3);
    let asked = String::from_utf8(seen[0].body.to_vec()).unwrap();
    assert!(
        asked.contains("RoleSessionName=longshore-stack-Image"),
        "{asked}"
    );
    assert!(asked.contains("ExternalId=ext"), "{asked}");
    for request in &seen[1..] {
        assert!(
            request
                .header("authorization")
                .contains("Credential=ROLEKEY/")
        );
    }
}

#[tokio::test]
async fn a_role_that_is_denied_is_named() {
    let aws = StandIn::start(|request| {
        assert!(is_sts(request));
        sts_error("AccessDenied")
    })
    .await;
    let role = Role::new(ROLE, Some("ext".to_owned()), "stack/Image");
    let clients = aws.clients().await.assume(&role).await;
    let error = open_object(&clients, location()).await.err().unwrap();
    assert_eq!(
        error.to_string(),
        format!(
            "assuming role {ROLE} for reading s3://bucket/image.tar was denied: allow sts:AssumeRole \
             on it, and let its trust policy name the caller and the external ID"
        )
    );
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "AccessDenied: not authorized (request ID REQ1)");
}

#[tokio::test]
async fn credentials_that_expired_are_told_from_a_role_that_is_denied() {
    let aws = StandIn::start(|_| sts_error("ExpiredToken")).await;
    let role = Role::new(ROLE, None, "stack/Image");
    let clients = aws.clients().await.assume(&role).await;
    let error = open_object(&clients, location()).await.err().unwrap();
    assert!(matches!(error, Error::BadCredentials { .. }), "{error}");
}

/// Connects to nothing.
#[derive(Debug)]
struct Unreachable;

impl HttpConnector for Unreachable {
    fn call(&self, _request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::ready(Err(ConnectorError::io("connection refused".into())))
    }
}

async fn clients_over(network: impl HttpConnector + 'static) -> Clients {
    let network = SharedHttpConnector::new(network);
    let config = super::config::loader()
        .http_client(http_client_fn(move |_, _| network.clone()))
        .credentials_provider(AwsCredentials::new("a", "b", None, None, "test"))
        .region(aws_config::Region::from_static("eu-west-1"))
        .load()
        .await;
    Clients::new(config, None)
}

#[tokio::test(start_paused = true)]
async fn what_is_not_reached_names_the_endpoint_that_a_vpc_may_lack() {
    let clients = clients_over(Unreachable).await;
    let Some(EcrHost::Private(host)) =
        EcrHost::parse("123456789012.dkr.ecr.eu-west-1.amazonaws.com")
    else {
        panic!("ECR");
    };
    let provider = EcrCredentials::new(&clients, &host);
    let error = provider.credentials("").await.unwrap_err();
    assert!(error.is_retryable());
    assert_eq!(
        error.to_string(),
        "logging in to ECR in eu-west-1 failed: ECR in eu-west-1 was not reached; a function in a \
         VPC needs a way to it, such as the endpoint com.amazonaws.eu-west-1.ecr.api"
    );
}

/// Takes requests, and never answers.
#[derive(Debug)]
struct Silent;

impl HttpConnector for Silent {
    fn call(&self, _request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_answer_is_given_up() {
    let began = tokio::time::Instant::now();
    let opened = open_object(&clients_over(Silent).await, location()).await;
    let error = opened.err().unwrap();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert!(error.is_retryable());
    assert!(began.elapsed() < std::time::Duration::from_mins(2));
}

#[tokio::test]
async fn without_credentials_the_error_says_so() {
    let none = || async { Err(CredentialsError::not_loaded("no providers in chain")) };
    let config = super::config::loader()
        .credentials_provider(provide_credentials_fn(none))
        .region(aws_config::Region::from_static("eu-west-1"))
        .endpoint_url("http://127.0.0.1:9")
        .load()
        .await;
    let clients = Clients::new(config, None);
    let error = open_object(&clients, location()).await.err().unwrap();
    assert!(matches!(error, Error::NoCredentials { .. }), "{error:?}");
}
