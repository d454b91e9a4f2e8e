//! One source, many destinations: read once, counted on the embedded stand-ins.

use std::num::NonZeroU64;
use std::sync::Arc;

use longshore::copy::Meter;
use longshore::deploy::{Deployed, Error, Image, RepositorySettings, Target};
use longshore::local::{EnvironmentOptions, Fault, RegistryOptions, RequestRecord};
use longshore::oci::Reference;
use longshore::redact::Secret;
use serde_json::json;

use crate::support::{Archive, Bench, ECR, HOST, image, longshore, stderr};

const MANIFESTS: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// Layers of more than is read, buffered and sent at once.
fn archive() -> Vec<u8> {
    let layers = [1, 2, 3].map(|seed| {
        let mut layer = vec![0; 5 << 20];
        fastrand::Rng::with_seed(seed).fill(&mut layer);
        layer
    });
    Archive::of(&layers.each_ref().map(Vec::as_slice)).tar()
}

/// An image that goes to each of `destinations`, written as `name[:tag]`.
fn image_to(source: &str, destinations: &[&str]) -> Image {
    let reference = |name: &&str| format!("{HOST}/{name}").parse::<Reference>().unwrap();
    let targets = destinations.iter().map(|name| Target::of(&reference(name)));
    Image {
        targets: targets.collect(),
        ..image(source, destinations[0])
    }
}

/// The digest that a tag names in the embedded registry.
async fn tagged(bench: &Bench, name: &str) -> Option<String> {
    let (repository, tag) = name.split_once(':').unwrap();
    let base = bench.environment.registry.base_url();
    let request = reqwest::Client::new().head(format!("{base}/v2/{repository}/manifests/{tag}"));
    let response = request.header("accept", MANIFESTS).send().await.unwrap();
    let digest = response.headers().get("docker-content-digest")?;
    Some(digest.to_str().unwrap().to_owned())
}

fn uris(deployed: &Deployed) -> Vec<String> {
    let places = deployed.places.iter();
    places.map(|place| deployed.uri_at(place)).collect()
}

fn blobs_read(requests: &[RequestRecord], repository: &str) -> usize {
    let of = |request: &&RequestRecord| {
        request.method == "GET"
            && request.repository.as_deref() == Some(repository)
            && request.path.contains("/blobs/")
    };
    requests.iter().filter(of).count()
}

#[tokio::test]
async fn an_archive_is_read_and_compressed_once_for_all() {
    let (one, all) = (Bench::new().await, Bench::new().await);
    let bytes = archive();
    let source = one.stage("app.tar", &bytes);
    all.stage("app.tar", &bytes);
    let (alone, _) = one.deploy(&image(&source, "a:1")).await;
    let names = ["a:1", "b:2", "team/c:3", "d:4"];
    let (deployed, report) = all.deploy(&image_to(&source, &names)).await;

    // What is sent ahead of a reader that stops is not the same twice.
    let (read, alone_read) = (all.bytes_of_bucket(), one.bytes_of_bucket());
    assert!(
        read < alone_read + (1 << 20),
        "{read} bytes, not {alone_read}"
    );
    assert!(report.bytes_read < bytes.len() as u64 + (1 << 20));
    assert_eq!(report.blobs_uploaded, 4 * 4);
    assert_eq!(deployed.digest, alone.digest);
    for name in names {
        assert_eq!(tagged(&all, name).await, Some(alone.digest.to_string()));
    }
    let digest = &alone.digest;
    assert_eq!(
        uris(&deployed),
        ["a", "b", "team/c", "d"].map(|name| format!("{HOST}/{name}@{digest}"))
    );
}

