//! What a stack hears when S3 or ECR says no. The embedded stand-ins say it as AWS does; what
//! else ECR is asked for comes from `moto`.

use longshore::local::{Bucket, BucketOptions, Fault, Registry, RegistryOptions};
use longshore::redact::Secret;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Archive, Cloud, ECR, Moto, PASSWORD};

struct World {
    folder: TempDir,
    bucket: Bucket,
    registry: Registry,
    cloud: Cloud,
    _moto: Moto,
}

impl World {
    async fn new(registry: RegistryOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bucket = BucketOptions::folder("images", folder.path());
        let bucket = Bucket::start(bucket).await.unwrap();
        let registry = Registry::start(registry).await.unwrap();
        let moto = Moto::start();
        let endpoints = [
            ("AWS_ENDPOINT_URL", moto.url()),
            ("AWS_ENDPOINT_URL_S3", bucket.base_url()),
        ];
        let endpoints = endpoints
            .each_ref()
            .map(|(name, url)| (*name, url.as_str()));
        Self {
            cloud: Cloud::start(&registry.base_url(), &endpoints).await,
            folder,
            bucket,
            registry,
            _moto: moto,
        }
    }

    /// ECR with a repository `example`.
    async fn with_repository(options: RegistryOptions) -> Self {
        let world = Self::new(options).await;
        world.registry.create_repository("example").await.unwrap();
        world
    }

    fn stage(&self, key: &str, archive: &Archive) -> String {
        std::fs::write(self.folder.path().join(key), archive.tar()).unwrap();
        format!("s3://images/{key}")
    }

    fn manifests_pushed(&self) -> usize {
        let requests = self.registry.requests();
        let pushed = requests.iter().filter(|request| {
            request.method == "PUT" && request.path.contains("/manifests/") && request.status < 300
        });
        pushed.count()
    }
}

fn ecr() -> RegistryOptions {
    RegistryOptions::ecr(Secret::new(PASSWORD))
}

fn image(source: &str) -> Value {
    json!({ "Source": source, "Destination": format!("{ECR}/example:1.0") })
}

