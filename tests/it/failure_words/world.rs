//! The world of one cell: the stand-ins, what is there, and one request of a stack.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use longshore::cloudformation::{Delivery, Handler, Invocation};
use longshore::local::{
    Auth, AwsApiOptions, BucketOptions, EnvironmentOptions, Faults, Mounts, Registry,
    RegistryOptions,
};
use longshore::oci::{Digest, MediaType};
use longshore::redact::Secret;
use reqwest::Client;
use reqwest::header::ACCEPT;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::support::{Archive, Bench, HOST, Images};

/// What a stack asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Work {
    /// An archive of S3 into ECR.
    Archive,
    /// An archive of a web server into ECR.
    Web,
    /// An image of ECR into ECR.
    Image,
    /// An image of a registry with a token server into ECR.
    FromOther,
    /// An archive of S3 into a registry with a token server.
    ToOther,
    /// The removal of an image from ECR.
    Removal,
}

/// Who answers a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Server {
    /// ECR's registry.
    Registry,
    /// S3, or a web server.
    Bucket,
    /// The other AWS services.
    Aws,
    /// A registry that is not ECR, and its token server.
    Other,
}

pub(super) struct World {
    pub(super) bench: Bench,
    /// A registry with a token server.
    pub(super) other: Option<(Registry, TempDir)>,
    work: Work,
    _folder: TempDir,
}

/// How the request of a stack ended.
pub(super) enum Ended {
    /// With this sentence.
    Failed(String),
    /// With a success, and what the destination then has.
    Succeeded(Held),
}

/// What a destination has of an image.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// All of the image with this digest.
    Whole(Digest),
    /// No image.
    Nothing,
    /// Not what it should.
    Broken(String),
}

const ROBOT: &str = "canary";

impl World {
    pub(super) async fn new(work: Work) -> Self {
        let folder = fixture(match work {
            Work::Removal => "app",
            _ => "source",
        })
        .await;
        let bench = Bench::with(EnvironmentOptions {
            registry: RegistryOptions {
                folder: Some(folder.path().to_owned()),
                create_on_push: true,
                // Layers of the source are read, although it is of the same registry.
                mounts: Mounts::Never,
                ..RegistryOptions::default()
            },
            bucket: BucketOptions {
                anonymous: true,
                ..BucketOptions::default()
            },
            aws: AwsApiOptions {
                secrets: [("login".to_owned(), Secret::new(format!("robot:{ROBOT}")))].into(),
                ..AwsApiOptions::default()
            },
            ..EnvironmentOptions::default()
        })
        .await;
        bench.stage("example.tar", &Archive::of(&[b"layer"]).tar());
        let other = match work {
            Work::FromOther | Work::ToOther => Some(other_registry(work).await),
            _ => None,
        };
        Self {
            bench,
            other,
            work,
            _folder: folder,
        }
    }

    pub(super) fn faults(&self, server: Server) -> &Faults {
        match server {
            Server::Registry => self.bench.environment.registry.faults(),
            Server::Bucket => self.bench.environment.bucket.faults(),
            Server::Aws => self.bench.environment.aws.faults(),
            Server::Other => self.other.as_ref().expect("another registry").0.faults(),
        }
    }

    /// Where a server listens.
    pub(super) fn address(&self, server: Server) -> SocketAddr {
        let environment = &self.bench.environment;
        match server {
            Server::Registry => environment.registry.address(),
            Server::Bucket => environment.bucket.address(),
            Server::Aws => environment.aws.address(),
            Server::Other => self.other.as_ref().expect("another registry").0.address(),
        }
    }

    /// What the stack asks for, with more properties.
    pub(super) fn event(&self, properties: &[(&str, &str)]) -> Value {
        let source = match self.work {
            Work::Archive | Work::ToOther | Work::Removal => "s3://images/example.tar".to_owned(),
            Work::Web => self.bench.url("example.tar"),
            Work::Image => format!("{HOST}/source:1"),
            Work::FromOther => format!("{}/source:1", self.address(Server::Other)),
        };
        let destination = match self.work {
            Work::ToOther => self.address(Server::Other).to_string(),
            _ => HOST.to_owned(),
        };
        let mut event = json!({
            "RequestType": "Create",
            "ResourceType": "Custom::ECRImage",
            "LogicalResourceId": "Image",
            "ResourceProperties": {
                "Source": source, "Destination": format!("{destination}/app:1"), "Retry": "1",
            },
        });
        if self.work == Work::Removal {
            event["RequestType"] = json!("Delete");
            event["PhysicalResourceId"] =
                json!(format!("{HOST}/app@{}", IMAGE.get().expect("an image")));
            event["ResourceProperties"]["RemovalPolicy"] = json!("delete");
        }
        for (name, value) in properties {
            event["ResourceProperties"][name] = json!(value);
        }
        event
    }

    /// Does what an event asks for, in a function that has so much time.
    pub(super) async fn run(self, event: &Value, time: Duration) -> Ended {
        let handler = Handler::new(Arc::new(self.bench.deployer), delivery());
        let event = RawValue::from_string(event.to_string()).expect("JSON");
        let invocation = Invocation {
            id: "invocation".to_owned(),
            deadline: Instant::now() + time,
            function: String::new(),
            log_group: String::new(),
        };
        if let Err(error) = handler.handle(&event, &invocation).await {
            return Ended::Failed(error.to_string());
        }
        let (registry, opened) = match &self.other {
            Some((_, folder)) if self.work == Work::ToOther => (None, Some(open(folder).await)),
            _ => (Some(&self.bench.environment.registry), None),
        };
        let registry = registry.or(opened.as_ref()).expect("a destination");
        registry.faults().clear();
        Ended::Succeeded(held(&registry.base_url()).await)
    }

