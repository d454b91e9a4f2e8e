//! What a stack hears when something takes long, or forever. The function has a few seconds, and
//! all that it needs is a stand-in that can be told to hang.

use std::time::Duration;

use longshore::local::{
    AwsApiOptions, BucketOptions, Environment, EnvironmentOptions, Fault, RegistryOptions,
};
use longshore::redact::Secret;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Archive, Cloud, ECR, PASSWORD};

/// Seconds that the function has for one event.
const TIME: &str = "5";
/// The same, where nothing has to come to an end.
const LITTLE_TIME: &str = "3";

struct World {
    folder: TempDir,
    environment: Environment,
    cloud: Cloud,
}

impl World {
    async fn new() -> Self {
        Self::with(|_| None).await
    }

    /// A world in which Lambda is where `lambda` says.
    async fn with(lambda: impl FnOnce(&Environment) -> Option<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let login = Secret::new(format!("AWS:{PASSWORD}"));
        let options = EnvironmentOptions {
            registry: RegistryOptions {
                create_on_push: true,
                ..RegistryOptions::ecr(Secret::new(PASSWORD))
            },
            bucket: BucketOptions::folder("images", folder.path()),
            aws: AwsApiOptions {
                secrets: [("login".to_owned(), login)].into(),
                ..AwsApiOptions::default()
            },
            ..EnvironmentOptions::default()
        };
        let environment = Environment::start(options).await.unwrap();
        let lambda = lambda(&environment);
        Self {
            cloud: cloud(&environment, lambda.as_deref(), TIME).await,
            environment,
            folder,
        }
    }

    fn stage(&self, name: &str, files: &[&[u8]]) {
        std::fs::write(self.folder.path().join(name), Archive::of(files).tar()).unwrap();
    }

    /// The properties of an image with so many layers.
    fn image(&self, layers: u8) -> Value {
        let files: Vec<Vec<u8>> = (0..layers).map(|layer| vec![layer; 1000]).collect();
        let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
        self.stage("example.tar", &files);
        json!({
            "Source": "s3://images/example.tar",
            "Destination": format!("{ECR}/example:1.0"),
            "MaxConcurrency": "1",
        })
    }

    /// What the tag of a repository names.
    async fn tagged(&self, repository: &str) -> String {
        let base = self.environment.registry.base_url();
        let url = format!("{base}/v2/{repository}/manifests/1.0");
        let request = reqwest::Client::new().head(url);
        let request = request.basic_auth("AWS", Some(PASSWORD));
        let response = request.send().await.unwrap();
        let digest = &response.headers()["docker-content-digest"];
        digest.to_str().unwrap().to_owned()
    }

    /// How many blobs were uploaded to their end.
    fn uploads(&self) -> usize {
        let requests = self.environment.registry.requests();
        let ended = requests.iter().filter(|request| {
            request.method == "PUT" && request.path.contains("/uploads/") && request.status == 201
        });
        ended.count()
    }
}

