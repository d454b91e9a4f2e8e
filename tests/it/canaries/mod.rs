//! Secrets of every kind, sent to peers that repeat all that they are sent: none of them is in an
//! answer, a log line or what a command prints.

mod parrot;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use longshore::cloudformation::{Delivery, Handler, Invocation, log_subscriber};
use longshore::local::{AwsApiOptions, EnvironmentOptions};
use longshore::redact::Secret;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::level_filters::LevelFilter;

use self::parrot::{Login, Parrot, Voice};
use crate::support::{Archive, Bench, Lines, follow, stderr};

const PASSWORD: &str = "canary-password-8c1f-2";
/// Too short to be looked for alone.
const SHORT_PASSWORD: &str = "cnry";
const TOKEN: &str = "canary-token-77ab-of-the-registry";
const SIGNATURE: &str = "canary0signature0d2e90ab";
const SESSION: &str = "canary0session0token0b7e5";
const STATE: &str = "canary0state0of0an0upload";
const AWS_SECRET: &str = "canary-secret-access-key-31/d+0";
const AWS_SESSION: &str = "canary-session-token-of-a-caller-55e0";
const ROLE_SECRET: &str = "canary-secret-of-a-role-9b/2+7";
const ROLE_SESSION: &str = "canary-session-token-of-a-role-0a44";

