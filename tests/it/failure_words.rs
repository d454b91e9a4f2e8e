//! What a stack hears when something fails: the sentence names the side, the request and the host
//! that failed, and advises what helps there. Each row is a place and a fault.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use longshore::cloudformation::{Delivery, Handler, Invocation};
use longshore::local::{EnvironmentOptions, Fault, Mounts, RegistryOptions};
use longshore::oci::MediaType;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::support::{Archive, Bench, HOST, Images};

/// How many rows run at the same time: more of them miss their deadlines on a busy machine.
const AT_ONCE: usize = 12;

/// A place where something fails: how its requests are known, and the words by which a sentence
/// names it.
struct Place {
    name: &'static str,
    server: Server,
    method: &'static str,
    path: &'static str,
    /// What is deployed: an archive, or an image of the registry.
    from_archive: bool,
    /// A property by which the place takes part.
    property: Option<(&'static str, &'static str)>,
    /// Words of every failure there.
    says: &'static [&'static str],
    /// Words that would name another side.
    never: &'static [&'static str],
}

#[derive(Clone, Copy)]
enum Server {
    Registry,
    Bucket,
    Aws,
}

const SOURCE: &[&str] = &["/source"];
const NO_DESTINATION: &[&str] = &["may push", "create it before", "cannot push", "NAT gateway"];
const DESTINATION: &[&str] = &["/app"];
const NO_SOURCE: &[&str] = &[
    "may pull",
    "cannot fetch",
    "NAT gateway",
    "there is no image",
];

const PLACES: [Place; 13] = [
    Place {
        name: "the source's manifest",
        server: Server::Registry,
        method: "GET",
        path: "/v2/source/manifests/1",
        from_archive: false,
        property: None,
        says: SOURCE,
        never: NO_DESTINATION,
    },
    Place {
        name: "the source's layer",
        server: Server::Registry,
        method: "GET",
        path: "/v2/source/blobs/",
        from_archive: false,
        property: None,
        says: SOURCE,
        never: NO_DESTINATION,
    },
    Place {
        name: "a manifest at the destination",
        server: Server::Registry,
        method: "HEAD",
        path: "/v2/app/manifests/",
        from_archive: false,
        property: None,
        says: DESTINATION,
        never: NO_SOURCE,
    },
    Place {
        name: "a blob at the destination",
        server: Server::Registry,
        method: "HEAD",
        path: "/v2/app/blobs/",
        from_archive: false,
        property: None,
        says: DESTINATION,
        never: NO_SOURCE,
    },
    Place {
        name: "the start of an upload",
        server: Server::Registry,
        method: "POST",
        path: "/v2/app/blobs/uploads/",
        from_archive: false,
        property: None,
        says: DESTINATION,
        never: NO_SOURCE,
    },
    Place {
        name: "the end of an upload",
        server: Server::Registry,
        method: "PUT",
        path: "/v2/app/blobs/uploads/",
        from_archive: false,
        property: None,
        says: DESTINATION,
        never: NO_SOURCE,
    },
    Place {
        name: "the push of a manifest",
        server: Server::Registry,
        method: "PUT",
        path: "/v2/app/manifests/sha256",
        from_archive: false,
        property: None,
        says: DESTINATION,
        never: NO_SOURCE,
    },
    Place {
        name: "the tag",
        server: Server::Registry,
        method: "PUT",
        path: "/v2/app/manifests/1",
        from_archive: false,
        property: None,
        says: DESTINATION,
        never: NO_SOURCE,
    },
    Place {
        name: "an archive",
        server: Server::Bucket,
        method: "GET",
        path: "",
        from_archive: true,
        property: None,
        says: &["s3://images/example.tar"],
        never: NO_DESTINATION,
    },
    Place {
        name: "an upload of an archive's layer",
        server: Server::Registry,
        method: "POST",
        path: "/v2/app/blobs/uploads/",
        from_archive: true,
        property: None,
        says: DESTINATION,
        never: NO_SOURCE,
    },
    Place {
        name: "the token of ECR",
        server: Server::Aws,
        method: "POST",
        path: "/ecr/GetAuthorizationToken",
        from_archive: true,
        property: None,
        says: &["ecr"],
        never: &["may pull", "cannot fetch", "there is no image"],
    },
    Place {
        name: "the source's role",
        server: Server::Aws,
        method: "POST",
        path: "/sts",
        from_archive: true,
        property: Some(("SourceRoleArn", "arn:aws:iam::210987654321:role/reader")),
        says: &["s3://images/example.tar"],
        never: &["may push", "create it before", "cannot push"],
    },
    Place {
        name: "the creation of the repository",
        server: Server::Aws,
        method: "POST",
        path: "/ecr/DescribeRepositories",
        from_archive: true,
        property: Some(("CreateRepository", "true")),
        says: &["app"],
        never: &["may pull", "cannot fetch", "there is no image"],
    },
];