#[tokio::test]
async fn an_image_is_pulled_once_for_all_and_a_second_time_not_at_all() {
    let bench = Bench::new().await;
    let staged = bench.stage("app.tar", &archive());
    bench.deploy(&image(&staged, "source:1")).await;
    let source = format!("{HOST}/source:1");
    let everywhere = image_to(&source, &["a:1", "b:1", "c:1"]);
    let (_, report) = bench.deploy(&everywhere).await;
    let requests = bench.registry_requests();
    assert_eq!(blobs_read(&requests, "source"), 4);
    assert_eq!(report.blobs_uploaded, 3 * 4);
    let manifests = requests.iter().filter(|request| {
        request.method == "GET"
            && request.repository.as_deref() == Some("source")
            && request.path.contains("/manifests/")
    });
    assert_eq!(manifests.count(), 1);

    let (_, report) = bench.deploy(&everywhere).await;
    let requests = bench.registry_requests();
    assert_eq!(report.blobs_uploaded, 0);
    assert!(requests.len() <= 3 + 2, "{requests:?}");
}

#[tokio::test]
async fn a_new_destination_is_filled_from_one_that_has_the_image() {
    let bench = Bench::new().await;
    let source = bench.stage("app.tar", &archive());
    let (first, _) = bench.deploy(&image(&source, "a:1")).await;
    let (both, report) = bench.deploy(&image_to(&source, &["a:1", "b:1"])).await;
    assert_eq!(both.digest, first.digest);
    assert_eq!(tagged(&bench, "b:1").await, Some(first.digest.to_string()));
    assert_eq!(report.blobs_uploaded, 4);
    assert!(bench.bytes_of_bucket() < 1 << 20, "no layer was read");
}

#[tokio::test]
async fn an_upload_that_breaks_is_made_again_without_the_others() {
    let bench = Bench::new().await;
    let bytes = archive();
    let source = bench.stage("app.tar", &bytes);
    let broken = Fault::cut_request(2 << 20).on("PATCH", "/v2/b/");
    bench.environment.registry.faults().add(broken);
    let names = ["a:1", "b:1", "c:1"];
    let (deployed, _) = bench.deploy(&image_to(&source, &names)).await;
    assert_eq!(bench.environment.registry.faults().pending(), 0);
    for name in names {
        assert_eq!(
            tagged(&bench, name).await,
            Some(deployed.digest.to_string())
        );
    }
    // One layer of three is read again, for one destination: from where the registry was, and where
    // that was too little for it, from the beginning.
    let read = bench.bytes_of_bucket();
    assert!(read < bytes.len() as u64 + (13 << 20), "{read} bytes");
}

#[tokio::test]
async fn one_slow_destination_gets_all_that_the_others_have() {
    let bench = Bench::new().await;
    let source = bench.stage("app.tar", &archive());
    let slow = Fault::pace(NonZeroU64::new(4 << 20).unwrap())
        .on("PATCH", "/v2/b/")
        .times(3);
    bench.environment.registry.faults().add(slow);
    let names = ["a:1", "b:1"];
    let (deployed, report) = bench.deploy(&image_to(&source, &names)).await;
    for name in names {
        assert_eq!(
            tagged(&bench, name).await,
            Some(deployed.digest.to_string())
        );
    }
    assert!(
        report.bytes_read < archive().len() as u64 + (1 << 20),
        "read once"
    );
}

/// Repositories that are there before something is pushed to them.
async fn with_repositories(names: &[&str]) -> Bench {
    let mut options = EnvironmentOptions::default();
    options.registry.create_on_push = false;
    let bench = Bench::with(options).await;
    for name in names {
        bench
            .environment
            .registry
            .create_repository(name)
            .await
            .unwrap();
    }
    bench
}

async fn fail(bench: &Bench, image: &Image) -> Error {
    let meter = Arc::new(Meter::default());
    bench.deployer.run(image, &meter).await.unwrap_err()
}

#[tokio::test]
async fn a_failure_names_what_is_done_and_the_next_attempt_does_the_rest() {
    let bench = with_repositories(&["a", "c"]).await;
    let source = bench.stage("app.tar", &archive());
    let everywhere = image_to(&source, &["a:1", "b:1", "c:1"]);
    let error = fail(&bench, &everywhere).await;
    assert_eq!(
        error.to_string(),
        format!("the image is at {HOST}/a, {HOST}/c, and not at {HOST}/b")
    );
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(
        cause.starts_with(&format!("the repository {HOST}/b does not exist")),
        "{cause}"
    );
    for name in ["a:1", "c:1"] {
        assert!(tagged(&bench, name).await.is_some());
    }

    bench
        .environment
        .registry
        .create_repository("b")
        .await
        .unwrap();
    let (deployed, report) = bench.deploy(&everywhere).await;
    assert_eq!(report.blobs_uploaded, 4);
    assert_eq!(
        tagged(&bench, "b:1").await,
        Some(deployed.digest.to_string())
    );
}

