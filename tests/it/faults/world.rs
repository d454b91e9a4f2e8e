//! The world of one run: the stand-ins, what they hold, and what may be seen of them afterwards.

use std::process::Command;

use longshore::local::{
    Auth, AwsApiOptions, BucketOptions, Environment, EnvironmentOptions, Faults, Registry,
    RegistryOptions, ResponseUrl,
};
use longshore::oci::{Digest, MediaType};
use longshore::redact::Secret;
use reqwest::header::ACCEPT;
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::schedule::Server;
use crate::support::{Archive, ECR, Images, PASSWORD, output};

/// Secrets that a run holds: none of them may be seen in what it says.
const SECRET_KEY: &str = "canary-secret-key-of-the-function";
const ROBOT: &str = "canary-password-of-the-source";
const SIGNATURE: &str = "X-Amz-Signature";
pub(super) const ROLE: &str = "arn:aws:iam::210987654321:role/reader";

/// What every run begins with.
pub(super) struct Fixtures {
    /// A registry's content: the image `source:1`, of two platforms.
    source: TempDir,
    /// A registry's content: the image `app:1` that was there before.
    former: TempDir,
    former_digest: Digest,
    /// A bucket with the archive `example.tar`.
    bucket: TempDir,
}

impl Fixtures {
    pub(super) async fn make() -> Self {
        let folder = || tempfile::tempdir().expect("a temporary directory");
        let (source, former, bucket) = (folder(), folder(), folder());
        push_index(&source).await;
        let layers: Vec<Vec<u8>> = (1..4).map(|seed| noise(seed, 100_000)).collect();
        let layers: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
        let archive = bucket.path().join("example.tar");
        std::fs::write(archive, Archive::of(&layers).tar()).expect("an archive");
        Self {
            former_digest: push_former(&former).await,
            source,
            former,
            bucket,
        }
    }
}

/// An image of two platforms with a layer in common.
async fn push_index(folder: &TempDir) {
    let registry = open_registry(folder).await;
    let images = Images::at(registry.address(), "source");
    let mut entries = Vec::new();
    let common = images.blob(MediaType::OCI_LAYER_GZIP, noise(4, 100_000));
    let common = common.await;
    for (seed, architecture) in [(5, "amd64"), (6, "arm64")] {
        let own = images.blob(MediaType::OCI_LAYER_GZIP, noise(seed, 50_000));
        let platform = format!("linux/{architecture}");
        let image = images.image(&platform, &[&common, &own.await]).await;
        let mut entry = json!(image.descriptor());
        entry["platform"] = json!({ "os": "linux", "architecture": architecture });
        entries.push(entry);
    }
    let document = json!({
        "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": entries,
    });
    let index = images.manifest(MediaType::OCI_INDEX, &document).await;
    images.tag("1", &index).await;
    registry.stop().await;
}

async fn push_former(folder: &TempDir) -> Digest {
    let registry = open_registry(folder).await;
    let images = Images::at(registry.address(), "app");
    let layer = images.blob(MediaType::OCI_LAYER_GZIP, "the former layer");
    let image = images.image("linux/amd64", &[&layer.await]).await;
    images.tag("1", &image).await;
    registry.stop().await;
    image.digest().clone()
}

async fn open_registry(folder: &TempDir) -> Registry {
    let options = RegistryOptions {
        folder: Some(folder.path().to_owned()),
        ..RegistryOptions::default()
    };
    Registry::start(options).await.expect("a registry")
}

fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(|| rng.u8(..)).take(length).collect()
}

/// The stand-ins of one run.
pub(super) struct World {
    pub(super) environment: Environment,
    pub(super) stack: ResponseUrl,
    source: Registry,
    /// The digest that the tag had before.
    pub(super) former: Option<Digest>,
    _folder: TempDir,
}

