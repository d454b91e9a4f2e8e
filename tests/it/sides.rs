//! Reaching each side of a command: credentials, roles, profiles.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use longshore::local::{Auth, EnvironmentOptions, Registry, RegistryOptions};
use longshore::redact::Secret;

use crate::support::{Archive, Bench, HOST, image, stderr};

const PASSWORD: &str = "correct-horse";
const ROLE: &str = "arn:aws:iam::210987654321:role/images";

async fn registry(password: &str) -> Registry {
    let options = RegistryOptions {
        auth: Auth::Basic {
            user: "me".to_owned(),
            password: Secret::new(password),
        },
        ..RegistryOptions::default()
    };
    Registry::start(options).await.unwrap()
}

/// Runs a command with this on standard input. No secret may be shown.
async fn run(arguments: &[&str], variables: &[(&str, &str)], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_longshore"));
    command
        .args(arguments)
        .env_clear()
        .env("LONGSHORE_ALLOW_LOOPBACK", "1")
        .envs(variables.iter().copied())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let input = input.to_owned();
    let run = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    });
    let run = run.await.unwrap();
    assert!(!stderr(&run).contains(PASSWORD), "{}", stderr(&run));
    run
}

#[tokio::test]
async fn credentials_come_from_a_file_a_variable_or_standard_input() {
    let registry = registry(PASSWORD).await;
    let host = registry.address().to_string();
    let image = format!("{host}/app:1");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("login");
    let pair = format!("me:{PASSWORD}\n");
    let json = format!(r#"{{"username":"me","password":"{PASSWORD}","registry":"{host}"}}"#);
    let elsewhere = format!(r#"{{"username":"me","password":"{PASSWORD}","registry":"quay.io"}}"#);
    std::fs::write(&path, &json).unwrap();
    let file = format!("file:{}", path.display());
    let variables = [
        ("PAIR", pair.as_str()),
        ("ELSEWHERE", &elsewhere),
        ("BAD", "me"),
    ];
    for (at, input, part) in [
        (file.as_str(), "", "there is no image"),
        ("env:PAIR", "", "there is no image"),
        ("-", pair.as_str(), "there is no image"),
        ("env:ELSEWHERE", "", "are not for"),
        ("env:BAD", "", "expected USER:PASSWORD"),
        ("env:NONE", "", "there is no variable NONE"),
        (
            "file:/no/such",
            "",
            "cannot read credentials from file:/no/such",
        ),
        (pair.trim(), "", "env:NAME"),
    ] {
        for command in ["inspect", "digest"] {
            let arguments = [command, "--source-credentials", at, &image];
            let told = stderr(&run(&arguments, &variables, input).await);
            assert!(told.contains(part), "{command} {at:?}: {told}");
        }
    }
    let repository = format!("{host}/app");
    for arguments in [
        vec!["tags", "--source-credentials", "env:PAIR", &repository],
        vec![
            "delete",
            "--yes",
            "--destination-credentials",
            "env:PAIR",
            &image,
        ],
        vec!["diff", "--source-credentials", "env:PAIR", &image, &image],
    ] {
        let told = stderr(&run(&arguments, &variables, "").await);
        assert!(told.contains("there is no"), "{arguments:?}: {told}");
    }
}

#[tokio::test]
async fn a_denial_names_the_commands_and_options_that_help() {
    let registry = registry(PASSWORD).await;
    let host = registry.address().to_string();
    let image = format!("{host}/app:1");
    let example = "docker-archive:events/buckets/longshore-example/example-1.0.tar";
    for (arguments, option) in [
        (vec!["inspect", &image], "--source-credentials"),
        (vec!["digest", &image], "--source-credentials"),
        (vec!["delete", "--yes", &image], "--destination-credentials"),
        (
            vec!["copy", &image, "oci-archive:-"],
            "--source-credentials",
        ),
        (vec!["copy", example, &image], "--destination-credentials"),
        (vec!["diff", &image, &image], "--source-credentials"),
    ] {
        let run = run(&arguments, &[], "").await;
        let told = stderr(&run);
        assert_eq!(run.status.code(), Some(1), "{told}");
        for part in [
            &format!("`docker login {host}`"),
            &format!("`longshore login {host}`"),
            option,
        ] {
            assert!(told.contains(part), "{part} of {arguments:?}: {told}");
        }
        assert!(!told.contains("SourceCredentials"), "{told}");
    }
}

#[tokio::test]
async fn each_destination_has_credentials_of_its_own() {
    let (one, two) = (
        registry("first-password").await,
        registry("second-password").await,
    );
    let (one, two) = (
        format!("{}/app:1", one.address()),
        format!("{}/app:1", two.address()),
    );
    let example = "docker-archive:events/buckets/longshore-example/example-1.0.tar";
    let variables = [("ONE", "me:first-password"), ("TWO", "me:second-password")];
    let to = [
        format!("{one},credentials=env:ONE"),
        format!("{two},credentials=env:TWO"),
    ];
    let arguments = ["copy", example, "--to", &to[0], "--to", &to[1]];
    let copied = run(&arguments, &variables, "").await;
    assert!(copied.status.success(), "{}", stderr(&copied));

    // The credentials of all are for one registry: none gets those of another.
    let all = [
        "copy",
        example,
        "--destination-credentials",
        "env:ONE",
        &one,
        "--to",
        &two,
    ];
    let refused = run(&all, &variables, "").await;
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
    assert!(
        stderr(&refused).contains("are for one registry"),
        "{}",
        stderr(&refused)
    );
    let rest = [
        "copy",
        example,
        "--destination-credentials",
        "env:ONE",
        &one,
        "--to",
        &to[1],
    ];
    let copied = run(&rest, &variables, "").await;
    assert!(copied.status.success(), "{}", stderr(&copied));
    let from = [
        "copy",
        "--source-credentials",
        "env:ONE",
        &one,
        "--to",
        &to[1],
    ];
    let copied = run(&from, &variables, "").await;
    assert!(copied.status.success(), "{}", stderr(&copied));
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_are_taken_on_with_their_external_ids() {
    let mut options = EnvironmentOptions::default();
    options
        .aws
        .roles
        .insert(ROLE.to_owned(), Some("a,role=1".to_owned()));
    let bench = Bench::with(options).await;
    let staged = bench.stage("app.tar", &Archive::of(&[b"one"]).tar());
    bench.deploy(&image(&staged, "app:1")).await;
    let variables = bench.environment.variables();
    let variables: Vec<_> = variables
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let name = format!("{HOST}/app:1");
    let own = ["--source-role", ROLE, "--source-external-id", "a,role=1"];

    let refused = run(&["inspect", "--source-role", ROLE, &name], &variables, "").await;
    assert!(
        stderr(&refused).contains("sts:AssumeRole"),
        "{}",
        stderr(&refused)
    );
    bench.environment.aws.reset();
    let shown = run(&[&["inspect", &name], &own[..]].concat(), &variables, "").await;
    assert!(shown.status.success(), "{}", stderr(&shown));
    let calls = bench.environment.aws.calls();
    let token = calls
        .iter()
        .find(|call| call.action == "ecr:GetAuthorizationToken");
    assert_eq!(token.unwrap().account, "210987654321");

    let other = format!("{HOST}/copies:1,role={ROLE},external-id=a");
    let refused = run(&["copy", &name, "--to", &other], &variables, "").await;
    assert!(
        stderr(&refused).contains("sts:AssumeRole"),
        "{}",
        stderr(&refused)
    );
    let deletion = [
        "delete",
        "--dry-run",
        "--destination-role",
        ROLE,
        "--destination-external-id",
    ];
    let deletion = [&deletion[..], &["a,role=1", &name]].concat();
    let shown = run(&deletion, &variables, "").await;
    assert!(shown.status.success(), "{}", stderr(&shown));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_and_a_region_go_before_the_environment() {
    let bench = Bench::new().await;
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config");
    let text = "[profile other]\naws_access_key_id = AKIAOTHEROTHEROTHER0\n\
                aws_secret_access_key = other\n";
    std::fs::write(&config, text).unwrap();
    let config = config.display().to_string();
    let variables = bench.environment.variables();
    let mut variables: Vec<_> = variables
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    variables.push(("AWS_CONFIG_FILE", &config));
    variables.push(("AWS_SHARED_CREDENTIALS_FILE", "/no/such"));
    let object = "s3://images/none.tar";
    let named = run(&["inspect", "--profile", "other", object], &variables, "").await;
    assert!(
        stderr(&named).contains("no such object"),
        "{}",
        stderr(&named)
    );
    let missing = run(&["inspect", "--profile", "absent", object], &variables, "").await;
    assert!(
        !stderr(&missing).contains("no such object"),
        "{}",
        stderr(&missing)
    );

    bench.environment.aws.reset();
    let role = ["tags", "--region", "ap-south-1", "--source-role", ROLE];
    let name = format!("{HOST}/none");
    run(&[&role[..], &[&name]].concat(), &variables, "").await;
    let calls = bench.environment.aws.calls();
    let assumed = calls.iter().find(|call| call.action == "sts:AssumeRole");
    assert_eq!(assumed.unwrap().region, "ap-south-1", "{calls:?}");
}
