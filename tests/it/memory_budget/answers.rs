//! What registries, token servers, AWS and CloudFormation send.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Output;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::Response;
use longshore::local::{Environment, EnvironmentOptions, RegistryOptions};
use longshore::oci::{Digest, MediaType};
use serde_json::{Value, json};

use super::peer::{Peer, answer, endless, tree};
use super::{MEBIBYTES, ended, within};
use crate::support::{End, Function, MemoryLimit, bootstrap};

const ECR: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
const ROLE: &str = "arn:aws:iam::123456789012:role/read";
const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:pull-AbCdEf";
/// A document may have so many bytes.
const DOCUMENT: usize = 4 << 20;
const MOST: usize = DOCUMENT - 1024;
const TOO_LONG: &str = "answered more than 4194304 bytes";
const JSON: &str = "application/json";

/// Embedded stand-ins, beside which the peer stands.
struct World {
    environment: Environment,
    peer: Peer,
}

impl World {
    async fn new(
        answer: impl Fn(&str, &str, &str) -> Response<Body> + Send + Sync + 'static,
    ) -> Self {
        let options = EnvironmentOptions {
            registry: RegistryOptions::default(),
            ..EnvironmentOptions::default()
        };
        Self {
            environment: Environment::start(options).await.unwrap(),
            peer: Peer::start(answer).await,
        }
    }