/// Layers of more bytes than are read ahead.
fn large() -> Archive {
    let layers = [1, 2, 3].map(|seed| {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut layer = vec![0; 12 << 20];
        random.fill(&mut layer);
        layer
    });
    Archive::of(&layers.each_ref().map(Vec::as_slice))
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn ecr_as_it_is_takes_an_image() {
    let world = World::with_repository(ecr()).await;
    let source = world.stage("image.tar", &large());
    world.cloud.create(&image(&source)).await.succeeded();
    assert!(world.manifests_pushed() > 0);
    world.cloud.log();
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn a_missing_repository_is_named() {
    let world = World::new(ecr()).await;
    let source = world.stage("image.tar", &Archive::of(&[b"one"]));
    let created = world.cloud.create(&image(&source)).await;
    let reason = created.failure();
    assert!(reason.contains(&format!("{ECR}/example")), "{reason}");
    assert!(reason.contains("does not exist: create it"), "{reason}");
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn an_immutable_tag_keeps_its_image() {
    let options = RegistryOptions {
        immutable_tags: true,
        ..ecr()
    };
    let world = World::with_repository(options).await;
    let one = world.stage("one.tar", &Archive::of(&[b"one"]));
    let other = world.stage("other.tar", &Archive::of(&[b"other"]));
    let first = world.cloud.create(&image(&one)).await.succeeded();
    let again = world.cloud.create(&image(&one)).await.succeeded();
    assert_eq!(first.id(), again.id());

    let created = world.cloud.create(&image(&other)).await;
    let reason = created.failure();
    assert!(reason.contains("immutable"), "{reason}");
    assert!(reason.contains("1.0"), "{reason}");
    assert!(reason.contains(first.attribute("ImageDigest")), "{reason}");
    let again = world.cloud.create(&image(&one)).await.succeeded();
    assert_eq!(first.id(), again.id());
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn an_object_that_changes_while_it_is_read_makes_no_image() {
    let world = World::with_repository(ecr()).await;
    let source = world.stage("image.tar", &large());
    world.bucket.change_after("images", "image.tar", 3);
    let created = world.cloud.create(&image(&source)).await;
    let reason = created.failure();
    assert!(reason.contains("changed"), "{reason}");
    assert!(reason.contains(&source), "{reason}");
    assert_eq!(world.manifests_pushed(), 0);
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn a_missing_permission_is_named_with_its_resource() {
    let world = World::with_repository(ecr()).await;
    let source = world.stage("image.tar", &Archive::of(&[b"one"]));
    let denied = Fault::answer(403)
        .saying("AccessDenied", "Access Denied")
        .times(100);
    world.bucket.faults().add(denied);
    let created = world.cloud.create(&image(&source)).await;
    let reason = created.failure();
    assert!(reason.contains("s3:GetObject"), "{reason}");
    assert!(reason.contains("arn:aws:s3:::images/image.tar"), "{reason}");
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn a_layer_that_does_not_arrive_leaves_no_tag() {
    let world = World::with_repository(ecr()).await;
    let source = world.stage("image.tar", &large());
    let refused = Fault::answer(400).on("PUT", "/blobs/uploads/").times(100);
    world.registry.faults().add(refused);
    let created = world.cloud.create(&image(&source)).await;
    let reason = created.failure();
    assert!(reason.contains(&format!("{ECR}/example")), "{reason}");
    assert_eq!(world.manifests_pushed(), 0);
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn a_denial_of_ecr_names_the_action_and_the_repository() {
    let world = World::with_repository(ecr()).await;
    let source = world.stage("image.tar", &Archive::of(&[b"one"]));
    let arn = "arn:aws:ecr:eu-west-1:123456789012:repository";
    for (method, path, action) in [
        ("HEAD", "/blobs/", "ecr:BatchCheckLayerAvailability"),
        ("POST", "/blobs/uploads/", "ecr:InitiateLayerUpload"),
        ("PUT", "/manifests/", "ecr:PutImage"),
    ] {
        let denied = Fault::answer(403).saying("DENIED", "not authorized");
        let faults = world.registry.faults();
        faults.add(denied.on(method, path).times(100));
        let created = world.cloud.create(&image(&source)).await;
        let reason = created.failure();
        let wanted = format!("allow {action} on {arn}/example in the role's policy");
        assert!(reason.contains(&wanted), "{reason}");
        faults.clear();
    }

    let import = format!(
        "ecr:BatchImportUpstreamImage and ecr:CreateRepository on {arn}/docker-hub/library/nginx"
    );
    let cached = format!("{ECR}/docker-hub/library/nginx:1.27");
    let created = world.cloud.create(&image(&cached)).await;
    let reason = created.failure();
    assert!(reason.contains(&import), "{reason}");
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn a_registry_that_is_not_reached_is_named_with_the_endpoints_to_it() {
    let moto = Moto::start();
    let endpoints = [("AWS_ENDPOINT_URL", &*moto.url())];
    let mut copy = image(&format!("{ECR}/upstream:1"));
    copy["Retry"] = json!(1);
    // A name without an address, as in a VPC without a way to DNS.
    let cloud = Cloud::start("https://registry.invalid", &endpoints).await;
    let created = cloud.create(&copy).await;
    let reason = created.failure();
    assert!(
        reason.contains("registry.invalid was not reached"),
        "{reason}"
    );
    assert!(
        reason.contains("com.amazonaws.eu-west-1.ecr.dkr"),
        "{reason}"
    );
    // What refuses a connection was reached.
    let cloud = Cloud::start("http://127.0.0.1:9", &endpoints).await;
    let created = cloud.create(&copy).await;
    let reason = created.failure();
    assert!(reason.contains("it refuses connections"), "{reason}");
    assert!(!reason.contains("NAT gateway"), "{reason}");
}