#[tokio::test]
async fn where_all_fail_none_is_called_done() {
    let bench = with_repositories(&[]).await;
    let source = bench.stage("app.tar", &archive());
    let error = fail(&bench, &image_to(&source, &["a:1", "b:1"])).await;
    assert_eq!(
        error.to_string(),
        format!("the image is not at {HOST}/a, {HOST}/b")
    );
    let broken = bench.stage("broken.tar", &archive()[..9 << 20]);
    let error = fail(&bench, &image_to(&broken, &["a:1", "b:1"])).await;
    assert!(error.to_string().contains("broken.tar"), "{error}");
}

#[tokio::test]
async fn missing_repositories_are_created_where_the_image_goes() {
    let bench = with_repositories(&["a"]).await;
    let source = bench.stage("app.tar", &archive());
    let elsewhere = "210987654321.dkr.ecr.us-west-2.amazonaws.com/b:1";
    let mut wanted = image_to(&source, &["a:1"]);
    wanted.targets.push(Target::of(&elsewhere.parse().unwrap()));
    wanted.create_repository = Some(RepositorySettings::default());
    bench.deploy(&wanted).await;
    let calls = bench.environment.aws.calls();
    let created = calls
        .iter()
        .filter(|call| call.action == "ecr:CreateRepository");
    let created: Vec<_> = created
        .map(|call| (call.region.as_str(), call.resource.as_deref().unwrap()))
        .collect();
    assert_eq!(created, [("us-west-2", "b")]);
    assert!(tagged(&bench, "b:1").await.is_some());
}

#[tokio::test]
async fn nothing_is_created_for_a_source_that_is_not_there() {
    let bench = with_repositories(&[]).await;
    let mut wanted = image_to("s3://images/missing.tar", &["a:1"]);
    wanted.create_repository = Some(RepositorySettings::default());
    fail(&bench, &wanted).await;
    let calls = bench.environment.aws.calls();
    assert!(
        !calls
            .iter()
            .any(|call| call.action == "ecr:CreateRepository")
    );
}

#[tokio::test]
async fn a_registry_that_creates_on_push_needs_no_repository() {
    let bench = Bench::new().await;
    let source = bench.stage("app.tar", &archive());
    bench.deploy(&image(&source, "never/made:1")).await;
    assert!(tagged(&bench, "never/made:1").await.is_some());
    let calls = bench.environment.aws.calls();
    assert!(
        !calls.iter().any(|call| call.action.ends_with("Repository")),
        "{calls:?}"
    );
}

/// A registry that lets in only who has a token of ECR.
async fn behind_tokens() -> Bench {
    let registry = RegistryOptions {
        create_on_push: true,
        ..RegistryOptions::ecr(Secret::new("token"))
    };
    Bench::with(EnvironmentOptions {
        registry,
        ..EnvironmentOptions::default()
    })
    .await
}