/// The sum of a field of the closing lines.
fn sum(lines: &[Value], field: &str) -> u64 {
    let values = lines.iter().filter_map(|line| line[field].as_u64());
    values.sum()
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn an_image_that_takes_five_invocations_arrives_whole_with_one_answer() {
    let world = World::new().await;
    // One layer arrives; the next hangs until the invocation's time is up. Four times.
    for passed in 1..=4 {
        let hang = Fault::hang().on("POST", "/blobs/uploads/").skip(passed);
        world.environment.registry.faults().add(hang);
    }
    let created = world.cloud.create(&world.image(5)).await.succeeded();
    assert_eq!(
        created.attribute("ImageTagUri"),
        format!("{ECR}/example:1.0")
    );
    assert_eq!(world.environment.registry.faults().pending(), 0);
    assert_eq!(world.uploads(), 6, "five layers and the config, each once");
    let lines = world.cloud.log_lines();
    let ends: Vec<_> = lines
        .iter()
        .filter(|line| line["message"] == "done")
        .map(|line| line["outcome"].as_str().unwrap())
        .collect();
    let handed_on = ["handed on"; 4];
    assert_eq!(ends, [&handed_on[..], &["SUCCESS"]].concat());
    assert_eq!(sum(&lines, "continuations"), 4);
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn an_image_for_two_destinations_goes_on_where_each_of_them_was() {
    let world = World::new().await;
    let mut properties = world.image(3);
    let second = format!("{ECR}/second:1.0");
    properties["Destinations"] = json!([second]);
    // One of two may have the second layer when the time is up, and then the third.
    for passed in [3, 6] {
        let hang = Fault::hang().on("POST", "/blobs/uploads/").skip(passed);
        world.environment.registry.faults().add(hang);
    }
    let created = world.cloud.create(&properties).await.succeeded();
    assert_eq!(
        created
            .attribute("Destinations.0.ImageUri")
            .split('@')
            .count(),
        2
    );
    assert_eq!(world.environment.registry.faults().pending(), 0);
    let lines = world.cloud.log_lines();
    assert_eq!(sum(&lines, "continuations"), 2);
    // Three layers and the config at each. A layer that one has may be made once more.
    let uploads = world.uploads();
    assert!((8..=10).contains(&uploads), "{uploads}");
    let digest = created.attribute("ImageDigest");
    for name in ["example", "second"] {
        let tagged = world.tagged(name).await;
        assert_eq!(tagged, digest, "{name}");
    }
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn what_a_registry_made_it_wait_for_is_told_in_the_closing_line() {
    let world = World::new().await;
    let faults = world.environment.registry.faults();
    faults.add(Fault::answer(429).on("PUT", "/manifests/").times(2));
    faults.add(Fault::answer(503).on("POST", "/blobs/uploads/"));
    world.cloud.create(&world.image(1)).await.succeeded();
    let lines = world.cloud.log_lines();
    assert_eq!(sum(&lines, "retries"), 3);
    assert_eq!(sum(&lines, "throttles"), 3);
}

/// A function that knows nothing yet.
async fn cloud(environment: &Environment, lambda: Option<&str>, time: &str) -> Cloud {
    let (aws, bucket) = (environment.aws.base_url(), environment.bucket.base_url());
    let mut variables = vec![
        ("AWS_ENDPOINT_URL", aws.as_str()),
        ("AWS_ENDPOINT_URL_S3", &bucket),
        ("AWS_LAMBDA_FUNCTION_TIMEOUT", time),
    ];
    variables.extend(lambda.map(|url| ("AWS_ENDPOINT_URL_LAMBDA", url)));
    Cloud::start(&environment.registry.base_url(), &variables).await
}

/// A request, and what of all that it needs never answers: the service, the method and a part of
/// the path.
const HANGS: [[&str; 4]; 16] = [
    ["create", "s3", "GET", "example.tar"],
    ["create", "registry", "GET", "/v2/"],
    ["create", "api", "POST", "/ecr/GetAuthorizationToken"],
    [
        "create from a registry",
        "registry",
        "GET",
        "/upstream/manifests/",
    ],
    ["create with a role", "api", "POST", "/sts"],
    [
        "create with a secret",
        "api",
        "POST",
        "/secretsmanager/GetSecretValue",
    ],
    ["create another", "registry", "HEAD", "/blobs/"],
    ["create another", "registry", "POST", "/blobs/uploads/"],
    ["create another", "registry", "PATCH", "/blobs/uploads/"],
    ["create another", "registry", "PUT", "/blobs/uploads/"],
    ["create another", "registry", "PUT", "/manifests/"],
    [
        "create for others",
        "api",
        "POST",
        "/ecr/GetRepositoryPolicy",
    ],
    [
        "create for others",
        "api",
        "POST",
        "/ecr/SetRepositoryPolicy",
    ],
    [
        "delete for others",
        "api",
        "POST",
        "/ecr/GetRepositoryPolicy",
    ],
    ["delete", "api", "POST", "/ecr/DescribeImages"],
    ["delete", "api", "POST", "/ecr/BatchDeleteImage"],
];

/// The event of a request in [`HANGS`]. The image of `id` is there.
fn request(words: &str, image: &Value, id: &str) -> Value {
    let mut properties = image.clone();
    let (name, value) = match words {
        "create from a registry" => ("Source", json!(format!("{ECR}/upstream:1"))),
        "create with a role" => (
            "SourceRoleArn",
            json!("arn:aws:iam::123456789012:role/images"),
        ),
        "create with a secret" => ("DestinationCredentials", json!("login")),
        "create another" => ("Source", json!("s3://images/other.tar")),
        "create for others" | "delete for others" => {
            ("PullAccess", json!({ "Principals": ["210987654321"] }))
        }
        _ => ("RemovalPolicy", json!("delete")),
    };
    properties[name] = value;
    let mut event = json!({ "RequestType": "Create", "ResourceProperties": properties });
    if words.starts_with("delete") {
        event["RequestType"] = json!("Delete");
        event["PhysicalResourceId"] = json!(id);
    }
    event
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn whatever_hangs_the_stack_hears_of_it_in_time() {
    let world = World::new().await;
    let image = world.image(1);
    world.stage("other.tar", &[b"other"]);
    let created = world.cloud.create(&image).await.succeeded();
    let environment = &world.environment;
    for [words, service, method, path] in HANGS {
        let what = format!("{words}: {method} {path}");
        let faults = match service {
            "s3" => environment.bucket.faults(),
            "registry" => environment.registry.faults(),
            _ => environment.aws.faults(),
        };
        faults.add(Fault::hang().on(method, path).times(100));
        let cloud = cloud(environment, None, LITTLE_TIME).await;
        let answer = cloud.send(request(words, &image, created.id())).await;
        assert!(!answer.is_success(), "{what}: {answer:?}");
        let reason = answer.failure();
        let is_told = [
            "was not done within",
            "no progress",
            "cannot grant",
            "Cannot remove",
        ];
        assert!(
            is_told.iter().any(|words| reason.contains(words)),
            "{what}: {reason}"
        );
        assert!(faults.pending() < 100, "{what}: nobody asked for it");
        faults.clear();
    }
    world.cloud.create(&image).await.succeeded();
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn an_image_that_stays_is_deleted_though_its_registry_hangs() {
    let world = World::new().await;
    let image = world.image(1);
    let created = world.cloud.create(&image).await.succeeded();
    let faults = world.environment.registry.faults();
    faults.add(Fault::hang().on("GET", "/v2/").times(100));
    world.cloud.delete(created.id(), &image).await.succeeded();
    assert!(faults.pending() < 100);
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn when_lambda_hangs_that_should_go_on_the_stack_hears_of_it() {
    let world = World::with(|environment| Some(environment.aws.base_url())).await;
    let faults = world.environment.registry.faults();
    faults.add(Fault::hang().on("POST", "/blobs/uploads/").skip(1));
    let lambda = world.environment.aws.faults();
    lambda.add(Fault::hang().on("POST", "/lambda/").times(100));
    let created = world.cloud.create(&world.image(5)).await;
    let reason = created.failure();
    assert!(
        reason.contains("takes more than one invocation"),
        "{reason}"
    );
    assert!(lambda.pending() < 100, "nobody asked for it");
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn a_function_that_may_not_invoke_itself_says_what_to_allow() {
    let world = World::with(|environment| Some(environment.aws.base_url())).await;
    let faults = world.environment.registry.faults();
    faults.add(Fault::hang().on("POST", "/blobs/uploads/").skip(1));
    let denied = Fault::answer(403).saying("AccessDeniedException", "not authorized");
    let lambda = world.environment.aws.faults();
    lambda.add(denied.on("POST", "/lambda/").times(100));
    let created = world.cloud.create(&world.image(5)).await;
    let reason = created.failure();
    let function = "arn:aws:lambda:us-east-1:012345678912:function:test_function";
    let wanted = format!("allow lambda:InvokeFunction on {function} in the role's policy");
    assert!(reason.contains(&wanted), "{reason}");
    assert!(reason.contains("1 blobs uploaded"), "{reason}");
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn when_the_response_url_hangs_the_answer_is_sent_again() {
    let world = World::new().await;
    let image = world.image(1);
    let faults = world.cloud.response_url().faults();
    faults.add(Fault::hang());
    world.cloud.create(&image).await.succeeded();
    assert_eq!(faults.pending(), 0);
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn an_answer_that_nobody_takes_is_logged_whole_before_the_time_is_up() {
    let world = World::new().await;
    let image = world.image(1);
    let faults = world.cloud.response_url().faults();
    faults.add(Fault::hang().times(100));
    let event = json!({
        "RequestType": "Create",
        "RequestId": "the-request",
        "ResourceType": "Custom::ECRImage",
        "ResourceProperties": image,
    });
    let returned = world.cloud.invoke(event).await;
    let message = returned["errorMessage"].as_str().unwrap_or_default();
    assert!(message.contains("could not be delivered"), "{returned}");
    let lines = world.cloud.log_lines();
    let answer = lines.iter().find_map(|line| line["answer"].as_str());
    let answer: Value = serde_json::from_str(answer.expect("the answer in the log")).unwrap();
    assert_eq!(answer["Status"], "SUCCESS");
    assert_eq!(answer["RequestId"], "the-request");
    assert!(answer["Data"]["ImageDigest"].is_string());
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn a_function_that_is_ended_answers_first() {
    let world = World::new().await;
    let image = world.image(1);
    let faults = world.environment.registry.faults();
    faults.add(Fault::hang().on("POST", "/blobs/uploads/").times(100));
    let create = world.cloud.create(&image);
    let end = async {
        while faults.pending() == 100 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        world.cloud.terminate();
    };
    let (created, ()) = tokio::join!(create, end);
    let reason = created.failure();
    assert!(
        reason.contains("the function is being shut down"),
        "{reason}"
    );
}