    /// `source.example` is the peer, and so are these services of AWS. All else is embedded.
    fn variables(&self, services: &[&str]) -> Vec<(&'static str, String)> {
        let mut variables: Vec<(&'static str, String)> =
            self.environment.variables().into_iter().collect();
        let registry = self.environment.registry.base_url();
        let overrides = format!(
            "source.example={0},{ECR}={0},mirror.example={registry}",
            self.peer.url
        );
        variables.push(("LONGSHORE_REGISTRY_OVERRIDE", overrides));
        variables.push(("LONGSHORE_DESTINATION_REGISTRIES", "any".to_owned()));
        variables.push(("LONGSHORE_ALLOW_LOOPBACK", "1".to_owned()));
        variables.push(("AWS_MAX_ATTEMPTS", "1".to_owned()));
        for service in services {
            variables.push(match *service {
                "ecr" => ("AWS_ENDPOINT_URL_ECR", self.peer.url.clone()),
                "s3" => ("AWS_ENDPOINT_URL_S3", self.peer.url.clone()),
                "sts" => ("AWS_ENDPOINT_URL_STS", self.peer.url.clone()),
                _ => ("AWS_ENDPOINT_URL_SECRETS_MANAGER", self.peer.url.clone()),
            });
        }
        variables
    }

    /// Has the handler answer a request of this kind with these properties.
    async fn invoke(&self, request: &str, properties: Value, services: &[&str]) -> Output {
        let event = event(request, &properties);
        let variables = self.variables(services);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("event.json");
        std::fs::write(&path, event.to_string()).unwrap();
        let run = move || {
            let arguments = ["invoke".into(), path.into_os_string()];
            let run = within(MEBIBYTES, arguments, &variables);
            drop(folder);
            run
        };
        tokio::task::spawn_blocking(run).await.unwrap()
    }

    async fn copy(&self, more: Value) -> Output {
        self.create(&more, &[]).await
    }

    async fn create(&self, more: &Value, services: &[&str]) -> Output {
        let mut properties = json!({
            "Source": "source.example/app:1",
            "Destination": "mirror.example/app:1",
            "Retry": "1",
        });
        let all = properties.as_object_mut().unwrap();
        all.extend(more.as_object().unwrap().clone());
        self.invoke("Create", properties, services).await
    }
}

fn event(request: &str, properties: &Value) -> Value {
    let manifest = manifest_of(&plain_config()).to_string();
    let id = format!("source.example/app@{}", Digest::sha256(manifest.as_bytes()));
    json!({
        "RequestType": request,
        "RequestId": "request",
        "StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/app/1",
        "LogicalResourceId": "Image",
        "ResourceType": "Custom::ECRImage",
        "PhysicalResourceId": if request == "Create" { Value::Null } else { id.into() },
        "ResourceProperties": properties,
    })
}

/// What the source is asked for.
fn is_of(path: &str, part: &str) -> bool {
    path.starts_with("/v2/app/") && path.contains(part)
}

fn manifest_of(config: &str) -> Value {
    let config_of = json!({
        "mediaType": MediaType::OCI_CONFIG, "digest": Digest::sha256(config.as_bytes()),
        "size": config.len(),
    });
    json!({"schemaVersion": 2, "mediaType": MediaType::OCI_MANIFEST, "config": config_of, "layers": []})
}

/// A source of one image, but for what `other` answers.
async fn source(
    config: String,
    other: impl Fn(&str, &str, &str) -> Option<Response<Body>> + Send + Sync + 'static,
) -> World {
    let manifest = manifest_of(&config).to_string();
    let media_type = MediaType::OCI_MANIFEST.as_str();
    World::new(move |method, path, host| {
        if let Some(other) = other(method, path, host) {
            return other;
        }
        if is_of(path, "/manifests/1") || is_of(path, "/manifests/sha256:") {
            return answer(200, media_type, manifest.clone());
        }
        if is_of(path, "/blobs/sha256:") {
            return answer(200, "application/octet-stream", config.clone());
        }
        answer(
            404,
            "application/json",
            r#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#,
        )
    })
    .await
}

fn plain_config() -> String {
    json!({"os": "linux", "architecture": "amd64"}).to_string()
}

/// A document with `members`, and with an intricate member besides, which nobody asked for.
fn intricate(mut members: Value, length: usize) -> String {
    members["zz"] = json!(0);
    members
        .to_string()
        .replace(r#""zz":0"#, &format!(r#""zz":{}"#, tree(length)))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real parts: run scripts/test"]
async fn manifests_configs_and_errors_are_bounded() {
    let index = MediaType::OCI_INDEX.as_str();
    for (what, path, status, media_type, begin, expected) in [
        (
            "a manifest",
            "/manifests/1",
            200,
            index,
            r#"{"zz":""#,
            TOO_LONG,
        ),
        (
            "an error",
            "/manifests/1",
            403,
            JSON,
            r#"{"errors":[{"code":""#,
            "403",
        ),
        (
            "referrers",
            "/referrers/",
            200,
            index,
            r#"{"manifests":[],"zz":""#,
            TOO_LONG,
        ),
    ] {
        let world = source(plain_config(), move |_, asked, _| {
            is_of(asked, path).then(|| answer(status, media_type, endless(begin)))
        });
        let said = ended(what, &world.await.copy(json!({"Referrers": "copy"})).await);
        assert!(said.contains(expected), "{what}: {said}");
    }

    let other = "application/vnd.example+json";
    let platforms = json!({"Platforms": ["linux/amd64", "linux/arm64"]});
    let list = json!({"schemaVersion": 2, "manifests": []});
    for (what, path, media_type, document, properties, expected) in [
        (
            "an index",
            "/manifests/1",
            index,
            list.clone(),
            platforms,
            "linux/amd64",
        ),
        (
            "another manifest",
            "/manifests/1",
            other,
            json!({}),
            json!({}),
            "SUCCESS",
        ),
        (
            "referrers",
            "/referrers/",
            index,
            list,
            json!({"Referrers": "copy"}),
            "SUCCESS",
        ),
    ] {
        let document = intricate(document, MOST);
        let world = source(plain_config(), move |_, asked, _| {
            is_of(asked, path).then(|| answer(200, media_type, document.clone()))
        });
        let said = ended(what, &world.await.copy(properties).await);
        assert!(said.contains(expected), "{what}: {said}");
    }

    let config = intricate(json!({"os": "linux", "architecture": "amd64"}), MOST);
    let world = source(config, |_, _, _| None).await;
    let said = ended(
        "a config",
        &world.copy(json!({"Platforms": ["linux/amd64"]})).await,
    );
    assert!(said.contains("SUCCESS"), "a config: {said}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real parts: run scripts/test"]
async fn token_servers_answers_are_bounded() {
    for token in [None, Some(intricate(json!({}), 60 << 10))] {
        let world = World::new(move |_, path, host| {
            if path.starts_with("/token") {
                let body = token.clone().map(Body::from);
                return answer(200, JSON, body.unwrap_or_else(|| endless(r#"{"token":""#)));
            }
            refused(&format!(
                r#"Bearer realm="http://{host}/token",service="s""#
            ))
        });
        let said = ended("a token", &world.await.copy(json!({})).await);
        assert!(said.contains("did not issue a token"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real parts: run scripts/test"]
async fn lists_of_tags_are_bounded() {
    for (what, expected) in [
        ("endless", TOO_LONG),
        ("many", "with more than 200,000 tags"),
        ("intricate", "SUCCESS"),
    ] {
        let world = source(plain_config(), move |_, asked, _| {
            is_of(asked, "/tags/list").then(|| match what {
                "endless" => answer(200, JSON, endless(r#"{"tags":[],"zz":""#)),
                "many" => answer(200, JSON, many_tags()),
                _ => answer(200, JSON, intricate(json!({"tags": []}), MOST)),
            })
        });
        let properties = json!({
            "Source": "source.example/other:1",
            "Destination": "source.example/app",
            "RemovalPolicy": "delete",
        });
        let said = ended(what, &world.await.invoke("Delete", properties, &[]).await);
        assert!(said.contains(expected), "{what}: {said}");
    }
}

fn many_tags() -> String {
    format!(r#"{{"tags":[{}"a"]}}"#, r#""a","#.repeat(DOCUMENT / 4 - 9))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real parts: run scripts/test"]
async fn answers_of_aws_are_bounded() {
    let secret = json!({"SourceCredentials": SECRET});
    let role = json!({"SourceRoleArn": ROLE, "Source": "s3://images/app.tar"});
    let object = json!({"Source": "s3://images/app.tar"});
    let ecr = json!({"Source": format!("{ECR}/app:1")});
    for (service, status, begin, properties) in [
        ("secrets", 200, r#"{"a":""#, &secret),
        ("secrets", 403, r#"{"a":""#, &secret),
        ("sts", 200, "<Error><Code>", &role),
        ("sts", 403, "<Error><Code>", &role),
        ("s3", 403, "<Error><Code>", &object),
        ("ecr", 200, r#"{"a":""#, &ecr),
        ("ecr", 403, r#"{"a":""#, &ecr),
    ] {
        let world = World::new(move |_, path, _| {
            if path.starts_with("/v2/") {
                return refused(r#"Basic realm="r""#);
            }
            answer(status, JSON, endless(begin))
        });
        let run = world.await.create(properties, &[service]).await;
        let said = ended(service, &run);
        let expected = "more than 4194304 bytes";
        assert!(said.contains(expected), "{service}, {status}: {said}");
    }
}

fn refused(challenge: &str) -> Response<Body> {
    let mut refused = answer(401, JSON, "");
    let challenge = challenge.parse().unwrap();
    refused.headers_mut().insert("www-authenticate", challenge);
    refused
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real parts: run scripts/test"]
async fn an_image_of_the_most_manifests_is_copied() {
    let config = plain_config();
    let images = (0..1_999).map(|number| {
        let mut image = manifest_of(&config);
        let number = number.to_string();
        image["annotations"] = json!({"number": number, "padding": "x".repeat(7_700)});
        image.to_string()
    });
    let world = indexed(images.collect(), config, |_| None).await;
    let said = ended(
        "many manifests",
        &world.copy(json!({"Attestations": "drop"})).await,
    );
    assert!(said.contains("SUCCESS"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real parts: run scripts/test"]
async fn an_image_of_too_many_blobs_is_refused() {
    let config = plain_config();
    let images = (0..4).map(|number| {
        let layers = (0..36_000).map(|layer| {
            let hex = format!("{number:x}{layer:063x}");
            format!(r#"{{"digest":"sha256:{hex}","size":1,"annotations":{{"":""}}}}"#)
        });
        let layers: Vec<_> = layers.collect();
        let image = manifest_of(&config).to_string();
        image.replace(
            r#""layers":[]"#,
            &format!(r#""layers":[{}]"#, layers.join(",")),
        )
    });
    let world = indexed(images.collect(), config, |_| None).await;
    let said = ended("many blobs", &world.copy(json!({})).await);
    assert!(said.contains("more than 20000 blobs"), "{said}");
}

/// A source of an index of these images, but for what `other` answers to a path.
async fn indexed(
    images: Vec<String>,
    config: String,
    other: impl Fn(&str) -> Option<Response<Body>> + Send + Sync + 'static,
) -> World {
    let platform = json!({"os": "linux", "architecture": "amd64"});
    let entries = images.iter().enumerate().map(|(number, image)| {
        let mut platform = platform.clone();
        platform["variant"] = json!(format!("v{number}"));
        json!({
            "mediaType": MediaType::OCI_MANIFEST, "digest": Digest::sha256(image.as_bytes()),
            "size": image.len(), "platform": platform,
        })
    });
    let entries: Vec<_> = entries.collect();
    let index =
        json!({"schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": entries});
    let index = index.to_string();
    let of_digest = |text: &String| (Digest::sha256(text.as_bytes()).to_string(), text.clone());
    let images: HashMap<_, _> = images.iter().map(of_digest).collect();
    source(config, move |_, path, _| {
        if let Some(other) = other(path) {
            return Some(other);
        }
        if is_of(path, "/manifests/1") {
            return Some(answer(200, MediaType::OCI_INDEX.as_str(), index.clone()));
        }
        let (_, digest) = path.split_once("/manifests/")?;
        let (digest, _) = digest.split_once('?').unwrap_or((digest, ""));
        let image = images.get(digest)?.clone();
        Some(answer(200, MediaType::OCI_MANIFEST.as_str(), image))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real parts: run scripts/test"]
async fn earlier_images_are_learned_from_within_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("archive.tar");
    std::fs::write(&path, crate::support::Archive::of(&[b"layer"]).tar()).unwrap();
    let config = plain_config();
    let manifest = manifest_of(&config).to_string();
    let layer = r#"{"digest":"sha256:LAYER","size":1,"annotations":{"":""}},"#;
    let peer = Peer::start(move |method, asked, _| {
        if method == "GET" && asked.contains("/manifests/") {
            let number = asked.bytes().map(u32::from).sum::<u32>();
            let layers = layer
                .replace("LAYER", &format!("{number:064x}"))
                .repeat(35_000);
            let layers = format!(r#""layers":[{}]"#, layers.trim_end_matches(','));
            let learned = manifest.replace(r#""layers":[]"#, &layers);
            return answer(200, MediaType::OCI_MANIFEST.as_str(), learned);
        }
        answer(404, "application/json", "{}")
    })
    .await;
    let run = tokio::task::spawn_blocking(move || {
        let mut arguments = vec![
            "copy".to_owned(),
            format!("docker-archive:{}", path.display()),
        ];
        for number in 0..8 {
            arguments.push("--to".to_owned());
            arguments.push(format!("source.example/app{number}:1"));
        }
        for tag in ["a", "b", "c"] {
            arguments.extend(["--tag".to_owned(), tag.to_owned()]);
        }
        let registry = format!("source.example={}", peer.url);
        let run = within(
            MEBIBYTES,
            &arguments,
            &[("LONGSHORE_REGISTRY_OVERRIDE", registry)],
        );
        drop((folder, peer));
        run
    });
    let run = run.await.unwrap();
    let said = ended("earlier images", &run);
    assert!(said.contains("source.example/app0"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real parts: run scripts/test"]
async fn keys_of_redirects_are_bounded() {
    for (length, expected) in [(15_000, "SUCCESS"), (60_000, "a Location that is too long")] {
        let config = plain_config();
        let images = (0..60).map(|number| {
            let mut image = manifest_of(&config);
            image["annotations"] = json!({"number": number.to_string()});
            image.to_string()
        });
        let images: Vec<_> = images.collect();
        let asked = AtomicUsize::new(0);
        let redirected = move |path: &str| {
            if !is_of(path, "/manifests/sha256:") || path.contains("hop=4") {
                return None;
            }
            let hop = path
                .split_once("hop=")
                .map_or(0, |(_, hop)| hop[..1].parse().unwrap());
            let (path, _) = path.split_once('?').unwrap_or((path, ""));
            let number = asked.fetch_add(1, Ordering::Relaxed);
            let location = format!("{path}?hop={}&token={number:0length$}", hop + 1);
            let mut answer = answer(307, JSON, "");
            answer
                .headers_mut()
                .insert("location", location.parse().unwrap());
            Some(answer)
        };
        let world = indexed(images, config, redirected).await;
        let said = ended("keys", &world.copy(json!({})).await);
        assert!(said.contains(expected), "{length}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real parts: run scripts/test"]
async fn endless_headers_are_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
                while stream.write_all(&b"x: y\r\n".repeat(1000)).is_ok() {}
            });
        }
    });
    let run = tokio::task::spawn_blocking(move || {
        let registry = format!("source.example=http://{address}");
        let arguments = ["inspect", "source.example/app:1"];
        within(
            MEBIBYTES,
            arguments,
            &[("LONGSHORE_REGISTRY_OVERRIDE", registry)],
        )
    });
    let said = ended("headers", &run.await.unwrap());
    assert!(said.contains("source.example"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real parts: run scripts/test"]
async fn an_event_of_intricate_properties_is_answered() {
    let limit = MemoryLimit::new(MEBIBYTES);
    let program = limit.within(&bootstrap());
    let memory = ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", MEBIBYTES.to_string());
    let mut function = Function::start_program(&program, [memory]).await;
    for megabytes in [1, 6] {
        let junk: Value = vec![json!({"": 0}); (megabytes << 20) / 8 - 200].into();
        let mut event = event(
            "Create",
            &json!({"Source": "source.example/app:1", "Junk": junk}),
        );
        event["RequestId"] = json!("r");
        match function.invoke(&event, Duration::from_secs(30)).await {
            End::Failed(error) => assert!(
                error.to_string().contains("Junk") || error.to_string().contains("bytes"),
                "{error}"
            ),
            _ => panic!("expected an error: {}", function.log()),
        }
    }
}