#[tokio::test]
async fn roles_and_tokens_are_taken_once_an_account_and_region() {
    let bench = behind_tokens().await;
    let source = bench.stage("app.tar", &archive());
    let mut wanted = image(&source, "own:1");
    for (account, region, name) in [
        ("210987654321", "us-west-2", "a"),
        ("210987654321", "us-west-2", "b"),
        ("210987654321", "eu-central-1", "c"),
        ("321098765432", "us-west-2", "d"),
    ] {
        let reference = format!("{account}.dkr.ecr.{region}.amazonaws.com/{name}:1");
        let mut target = Target::of(&reference.parse().unwrap());
        target.access.role = Some(longshore::deploy::Role {
            arn: format!("arn:aws:iam::{account}:role/push"),
            external_id: None,
            purpose: "stack/Image".to_owned(),
        });
        wanted.targets.push(target);
    }
    for _ in 0..2 {
        bench.deploy(&wanted).await;
    }
    let calls = bench.environment.aws.calls();
    let mut tokens: Vec<_> = calls
        .iter()
        .filter(|call| call.action == "ecr:GetAuthorizationToken")
        .map(|call| (call.account.as_str(), call.region.as_str()))
        .collect();
    tokens.sort_unstable();
    assert_eq!(
        tokens,
        [
            ("123456789012", "eu-west-1"),
            ("210987654321", "eu-central-1"),
            ("210987654321", "us-west-2"),
            ("321098765432", "us-west-2"),
        ]
    );
    let mut roles: Vec<_> = calls
        .iter()
        .filter(|call| call.action == "sts:AssumeRole")
        .map(|call| call.resource.as_deref().unwrap())
        .collect();
    roles.sort_unstable();
    assert_eq!(
        roles,
        [
            "arn:aws:iam::210987654321:role/push",
            "arn:aws:iam::321098765432:role/push",
        ]
    );
}

#[test]
fn the_command_copies_to_all() {
    let archive = "docker-archive:events/buckets/longshore-example/example-1.0.tar";
    let [first, second] = ["app:1.0", "mirror/app"].map(|name| format!("{ECR}/{name}"));
    let to = ["--to", &first, "--to", &second];
    let run = longshore(&[&["copy", "--local", "--tag", "latest", archive], &to[..]].concat());
    assert!(run.status.success(), "{}", stderr(&run));
    let printed = String::from_utf8(run.stdout).unwrap();
    let uris: Vec<_> = printed.lines().collect();
    assert!(
        uris[0].starts_with(&format!("{ECR}/app@sha256:")),
        "{printed}"
    );
    assert!(
        uris[1].starts_with(&format!("{ECR}/mirror/app@sha256:")),
        "{printed}"
    );

    let run = longshore(&[
        "copy", "--local", "--json", archive, &first, "--to", &second,
    ]);
    let printed: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(printed["destinations"][1]["imageUri"], uris[1]);
    assert_eq!(printed["destinations"][0]["tags"], json!(["1.0"]));

    let twice = longshore(&["copy", "--local", archive, &first, "--to", &first]);
    assert!(!twice.status.success());
    assert!(
        stderr(&twice).contains("is named twice"),
        "{}",
        stderr(&twice)
    );
    let nowhere = longshore(&["copy", "--local", archive]);
    assert!(!nowhere.status.success());
}

#[test]
fn a_stack_hears_the_uri_at_each_destination() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("event.json");
    let event = json!({
        "RequestType": "Create",
        "ResponseURL": "https://example.com",
        "StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/web/1",
        "RequestId": "r",
        "LogicalResourceId": "Image",
        "ResourceType": "Custom::ECRImage",
        "ResourceProperties": {
            "Source": "s3://longshore-example/example-1.0.tar",
            "Destination": format!("{ECR}/app:1.0"),
            "Destinations": [
                format!("{ECR}/plain"),
                {
                    "Destination": "210987654321.dkr.ecr.us-west-2.amazonaws.com/app",
                    "Tags": ["1"],
                    "RoleArn": "arn:aws:iam::210987654321:role/push",
                    "ExternalId": "id",
                },
            ],
            "CreateRepository": true,
            "PullAccess": {"Principals": ["333333333333"]},
        },
    });
    std::fs::write(&path, event.to_string()).unwrap();
    let run = longshore(&["invoke", "--local", path.to_str().unwrap()]);
    let answer: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    let data = &answer["Data"];
    let digest = data["ImageDigest"].as_str().unwrap();
    assert_eq!(answer["PhysicalResourceId"], format!("{ECR}/app@{digest}"));
    assert_eq!(data["ImageUri"], answer["PhysicalResourceId"]);
    assert_eq!(
        data["Destinations.0.ImageUri"],
        format!("{ECR}/plain@{digest}")
    );
    assert_eq!(
        data["Destinations.1.ImageUri"],
        format!("210987654321.dkr.ecr.us-west-2.amazonaws.com/app@{digest}")
    );
}
