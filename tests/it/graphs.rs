//! Images whose indexes list the same content again and again, or content that is not there.

use std::process::{Command, Output};
use std::sync::Arc;

use longshore::copy::Meter;
use longshore::deploy::{Attestations, Image, Referrers};
use longshore::local::{EnvironmentOptions, Fault, RegistryOptions};
use longshore::oci::{Digest, MediaType, RawManifest};
use serde_json::{Value, json};

use crate::support::{Bench, HOST, Images, MemoryLimit, image, stderr};

/// An index of these entries.
fn index(entries: &[Value]) -> Value {
    json!({"schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": entries})
}

fn entry(manifest: &RawManifest) -> Value {
    serde_json::to_value(manifest.descriptor()).unwrap()
}

fn on(manifest: &RawManifest, platform: &str) -> Value {
    let (os, architecture) = platform.split_once('/').unwrap();
    let mut entry = entry(manifest);
    entry["platform"] = json!({"os": os, "architecture": architecture});
    entry
}

/// An attestation about `of`.
fn attests(attestation: &RawManifest, of: &RawManifest) -> Value {
    let mut entry = on(attestation, "unknown/unknown");
    entry["annotations"] = json!({
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": of.digest(),
    });
    entry
}

async fn bench() -> (Bench, Images) {
    let options = EnvironmentOptions {
        registry: RegistryOptions {
            create_on_push: true,
            ..RegistryOptions::default()
        },
        ..EnvironmentOptions::default()
    };
    let bench = Bench::with(options).await;
    let images = Images::at(bench.environment.registry.address(), "source");
    (bench, images)
}

/// An index of indexes of indexes, each of which lists the same `times` over, and an attestation.
async fn graph(images: &Images, times: usize) -> RawManifest {
    let layer = images.blob(MediaType::OCI_LAYER_GZIP, "layer").await;
    let image = images.image("linux/amd64", &[&layer]).await;
    let sbom = images.image("unknown/unknown", &[]).await;
    let leaf = [on(&image, "linux/amd64"), attests(&sbom, &image)];
    let mut listed: Vec<Value> = leaf.iter().cycle().take(2 * times).cloned().collect();
    for _level in 0..2 {
        let inner = images.manifest(MediaType::OCI_INDEX, &index(&listed)).await;
        listed = vec![entry(&inner); times];
    }
    images.manifest(MediaType::OCI_INDEX, &index(&listed)).await
}

fn wanted(source: &str) -> Vec<(&'static str, Image)> {
    let plain = image(source, "all:1");
    let dropped = Image {
        attestations: Attestations::Drop,
        ..image(source, "dropped:1")
    };
    let platforms = Some(vec!["linux/amd64".parse().unwrap()]);
    let one = Image {
        platforms,
        ..image(source, "one:1")
    };
    let tagged = Image {
        platform_tags: vec![("linux/amd64".parse().unwrap(), "1-amd64".parse().unwrap())],
        ..image(source, "tagged:1")
    };
    let referrers = Image {
        referrers: Referrers::Copy,
        ..image(source, "referrers:1")
    };
    vec![
        ("all", plain),
        ("without attestations", dropped),
        ("one platform", one),
        ("platform tags", tagged),
        ("referrers", referrers),
    ]
}

#[tokio::test]
async fn what_is_listed_again_and_again_is_asked_for_once() {
    let (bench, images) = bench().await;
    let root = graph(&images, 200).await;
    images.tag("1", &root).await;
    for (name, image) in wanted(&format!("{HOST}/source:1")) {
        let (deployed, _) = bench.deploy(&image).await;
        assert_eq!(deployed.platforms.len(), 1, "{name}");
        let requests = bench.registry_requests();
        assert!(requests.len() < 80, "{name}: {} requests", requests.len());
    }
}

#[tokio::test]
async fn an_image_that_is_nested_too_deep_is_told() {
    let (bench, images) = bench().await;
    let mut root = images.image("linux/amd64", &[]).await;
    for _level in 0..10 {
        let listed = index(&[entry(&root)]);
        root = images.manifest(MediaType::OCI_INDEX, &listed).await;
    }
    images.tag("1", &root).await;
    let deep = image(&format!("{HOST}/source:1"), "app:1");
    let meter = Arc::new(Meter::default());
    let error = bench.deployer.run(&deep, &meter).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "the image has more than 8 levels of indexes");
}

#[tokio::test]
async fn ten_thousand_identical_entries_are_one_request() {
    let (bench, images) = bench().await;
    let image = images.image("linux/amd64", &[]).await;
    let listed = vec![on(&image, "linux/amd64"); 10_000];
    let root = images.manifest(MediaType::OCI_INDEX, &index(&listed)).await;
    images.tag("1", &root).await;
    let digest = image.digest().to_string();
    for (name, image) in wanted(&format!("{HOST}/source:1")) {
        bench.deploy(&image).await;
        let requests = bench.registry_requests();
        let fetched = requests.iter().filter(|request| {
            request.method == "GET"
                && request.path.starts_with("/v2/source/manifests/")
                && request.path.ends_with(&digest)
        });
        assert!(fetched.count() <= 2, "{name}");
        assert!(requests.len() < 60, "{name}: {} requests", requests.len());
    }
}

