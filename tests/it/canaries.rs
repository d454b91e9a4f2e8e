//! Secrets of every kind, sent to a registry that repeats all that it is sent: none of them is in
//! an answer, a log line or what a command prints.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use longshore::cloudformation::{Delivery, Handler, Invocation, log_subscriber};
use longshore::local::{AwsApiOptions, EnvironmentOptions};
use longshore::redact::Secret;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tracing::level_filters::LevelFilter;

use crate::support::{Archive, Bench, Lines, follow, stderr};

const PASSWORD: &str = "canary-password-8c1f";
const TOKEN: &str = "canary-token-77ab";
const SIGNATURE: &str = "canary0signature0d2e9";

/// Registries that repeat what they are sent: one for Basic, and one with tokens.
async fn parrot(with_tokens: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let realm = format!("http://{address}/token");
    let app = Router::new().fallback(move |request: Request| {
        let realm = realm.clone();
        async move { repeat(&request, with_tokens.then_some(realm)) }
    });
    tokio::spawn(async { axum::serve(listener, app).await });
    address
}

fn repeat(request: &Request, realm: Option<String>) -> Response {
    if request.uri().path() == "/token" {
        return json!({ "token": TOKEN }).to_string().into_response();
    }
    let sent = request.headers().get(header::AUTHORIZATION);
    let Some(sent) = sent else {
        let challenge = realm.map_or("Basic realm=\"parrot\"".to_owned(), |realm| {
            format!("Bearer realm=\"{realm}\"")
        });
        let headers = [(header::WWW_AUTHENTICATE, challenge)];
        return (StatusCode::UNAUTHORIZED, headers).into_response();
    };
    let message = format!("not with {sent:?} on {}", request.uri());
    let plain = sent.to_str().unwrap_or_default().split(' ').nth(1);
    let decoded = plain.and_then(|text| STANDARD.decode(text).ok());
    let decoded = decoded.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let errors = json!({ "errors": [
        { "code": "DENIED", "message": message },
        { "code": "UNKNOWN", "message": decoded.unwrap_or_default() },
    ]});
    (StatusCode::BAD_REQUEST, errors.to_string()).into_response()
}

fn assert_clean(place: &str, text: &str) {
    let basic = STANDARD.encode(format!("robot:{PASSWORD}"));
    for canary in [PASSWORD, TOKEN, SIGNATURE, &basic, "canary"] {
        assert!(!text.contains(canary), "{place} holds {canary}: {text}");
    }
}

/// Runs the handler on an event, with every log line, and gives what the stack hears.
async fn heard(event: Value, secret: &str) -> String {
    let secrets = [("login".to_owned(), Secret::new(secret.to_owned()))].into();
    let bench = Bench::with(EnvironmentOptions {
        aws: AwsApiOptions {
            secrets,
            ..AwsApiOptions::default()
        },
        ..EnvironmentOptions::default()
    })
    .await;
    bench.stage("example.tar", &Archive::of(&[b"layer"]).tar());
    let handler = Handler::new(Arc::new(bench.deployer), Delivery::new(true).unwrap());
    let lines = Lines::default();
    let subscriber = log_subscriber(LevelFilter::TRACE, true, lines.clone());
    let logging = follow(subscriber);
    let invocation = Invocation {
        id: "invocation".to_owned(),
        deadline: Instant::now() + Duration::from_secs(20),
        function: String::new(),
        log_group: String::new(),
    };
    let raw = RawValue::from_string(event.to_string()).unwrap();
    let answered = handler.handle(&raw, &invocation).await;
    drop(logging);
    let logged = lines.text();
    assert!(logged.contains("\"done\""), "{logged}");
    assert_clean("the log", &logged);
    answered.unwrap_err().to_string()
}

fn event(properties: &Value) -> Value {
    json!({
        "RequestType": "Create",
        "ResourceType": "Custom::ECRImage",
        "LogicalResourceId": "Image",
        "ResourceProperties": properties,
    })
}

#[tokio::test]
async fn a_registry_that_repeats_what_it_is_sent_is_quoted_without_secrets() {
    let json_secret = json!({"username": "robot", "password": PASSWORD}).to_string();
    for secret in [format!("robot:{PASSWORD}"), json_secret] {
        for with_tokens in [false, true] {
            let registry = parrot(with_tokens).await;
            for properties in [
                json!({
                    "Source": "s3://images/example.tar",
                    "Destination": format!("{registry}/app:1"),
                    "DestinationCredentials": "login",
                }),
                json!({
                    "Source": format!("{registry}/app:1"),
                    "Destination": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:1",
                    "SourceCredentials": "login",
                }),
            ] {
                let reason = heard(event(&properties), &secret).await;
                assert_clean("the reason", &reason);
                assert!(reason.contains("not with"), "the peer is quoted: {reason}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_written_into_a_reference_is_not_repeated() {
    let destination = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:1";
    for (name, value) in [
        (
            "Source",
            format!("docker://robot:{PASSWORD}@registry.example/app"),
        ),
        ("Source", format!("robot:{PASSWORD}@registry.example/app:1")),
        (
            "Source",
            format!("s3://images/a.tar?X-Amz-Signature={SIGNATURE}"),
        ),
        (
            "Source",
            format!("registry.example/app?X-Amz-Signature={SIGNATURE}"),
        ),
        (
            "Source",
            format!("http://registry.example/a?sig={SIGNATURE}"),
        ),
        (
            "Destination",
            format!("robot:{PASSWORD}@registry.example/app:1"),
        ),
        (
            "ReuseFrom",
            format!("robot:{PASSWORD}@registry.example/app:1"),
        ),
        (
            "Destinations",
            format!("robot:{PASSWORD}@registry.example/app:1"),
        ),
        ("SourceCredentials", format!("robot:{PASSWORD}")),
        (
            "SourceCredentials",
            "ghp_canary0123456789abcdefABCDEF".to_owned(),
        ),
        (
            "SourceCredentials",
            "canaryA1b2C3d4E5f6G7h8I9j0K1l2".to_owned(),
        ),
        ("DestinationCredentials", "dckr_pat_canary-77ab".to_owned()),
    ] {
        let mut properties = json!({"Source": "nginx:1", "Destination": destination});
        properties[name] = json!(value);
        let reason = heard(event(&properties), "robot:unused-secret").await;
        assert!(reason.contains(name), "{reason}");
        assert_clean(name, &reason);
    }
}

#[tokio::test]
async fn a_command_quotes_a_registry_without_secrets() {
    for with_tokens in [false, true] {
        let registry = parrot(with_tokens).await;
        let folder = tempfile::tempdir().unwrap();
        let auth = STANDARD.encode(format!("robot:{PASSWORD}"));
        let config = json!({ "auths": { &registry: { "auth": auth } } });
        std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        let source = format!("{registry}/app:1");
        let destination = format!("{registry}/copy:1");
        for arguments in [
            vec!["inspect", &source],
            vec!["copy", &source, &destination],
            vec!["copy", "--json", &source, &destination],
        ] {
            let run = tokio::process::Command::new(env!("CARGO_BIN_EXE_longshore"))
                .args(&arguments)
                .env_clear()
                .env("DOCKER_CONFIG", folder.path())
                .env("LONGSHORE_ALLOW_LOOPBACK", "1")
                .output()
                .await
                .unwrap();
            assert!(!run.status.success());
            let said = stderr(&run);
            assert!(said.contains("not with"), "the peer is quoted: {said}");
            assert_clean("standard error", &said);
            assert_clean("standard output", &String::from_utf8_lossy(&run.stdout));
        }
    }
}