/// What goes wrong, and words that the sentence then has or never has, whatever the place.
struct Wrong {
    name: &'static str,
    fault: fn() -> Fault,
    says: &'static [&'static str],
    never: &'static [&'static str],
}

fn refusals() -> Vec<Wrong> {
    vec![
        Wrong {
            name: "401",
            fault: || Fault::answer(401).times(99),
            says: &[],
            never: &["NAT gateway"],
        },
        Wrong {
            name: "403",
            fault: || Fault::answer(403).saying("DENIED", "not for you").times(99),
            says: &[],
            never: &["NAT gateway"],
        },
        Wrong {
            name: "500",
            fault: || Fault::answer(500).times(99),
            says: &[],
            never: &["NAT gateway", "does not exist"],
        },
        Wrong {
            name: "503",
            fault: || Fault::answer(503).times(99),
            says: &[],
            never: &["NAT gateway", "does not exist"],
        },
        Wrong {
            name: "429 that asks to wait for too long",
            fault: || Fault::answer(429).retry_after(4000).times(99),
            says: &[],
            never: &["NAT gateway"],
        },
        Wrong {
            name: "a hang",
            fault: || Fault::hang().times(99),
            says: &["for the last", "it waited for"],
            never: &["NAT gateway"],
        },
    ]
}

struct World {
    bench: Bench,
}

impl World {
    async fn new() -> Self {
        let options = EnvironmentOptions {
            registry: RegistryOptions {
                create_on_push: true,
                // Layers of the source are read, although it is of the same registry.
                mounts: Mounts::Never,
                ..RegistryOptions::default()
            },
            ..EnvironmentOptions::default()
        };
        let bench = Bench::with(options).await;
        let images = Images::at(bench.environment.registry.address(), "source");
        let layer = images.blob(MediaType::OCI_LAYER_GZIP, "a layer").await;
        let image = images.image("linux/amd64", &[&layer]).await;
        images.tag("1", &image).await;
        bench.stage("example.tar", &Archive::of(&[b"layer"]).tar());
        Self { bench }
    }

    /// Why the deployment of an event fails, as the stack hears it.
    async fn failure(self, event: &Value, time: Duration) -> String {
        let delivery = Delivery::new(true).unwrap();
        let handler = Handler::new(Arc::new(self.bench.deployer), delivery);
        let event = RawValue::from_string(event.to_string()).unwrap();
        let invocation = Invocation {
            id: "invocation".to_owned(),
            deadline: Instant::now() + time,
            function: String::new(),
            log_group: String::new(),
        };
        let answered = handler.handle(&event, &invocation).await;
        answered.map_or_else(
            |error| error.to_string(),
            |answer| format!("no failure: {answer}"),
        )
    }
}

fn event(source: &str) -> Value {
    json!({
        "RequestType": "Create",
        "ResourceType": "Custom::ECRImage",
        "LogicalResourceId": "Image",
        "ResourceProperties": {
            "Source": source, "Destination": format!("{HOST}/app:1"), "Retry": "1",
        },
    })
}