    /// Why what the stack asks for, with more properties, fails in a function that has time.
    pub(super) async fn failure(self, properties: &[(&str, &str)]) -> String {
        let event = self.event(properties);
        match self.run(&event, Duration::from_secs(20)).await {
            Ended::Failed(sentence) => sentence,
            Ended::Succeeded(held) => panic!("no failure: {held:?}"),
        }
    }
}

/// The digest of the image of all fixtures.
static IMAGE: OnceCell<Digest> = OnceCell::const_new();

/// A registry's folder with an image in this repository.
async fn fixture(repository: &'static str) -> TempDir {
    static SOURCE: OnceCell<TempDir> = OnceCell::const_new();
    static APP: OnceCell<TempDir> = OnceCell::const_new();
    let made = if repository == "app" { &APP } else { &SOURCE };
    let made = made
        .get_or_init(|| async {
            let folder = tempfile::tempdir().expect("a temporary directory");
            let registry = open(&folder).await;
            let digest = push(&registry, repository).await;
            IMAGE.get_or_init(|| async { digest }).await;
            registry.stop().await;
            folder
        })
        .await;
    let folder = tempfile::tempdir().expect("a temporary directory");
    link(made.path(), folder.path());
    folder
}

/// Makes a folder of what is in another. Files are the same: stand-ins replace them, and never
/// write into them. What nobody writes to is the same folder.
fn link(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.file_name() == "source" {
            std::os::unix::fs::symlink(entry.path(), &to).expect("a link");
        } else if entry.path().is_dir() {
            std::fs::create_dir_all(&to).expect("a folder");
            link(&entry.path(), &to);
        } else {
            std::fs::hard_link(entry.path(), &to).expect("a link");
        }
    }
}

/// A registry with a token server, and its folder: with an image, or empty to be pushed to.
async fn other_registry(work: Work) -> (Registry, TempDir) {
    let folder = match work {
        Work::FromOther => fixture("source").await,
        _ => tempfile::tempdir().expect("a temporary directory"),
    };
    let registry = Registry::start(RegistryOptions {
        folder: Some(folder.path().to_owned()),
        auth: Auth::Bearer {
            user: "robot".to_owned(),
            password: Secret::new(ROBOT),
            anonymous_pull: true,
            lifetime: Duration::from_mins(5),
        },
        ..RegistryOptions::default()
    });
    (registry.await.expect("a registry"), folder)
}

/// A registry of this folder that lets everyone in.
async fn open(folder: &TempDir) -> Registry {
    let options = RegistryOptions {
        folder: Some(folder.path().to_owned()),
        ..RegistryOptions::default()
    };
    Registry::start(options).await.expect("a registry")
}

async fn push(registry: &Registry, repository: &str) -> Digest {
    let images = Images::at(registry.address(), repository);
    let layer = images.blob(MediaType::OCI_LAYER_GZIP, "a layer").await;
    let image = images.image("linux/amd64", &[&layer]).await;
    images.tag("1", &image).await;
    image.digest().clone()
}

/// What brings no answer: the caller of these tests hears it.
fn delivery() -> Delivery {
    static DELIVERY: LazyLock<Delivery> = LazyLock::new(|| Delivery::new(true).expect("a client"));
    DELIVERY.clone()
}

/// What is under the tag of the destination.
async fn held(registry: &str) -> Held {
    let client = Client::new();
    let get = async |path: String| {
        let url = format!("{registry}/v2/app/{path}");
        let answer = client.get(url).header(ACCEPT, "*/*").send().await;
        let answer = answer.expect("an answer of the stand-in");
        let is_there = answer.status().is_success();
        let bytes = answer.bytes().await.expect("a body");
        is_there.then_some(bytes)
    };
    let Some(manifest) = get("manifests/1".to_owned()).await else {
        return Held::Nothing;
    };
    let Ok(parsed) = serde_json::from_slice::<Value>(&manifest) else {
        return Held::Broken("the manifest is no JSON".to_owned());
    };
    let layers = parsed["layers"].as_array().cloned().unwrap_or_default();
    for blob in layers.iter().chain([&parsed["config"]]) {
        let Some(digest) = blob["digest"].as_str() else {
            return Held::Broken(format!("the manifest is {parsed}"));
        };
        let bytes = get(format!("blobs/{digest}")).await;
        let found = bytes.map(|bytes| Digest::sha256(&bytes).to_string());
        if found.as_deref() != Some(digest) {
            return Held::Broken(format!("expected {digest}, got {found:?}"));
        }
    }
    Held::Whole(Digest::sha256(&manifest))
}

/// What a destination is to have after such work.
pub(super) async fn expected(work: Work) -> &'static Held {
    static IMAGE: OnceCell<Held> = OnceCell::const_new();
    static ARCHIVE: OnceCell<Held> = OnceCell::const_new();
    let (cell, peaceful) = match work {
        Work::Removal => return &Held::Nothing,
        Work::Image | Work::FromOther => (&IMAGE, Work::Image),
        Work::Archive | Work::Web | Work::ToOther => (&ARCHIVE, Work::Archive),
    };
    cell.get_or_init(|| async move {
        let world = World::new(peaceful).await;
        let event = world.event(&[]);
        match world.run(&event, Duration::from_mins(1)).await {
            Ended::Succeeded(held @ Held::Whole(_)) => held,
            Ended::Succeeded(held) => panic!("{held:?}"),
            Ended::Failed(sentence) => panic!("{sentence}"),
        }
    })
    .await
}