impl World {
    pub(super) async fn new(fixtures: &Fixtures, replaces: bool) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        if replaces {
            let from = format!("{}/.", fixtures.former.path().display());
            output(Command::new("cp").arg("-r").arg(from).arg(folder.path()));
        }
        let environment = Environment::start(EnvironmentOptions {
            registry: RegistryOptions {
                folder: Some(folder.path().to_owned()),
                // So that an image that lacks something can be tagged at all.
                check_references: false,
                // The runs are many, and wait for nothing.
                manifests_per_second: None,
                ..RegistryOptions::ecr(Secret::new(PASSWORD))
            },
            bucket: BucketOptions::folder("images", fixtures.bucket.path()),
            aws: AwsApiOptions {
                secrets: [("login".to_owned(), Secret::new(format!("robot:{ROBOT}")))].into(),
                ..AwsApiOptions::default()
            },
            region: "eu-west-1".to_owned(),
        });
        let source = Registry::start(RegistryOptions {
            folder: Some(fixtures.source.path().to_owned()),
            auth: Auth::Bearer {
                user: "robot".to_owned(),
                password: Secret::new(ROBOT),
                anonymous_pull: true,
                lifetime: std::time::Duration::from_mins(5),
            },
            ..RegistryOptions::default()
        });
        Self {
            environment: environment.await.expect("stand-ins"),
            stack: ResponseUrl::start().await.expect("a free port"),
            source: source.await.expect("a registry"),
            former: replaces.then(|| fixtures.former_digest.clone()),
            _folder: folder,
        }
    }

    /// The environment of what works here.
    pub(super) fn variables(&self) -> impl Iterator<Item = (&'static str, String)> {
        let own = [("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned())];
        self.environment.variables().into_iter().chain(own)
    }

    /// How the image of the source registry is named.
    pub(super) fn image(&self) -> String {
        format!("{}/source:1", self.source.address())
    }

    pub(super) fn destination() -> String {
        format!("{ECR}/app:1")
    }

    pub(super) fn faults(&self, server: Server) -> &Faults {
        match server {
            Server::Destination => self.environment.registry.faults(),
            Server::Source => self.source.faults(),
            Server::Bucket => self.environment.bucket.faults(),
            Server::Aws => self.environment.aws.faults(),
            Server::Stack => self.stack.faults(),
        }
    }

    /// Lets nothing go wrong any more.
    pub(super) fn make_peace(&self) {
        for server in [
            Server::Destination,
            Server::Source,
            Server::Bucket,
            Server::Aws,
            Server::Stack,
        ] {
            self.faults(server).clear();
        }
    }

    /// Bytes of blobs that were sent to the destination so far.
    pub(super) fn bytes_sent(&self) -> u64 {
        let requests = self.environment.registry.requests();
        let uploads = requests.iter().filter(|it| it.path.contains("/uploads/"));
        uploads.map(|request| request.bytes_in).sum()
    }

    /// The answers to CloudFormation, and nothing else that was put in their place.
    pub(super) fn answers(&self) -> Vec<Value> {
        let answers = self.stack.answers();
        let bodies = answers.iter().map(|answer| &answer.body);
        bodies
            .map(|body| serde_json::from_slice(body).expect("an answer is JSON"))
            .collect()
    }

    /// The digest of what the tag names.
    pub(super) async fn tagged(&self) -> Option<Digest> {
        let found = self.ask(Method::GET, "manifests/1").await;
        if !found.status().is_success() {
            return None;
        }
        let bytes = found.bytes().await.expect("a manifest");
        Some(Digest::sha256(&bytes))
    }

    /// What is named by a tag, directly or not, and is not there.
    pub(super) async fn missing(&self) -> Vec<String> {
        let listed = self.ask(Method::GET, "tags/list").await;
        let listed = listed.bytes().await.expect("a list");
        let listed: Value = serde_json::from_slice(&listed).expect("a list");
        let tags = listed["tags"].as_array().cloned().unwrap_or_default();
        let names = tags.iter().filter_map(Value::as_str);
        let mut manifests: Vec<String> = names.map(ToOwned::to_owned).collect();
        let mut missing = Vec::new();
        while let Some(key) = manifests.pop() {
            let found = self.ask(Method::GET, &format!("manifests/{key}")).await;
            if !found.status().is_success() {
                missing.push(key);
                continue;
            }
            let bytes = found.bytes().await.expect("a manifest");
            let manifest: Value = serde_json::from_slice(&bytes).expect("a manifest");
            manifests.extend(digests(&manifest["manifests"]));
            let config = json!([manifest["config"]]);
            for blob in digests(&config).chain(digests(&manifest["layers"])) {
                let found = self.ask(Method::HEAD, &format!("blobs/{blob}")).await;
                if !found.status().is_success() {
                    missing.push(blob);
                }
            }
        }
        missing
    }

    async fn ask(&self, method: Method, path: &str) -> Response {
        let url = format!("{}/v2/app/{path}", self.environment.registry.base_url());
        let request = Client::new().request(method, url).header(ACCEPT, "*/*");
        let request = request.basic_auth("AWS", Some(PASSWORD));
        request.send().await.expect("an answer of a registry")
    }
}

/// The digests of a list of descriptors.
fn digests(list: &Value) -> impl Iterator<Item = String> {
    let list = list.as_array().cloned().unwrap_or_default();
    list.into_iter()
        .filter_map(|entry| Some(entry["digest"].as_str()?.to_owned()))
}

/// The secrets of a run that `said` holds, and the panics that it tells of.
pub(super) fn strange_words(said: &str) -> Vec<String> {
    use base64::Engine;
    let engine = base64::engine::general_purpose::STANDARD;
    let basic = [format!("AWS:{PASSWORD}"), format!("robot:{ROBOT}")];
    let [aws, robot] = basic.map(|pair| engine.encode(pair));
    let words = [
        PASSWORD, SECRET_KEY, ROBOT, SIGNATURE, &aws, &robot, "panicked",
    ];
    let found = words.into_iter().filter(|word| said.contains(*word));
    found.map(ToOwned::to_owned).collect()
}

#[tokio::test]
async fn a_tag_without_its_blobs_is_seen() {
    let fixtures = Fixtures::make().await;
    let world = World::new(&fixtures, true).await;
    assert_eq!(world.missing().await, [""; 0]);
    let absent = Digest::sha256(b"absent").to_string();
    let layers = json!([{ "mediaType": MediaType::OCI_LAYER, "digest": absent, "size": 6 }]);
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MediaType::OCI_MANIFEST,
        "config": layers[0], "layers": layers,
    });
    let registry = world.environment.registry.base_url();
    let put = Client::new().put(format!("{registry}/v2/app/manifests/half"));
    let put = put.header("content-type", MediaType::OCI_MANIFEST.as_str());
    let put = put.basic_auth("AWS", Some(PASSWORD));
    let taken = put.body(manifest.to_string()).send().await.unwrap();
    assert!(taken.status().is_success());
    assert_eq!(world.missing().await, [absent.as_str(), absent.as_str()]);
}

#[test]
fn a_secret_and_a_panic_are_seen() {
    let said = format!("thread 'main' panicked at {PASSWORD}");
    assert_eq!(strange_words(&said), [PASSWORD, "panicked"]);
    assert_eq!(strange_words("denied"), [""; 0]);
}