#[tokio::test]
async fn a_config_that_cannot_be_read_back_moves_no_tag() {
    let (bench, images) = bench().await;
    let layer = images.blob(MediaType::OCI_LAYER_GZIP, "layer").await;
    let manifest = images.image("linux/amd64", &[&layer]).await;
    images.tag("1", &manifest).await;
    let deploying = image(&format!("{HOST}/source:1"), "app:1");
    let broken = Fault::answer(404).on("GET", "/v2/app/blobs/").times(9);
    bench.environment.registry.faults().add(broken);
    let meter = std::sync::Arc::default();
    bench.deployer.run(&deploying, &meter).await.unwrap_err();
    let pending = bench.environment.registry.faults().pending();
    assert!(pending < 9, "the config was asked for");
    let requests = bench.registry_requests();
    let tagged = requests
        .iter()
        .filter(|request| request.method == "PUT" && request.path.ends_with("/manifests/1"))
        .filter(|request| request.path.starts_with("/v2/app/"));
    assert_eq!(tagged.count(), 0, "a tag was written");
}

/// A registry that has an index and its image, and has lost the attestation that is listed.
async fn without_attestation() -> (Bench, Digest) {
    let (bench, images) = bench().await;
    let layer = images.blob(MediaType::OCI_LAYER_GZIP, "layer").await;
    let image = images.image("linux/amd64", &[&layer]).await;
    let sbom = images.image("unknown/unknown", &[]).await;
    let listed = [on(&image, "linux/amd64"), attests(&sbom, &image)];
    let root = images.manifest(MediaType::OCI_INDEX, &index(&listed)).await;
    images.tag("1", &root).await;
    let registry = bench.environment.registry.base_url();
    let url = format!("{registry}/v2/source/manifests/{}", sbom.digest());
    let deleted = reqwest::Client::new().delete(url).send().await.unwrap();
    assert!(deleted.status().is_success(), "{deleted:?}");
    (bench, sbom.digest().clone())
}

/// Runs the command on what a bench serves.
async fn command(bench: &Bench, arguments: &[&str]) -> Output {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_longshore"));
    let variables = bench.environment.variables();
    command.args(arguments).env_clear().envs(variables);
    command.output().await.unwrap()
}

#[tokio::test]
async fn attestations_that_are_not_there_are_named_with_what_to_do() {
    let (bench, gone) = without_attestation().await;
    let (source, destination) = (format!("{HOST}/source:1"), format!("{HOST}/app:1"));
    let run = command(&bench, &["copy", &source, &destination]).await;
    let said = stderr(&run);
    assert!(!run.status.success(), "{said}");
    assert!(said.contains("--attestations drop"), "{said}");
    assert!(said.contains(&gone.to_string()), "{said}");

    for wanted in [["--attestations", "drop"], ["--platform", "linux/amd64"]] {
        let run = command(
            &bench,
            &[&["copy"], &wanted[..], &[&source, &destination]].concat(),
        )
        .await;
        assert!(run.status.success(), "{wanted:?}: {}", stderr(&run));
    }
}

#[tokio::test]
async fn inspect_shows_what_is_there_and_what_is_missing() {
    let (bench, gone) = without_attestation().await;
    let source = format!("{HOST}/source:1");
    let run = command(&bench, &["inspect", &source]).await;
    assert!(run.status.success(), "{}", stderr(&run));
    let shown = String::from_utf8(run.stdout).unwrap();
    assert!(shown.contains("linux/amd64"), "{shown}");
    let missing = shown.lines().find(|line| line.starts_with("missing"));
    let expected = format!("{gone} attestation");
    assert!(
        missing.is_some_and(|line| line.ends_with(&expected)),
        "{shown}"
    );

    let run = command(&bench, &["inspect", "--json", &source]).await;
    let shown: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(shown["missing"][0]["digest"], gone.to_string());
    assert_eq!(shown["platforms"], json!(["linux/amd64"]));
}

#[test]
#[ignore = "needs real parts: run scripts/test"]
fn a_small_archive_takes_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = folder.path().join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    let put = |document: &Value, media_type: &MediaType| {
        let bytes = document.to_string();
        let digest = Digest::sha256(bytes.as_bytes());
        std::fs::write(blobs.join(digest.hex()), &bytes).unwrap();
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    };
    let config = json!({"os": "linux", "architecture": "amd64"});
    let config = put(&config, &MediaType::OCI_CONFIG);
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MediaType::OCI_MANIFEST,
        "config": config, "layers": [],
    });
    let mut listed = vec![put(&manifest, &MediaType::OCI_MANIFEST); 200];
    for _level in 0..3 {
        let nested = put(&index(&listed), &MediaType::OCI_INDEX);
        listed = vec![nested; 200];
    }
    let root = index(&listed[..1]).to_string();
    std::fs::write(folder.path().join("index.json"), root).unwrap();
    let version = r#"{"imageLayoutVersion": "1.0.0"}"#;
    std::fs::write(folder.path().join("oci-layout"), version).unwrap();
    let layout = format!("oci:{}", folder.path().display());
    let destination = format!("{HOST}/app:1");
    let limit = MemoryLimit::new(128);
    let program = limit.within(env!("CARGO_BIN_EXE_longshore").as_ref());
    for arguments in [
        vec!["inspect", &layout],
        vec!["copy", "--local", &layout, &destination],
        vec![
            "copy",
            "--local",
            "--attestations",
            "drop",
            &layout,
            &destination,
        ],
    ] {
        let run = Command::new(&program).args(&arguments).output().unwrap();
        assert!(run.status.success(), "{arguments:?}: {}", stderr(&run));
    }
}