fn assert_clean(place: &str, text: &str) {
    let encoded = |password| STANDARD.encode(format!("robot:{password}"));
    let pair = format!("robot:{SHORT_PASSWORD}");
    let others = [pair, encoded(PASSWORD), encoded(SHORT_PASSWORD)];
    let text = text.to_lowercase();
    let canaries = others.iter().map(|canary| canary.to_lowercase());
    for canary in canaries.chain(["canary".to_owned()]) {
        assert!(!text.contains(&canary), "{place} holds {canary}: {text}");
    }
    // The last half of each.
    for secret in [
        PASSWORD,
        TOKEN,
        SIGNATURE,
        SESSION,
        STATE,
        AWS_SECRET,
        AWS_SESSION,
        ROLE_SECRET,
        ROLE_SESSION,
    ] {
        let half = &secret[secret.len() / 2..];
        assert!(!text.contains(half), "{place} holds …{half}: {text}");
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
    let login = format!("robot:{PASSWORD}");
    let short = json!({"username": "robot", "password": SHORT_PASSWORD}).to_string();
    let document = json!({"username": "robot", "password": PASSWORD}).to_string();
    for (secret, login, voice) in [
        (&login, Login::Basic, Voice::Plain),
        (&login, Login::Tokens, Voice::Plain),
        (&document, Login::Basic, Voice::Decoded),
        (&document, Login::Tokens, Voice::Upper),
        (&login, Login::Tokens, Voice::Halves),
        (&short, Login::Basic, Voice::Plain),
        (&short, Login::Basic, Voice::Decoded),
    ] {
        for properties in both_sides(&Parrot::refusing(login, voice).await) {
            let reason = heard(event(&properties), secret).await;
            assert_clean("the reason", &reason);
            assert!(reason.contains("not with"), "the peer is quoted: {reason}");
        }
    }
}

#[tokio::test]
async fn the_keys_of_redirects_and_uploads_are_not_repeated() {
    for voice in Voice::ALL {
        for properties in both_sides(&Parrot::sending_on(voice).await) {
            let reason = heard(event(&properties), &format!("robot:{PASSWORD}")).await;
            assert_clean("the reason", &reason);
            assert!(reason.contains("not with"), "the peer is quoted: {reason}");
        }
    }
}

/// The registry as the destination of an image, and as its source.
fn both_sides(registry: &str) -> [Value; 2] {
    [
        json!({
            "Source": "s3://images/example.tar",
            "Destination": format!("{registry}/app:1"),
            "DestinationCredentials": "login",
            "Retry": "1",
        }),
        json!({
            "Source": format!("{registry}/app:1"),
            "Destination": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:1",
            "SourceCredentials": "login",
            "Retry": "1",
        }),
    ]
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

/// Runs a command, which fails.
async fn said(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let run = tokio::process::Command::new(env!("CARGO_BIN_EXE_longshore"))
        .args(arguments)
        .env_clear()
        .env("LONGSHORE_ALLOW_LOOPBACK", "1")
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_MAX_ATTEMPTS", "1")
        .envs(environment.iter().copied())
        .output()
        .await
        .unwrap();
    assert!(!run.status.success());
    let output = String::from_utf8_lossy(&run.stdout).into_owned();
    let said = format!("{output}{}", stderr(&run));
    assert!(said.contains("not with"), "the peer is quoted: {said}");
    assert_clean("the output", &said);
    said
}

#[tokio::test]
async fn a_command_quotes_a_registry_without_secrets() {
    for (login, voice) in [
        (Login::Basic, Voice::Plain),
        (Login::Tokens, Voice::Plain),
        (Login::Basic, Voice::Decoded),
        (Login::Tokens, Voice::Halves),
    ] {
        let registry = Parrot::refusing(login, voice).await;
        let folder = tempfile::tempdir().unwrap();
        let auth = STANDARD.encode(format!("robot:{PASSWORD}"));
        let config = json!({ "auths": { &registry: { "auth": auth } } }).to_string();
        std::fs::write(folder.path().join("config.json"), &config).unwrap();
        let source = format!("{registry}/app:1");
        let destination = format!("{registry}/copy:1");
        let folder = folder.path().to_str().unwrap();
        for arguments in [
            vec!["inspect", &source],
            vec!["copy", &source, &destination],
            vec!["copy", "--json", &source, &destination],
        ] {
            said(&arguments, &[("DOCKER_CONFIG", folder)]).await;
            said(&arguments, &[("DOCKER_AUTH_CONFIG", &config)]).await;
        }
    }
}

#[tokio::test]
async fn a_proxy_is_quoted_without_its_password() {
    for voice in Voice::ALL {
        let proxy = Parrot::refusing(Login::None, voice).await;
        let proxy = format!("http://robot:{PASSWORD}@{proxy}");
        said(&["inspect", "127.0.0.1:1/app:1"], &[("HTTP_PROXY", &proxy)]).await;
    }
}

#[tokio::test]
async fn aws_is_quoted_without_the_keys_of_whoever_asks() {
    let folder = tempfile::tempdir().unwrap();
    let profile = folder.path().join("credentials");
    let keys = format!(
        "[default]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = {AWS_SECRET}\n\
         aws_session_token = {AWS_SESSION}\n"
    );
    std::fs::write(&profile, keys).unwrap();
    let archive = folder.path().join("app.tar");
    std::fs::write(&archive, Archive::of(&[b"layer"]).tar()).unwrap();
    let archive = format!("docker-archive:{}", archive.display());
    for voice in Voice::ALL {
        let aws = format!("http://{}", Parrot::refusing(Login::None, voice).await);
        let by_variables = [
            ("AWS_ENDPOINT_URL", aws.as_str()),
            ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", AWS_SECRET),
            ("AWS_SESSION_TOKEN", AWS_SESSION),
        ];
        let by_profile = [
            ("AWS_ENDPOINT_URL", aws.as_str()),
            ("AWS_SHARED_CREDENTIALS_FILE", profile.to_str().unwrap()),
        ];
        for environment in [&by_variables[..], &by_profile] {
            let destination = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:1";
            said(&["inspect", "s3://images/app.tar"], environment).await;
            said(&["copy", &archive, destination], environment).await;
        }
        let role = json!({
            "Source": "s3://images/app.tar",
            "SourceRoleArn": "arn:aws:iam::210987654321:role/reader",
            "Destination": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:1",
        });
        let file = folder.path().join("event.json");
        std::fs::write(&file, event(&role).to_string()).unwrap();
        let said = said(&["invoke", file.to_str().unwrap()], &by_variables).await;
        assert!(said.contains("s3://images/app.tar"), "{said}");
    }
}