/// What is wrong with a sentence.
fn check(row: &str, sentence: &str, says: &[&str], never: &[&str]) -> Vec<String> {
    let missing = says.iter().filter(|word| !sentence.contains(**word));
    let missing = missing.map(|word| format!("{row}: no {word:?} in: {sentence}"));
    let never = never.iter().chain(&["no failure:"]);
    let strange = never.filter(|word| sentence.contains(**word));
    let strange = strange.map(|word| format!("{row}: {word:?} in: {sentence}"));
    missing.chain(strange).collect()
}

fn assert_words(row: &str, sentence: &str, says: &[&str], never: &[&str]) {
    let strange = check(row, sentence, says, never);
    assert!(strange.is_empty(), "{}", strange.join("\n"));
}

#[tokio::test]
async fn a_fault_is_told_of_the_place_where_it_was() {
    let mut rows = Vec::new();
    for place in &PLACES {
        for wrong in refusals() {
            rows.push(async move {
                let world = World::new().await;
                let fault = (wrong.fault)().on(place.method, place.path);
                let environment = &world.bench.environment;
                match place.server {
                    Server::Registry => environment.registry.faults().add(fault),
                    Server::Bucket => environment.bucket.faults().add(fault),
                    Server::Aws => environment.aws.faults().add(fault),
                }
                let source = if place.from_archive {
                    "s3://images/example.tar".to_owned()
                } else {
                    format!("{HOST}/source:1")
                };
                let mut event = event(&source);
                if let Some((name, value)) = place.property {
                    event["ResourceProperties"][name] = json!(value);
                }
                let sentence = world.failure(&event, Duration::from_secs(8)).await;
                let row = format!("{}, {}", place.name, wrong.name);
                let mut strange = check(&row, &sentence, place.says, place.never);
                strange.extend(check(&row, &sentence, wrong.says, wrong.never));
                strange
            });
        }
    }
    let told = stream::iter(rows).buffer_unordered(AT_ONCE);
    let strange = told.collect::<Vec<_>>().await.concat();
    assert!(strange.is_empty(), "{}", strange.join("\n"));
}

#[tokio::test]
async fn a_source_that_lacks_permissions_is_told_to_allow_them_there() {
    for (path, action) in [
        ("/v2/source/manifests/1", "ecr:BatchGetImage"),
        ("/v2/source/blobs/", "ecr:GetDownloadUrlForLayer"),
    ] {
        let world = World::new().await;
        let denied = Fault::answer(403).on("GET", path).times(9);
        world.bench.environment.registry.faults().add(denied);
        let source = format!("{HOST}/source:1");
        let sentence = world
            .failure(&event(&source), Duration::from_secs(20))
            .await;
        let advice =
            format!("allow {action} on arn:aws:ecr:eu-west-1:123456789012:repository/source");
        assert_words(path, &sentence, &[&advice], &["repository/app in"]);
    }
}

#[tokio::test]
async fn a_source_repository_that_is_gone_is_not_to_be_created() {
    let world = World::new().await;
    let unknown = Fault::answer(404).saying("NAME_UNKNOWN", "no such repository");
    let registry = &world.bench.environment.registry;
    registry
        .faults()
        .add(unknown.on("GET", "/v2/source/blobs/").times(9));
    let source = format!("{HOST}/source:1");
    let sentence = world
        .failure(&event(&source), Duration::from_secs(20))
        .await;
    assert_words(
        "",
        &sentence,
        &["/source"],
        &["create it before", "CreateRepository set"],
    );
}

#[tokio::test]
async fn a_connection_that_fails_is_told_by_its_kind() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refused = free.local_addr().unwrap();
    drop(free);
    let world = World::new().await;
    let source = format!("{refused}/app:1");
    let sentence = world
        .failure(&event(&source), Duration::from_secs(20))
        .await;
    let says = [refused.to_string(), "refuses connections".to_owned()];
    let says: Vec<&str> = says.iter().map(String::as_str).collect();
    assert_words("refused", &sentence, &says, &["NAT gateway"]);

    let world = World::new().await;
    let sentence = world
        .failure(&event("registry.invalid/app:1"), Duration::from_secs(20))
        .await;
    assert_words(
        "no such host",
        &sentence,
        &["registry.invalid", "its name has no address"],
        &["NAT gateway"],
    );
}
