//! What a stack hears when something takes long, or forever. The function has a few seconds, and
//! all that it needs is a stand-in that can be told to hang.

use longshore::local::{Bucket, BucketOptions, Fault, Registry, RegistryOptions};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Archive, Cloud, ECR, Moto};

/// Seconds that the function has for one event.
const TIME: &str = "5";

struct World {
    folder: TempDir,
    bucket: Bucket,
    registry: Registry,
    cloud: Cloud,
    _moto: Moto,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bucket = BucketOptions::folder("images", folder.path());
        let bucket = Bucket::start(bucket).await.unwrap();
        let registry = Registry::start(RegistryOptions::default()).await.unwrap();
        registry.create_repository("example").await.unwrap();
        let moto = Moto::start();
        let environment = [
            ("AWS_ENDPOINT_URL", moto.url()),
            ("AWS_ENDPOINT_URL_S3", bucket.base_url()),
            ("AWS_LAMBDA_FUNCTION_TIMEOUT", TIME.to_owned()),
        ];
        let environment = environment
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        Self {
            cloud: Cloud::start(&registry.base_url(), &environment).await,
            folder,
            bucket,
            registry,
            _moto: moto,
        }
    }

    /// The properties of an image with so many layers.
    fn image(&self, layers: u8) -> Value {
        let files: Vec<Vec<u8>> = (0..layers).map(|layer| vec![layer; 1000]).collect();
        let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
        let archive = Archive::of(&files).tar();
        std::fs::write(self.folder.path().join("example.tar"), archive).unwrap();
        json!({
            "Source": "s3://images/example.tar",
            "Destination": format!("{ECR}/example:1.0"),
            "MaxConcurrency": "1",
        })
    }

    /// How many blobs were uploaded to their end.
    fn uploads(&self) -> usize {
        let requests = self.registry.requests();
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
        world.registry.faults().add(hang);
    }
    let created = world.cloud.create(&world.image(5)).await.succeeded();
    assert_eq!(
        created.attribute("ImageTagUri"),
        format!("{ECR}/example:1.0")
    );
    assert_eq!(world.registry.faults().pending(), 0);
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
async fn what_a_registry_made_it_wait_for_is_told_in_the_closing_line() {
    let world = World::new().await;
    let faults = world.registry.faults();
    faults.add(Fault::answer(429).on("PUT", "/manifests/").times(2));
    faults.add(Fault::answer(503).on("POST", "/blobs/uploads/"));
    world.cloud.create(&world.image(1)).await.succeeded();
    let lines = world.cloud.log_lines();
    assert_eq!(sum(&lines, "retries"), 3);
    assert_eq!(sum(&lines, "throttles"), 2);
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn whatever_hangs_the_stack_hears_of_it_in_time() {
    let world = World::new().await;
    let image = world.image(1);
    let hang = |method: &str, path: &str| Fault::hang().on(method, path).times(100);
    for (faults, fault, what) in [
        (
            world.bucket.faults(),
            hang("GET", "example.tar"),
            "the object",
        ),
        (
            world.registry.faults(),
            hang("GET", "/v2/"),
            "the registry's ping",
        ),
        (
            world.registry.faults(),
            hang("HEAD", "/blobs/"),
            "the search for a blob",
        ),
        (
            world.registry.faults(),
            hang("POST", "/blobs/uploads/"),
            "an upload's begin",
        ),
        (
            world.registry.faults(),
            hang("PATCH", "/blobs/uploads/"),
            "an upload",
        ),
        (
            world.registry.faults(),
            hang("PUT", "/manifests/"),
            "a manifest",
        ),
    ] {
        faults.add(fault);
        let answer = world.cloud.create(&image).await;
        let reason = answer.failure();
        assert!(
            reason.contains("was not done within") || reason.contains("makes no progress"),
            "{what}: {reason}"
        );
        assert!(
            reason.contains("s3://images/example.tar"),
            "{what}: {reason}"
        );
        assert!(answer.id().starts_with("failed-create/"), "{what}");
        faults.clear();
    }
    world.cloud.create(&image).await.succeeded();
}
