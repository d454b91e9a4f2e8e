//! `longshore copy` between two registries that Docker wrote, beside other tools that copy: what
//! one of them has pushed the others find under the same digest.

use std::path::Path;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use longshore::local::{self, RegistryOptions};
use longshore::oci::Digest;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{DockerRegistry, PASSWORD, TokenServer, oras, output, skopeo};

/// Two registries and what a person knows who copies between them.
struct World {
    from: DockerRegistry,
    to: DockerRegistry,
    /// Docker's configuration.
    home: TempDir,
}

impl World {
    fn new() -> Self {
        Self::between(DockerRegistry::start(), DockerRegistry::start())
    }

    fn between(from: DockerRegistry, to: DockerRegistry) -> Self {
        let home = tempfile::tempdir().unwrap();
        let known = json!({"auth": STANDARD.encode(format!("AWS:{PASSWORD}"))});
        let auths = json!({from.address().to_string(): known, to.address().to_string(): known});
        let config = home.path().join("config.json");
        std::fs::write(config, json!({"auths": auths}).to_string()).unwrap();
        Self { from, to, home }
    }

    /// Copies by `longshore copy`, both ends as it names them.
    fn longshore(&self, source: &str, destination: &str, options: &[&str]) -> Value {
        let printed = output(
            Command::new(env!("CARGO_BIN_EXE_longshore"))
                .args(["copy", "--json", source, destination])
                .args(options)
                .env("DOCKER_CONFIG", self.home.path())
                .env("LONGSHORE_ALLOW_LOOPBACK", "1"),
        );
        serde_json::from_slice(&printed).expect("JSON")
    }

    /// Copies an image of the one registry to the other. Gives its digest.
    fn copy(&self, image: &str) -> Value {
        let names = [&self.from, &self.to].map(|end| format!("{}/{image}", end.address()));
        self.longshore(&names[0], &names[1], &[])["digest"].clone()
    }
}

/// Images as different tools wrote them, as `skopeo` names them.
fn images() -> Vec<String> {
    let files = [
        ("oci-archive", "buildah-oci-platforms.tar"),
        ("oci-archive", "skopeo-oci-zstd.tar"),
        ("oci-archive", "umoci-oci.tar"),
        ("docker-archive", "podman-docker.tar"),
    ];
    let named = |(kind, file)| format!("{kind}:tests/fixtures/{file}");
    files.into_iter().map(named).collect()
}

#[test]
#[ignore = "needs real parts: run scripts/test"]
fn images_that_skopeo_pushed_keep_their_digest() {
    let world = World::new();
    for (number, source) in images().iter().enumerate() {
        let image = format!("app:{number}");
        skopeo::copy_all(source, &world.from.skopeo_name(&image));
        let copied = world.copy(&image);
        let [before, after] = [&world.from, &world.to].map(|end| skopeo::manifest(end, &image));
        assert_eq!(before, after, "{source}");
        assert_eq!(copied, Digest::sha256(&after).to_string(), "{source}");
        let inspected = skopeo::inspect(&world.to, &image);
        assert_eq!(inspected["Digest"], copied, "{source}");

        // What skopeo makes of the copy is the image again, with every blob.
        let back = world.from.skopeo_name(&format!("back:{number}"));
        skopeo::copy_all(&world.to.skopeo_name(&image), &back);
        let back = skopeo::manifest(&world.from, &format!("back:{number}"));
        assert_eq!(back, before, "{source}");
    }
}

#[test]
#[ignore = "needs real parts: run scripts/test"]
fn images_that_longshore_pushed_keep_their_digest() {
    let world = World::new();
    let archive = "docker-archive:tests/fixtures/docker-24.tar";
    let there = format!("{}/app:1", world.from.address());
    let pushed = world.longshore(archive, &there, &[]);
    let names = [&world.from, &world.to].map(|end| end.skopeo_name("app:1"));
    skopeo::copy_all(&names[0], &names[1]);
    let by_skopeo = skopeo::manifest(&world.to, "app:1");
    assert_eq!(pushed["digest"], Digest::sha256(&by_skopeo).to_string());

    let again = world.longshore(&there, &format!("{}/app:1", world.to.address()), &[]);
    assert_eq!(again["digest"], pushed["digest"]);
    assert_eq!(again["report"]["bytes_uploaded"], 0);
}

#[test]
#[ignore = "needs real parts: run scripts/test"]
fn a_second_copy_is_three_requests_beside_the_challenges() {
    let world = World::new();
    let image = "app:1";
    skopeo::copy_all(&images()[3], &world.from.skopeo_name(image));
    world.copy(image);
    let asked = || {
        let logs = [world.from.log(), world.to.log()];
        // Each registry says once in 401 how it wants to be told who asks.
        let answered = |log: &String| log.matches(" HTTP/1.1\" 200 ").count();
        logs.iter().map(answered).sum::<usize>()
    };
    let before = asked();
    world.copy(image);
    assert_eq!(asked() - before, 3);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real parts: run scripts/test"]
async fn tokens_of_both_registries_are_asked_for() {
    let tokens = TokenServer::start("AWS", PASSWORD).await;
    let (from, to) = (
        DockerRegistry::start_with_tokens(&tokens),
        DockerRegistry::start_with_tokens(&tokens),
    );
    let world = World::between(from, to);
    let image = "group/app:1";
    skopeo::copy_all(&images()[0], &world.from.skopeo_name(image));
    tokens.asked();
    let copied = world.copy(image);
    let mut scopes: Vec<_> = tokens
        .asked()
        .iter()
        .map(|query| query.split('&').nth(1).unwrap_or_default().to_owned())
        .collect();
    scopes.sort();
    assert_eq!(
        scopes,
        [
            "scope=repository%3Agroup%2Fapp%3Apull",
            "scope=repository%3Agroup%2Fapp%3Apull%2Cpush",
        ]
    );
    assert_eq!(skopeo::inspect(&world.to, image)["Digest"], copied);
}

/// A folder with a chart and what is about it.
fn chart() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes);
    let mut content = vec![0; 3 << 20];
    fastrand::Rng::with_seed(1).fill(&mut content);
    write("chart.tgz", &content).unwrap();
    write("config.json", br#"{"name":"app","version":"0.1.0"}"#).unwrap();
    write("sbom.json", br#"{"spdxVersion":"SPDX-2.3"}"#).unwrap();
    folder
}

fn is_in(file: &str, folder: &Path, other: &Path) -> bool {
    std::fs::read(folder.join(file)).unwrap() == std::fs::read(other.join(file)).unwrap()
}

#[test]
#[ignore = "needs real parts: run scripts/test"]
fn an_artifact_that_oras_pushed_is_what_oras_pulls() {
    let world = World::new();
    let folder = chart();
    let [pushed, _] = oras::push(&format!("{}/chart:1", world.from.address()), folder.path());
    assert_eq!(world.copy("chart:1"), pushed);
    let pulled = tempfile::tempdir().unwrap();
    oras::pull(&format!("{}/chart:1", world.to.address()), pulled.path());
    assert!(is_in("chart.tgz", folder.path(), pulled.path()));

    // And skopeo finds the same.
    let [before, after] = [&world.from, &world.to].map(|end| skopeo::manifest(end, "chart:1"));
    assert_eq!(before, after);
    assert_eq!(Digest::sha256(&after).to_string(), pushed);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real parts: run scripts/test"]
async fn what_refers_to_an_artifact_of_oras_goes_along() {
    // Docker's registry has no referrers API, so oras pushes to one that has it.
    let origin = local::Registry::start(RegistryOptions::default());
    let origin = origin.await.unwrap();
    let world = World::new();
    let folder = chart();
    let source = format!("{}/chart:1", origin.address());
    let [chart, sbom] = oras::push(&source, folder.path());
    let destination = format!("{}/chart:1", world.to.address());
    let copied = world.longshore(&source, &destination, &["--referrers", "copy"]);
    assert_eq!(copied["digest"], chart);
    assert!(world.to.manifest("chart", &sbom).await.is_some());
    let listed = world.to.manifest("chart", &chart.replace(':', "-")).await;
    let listed = listed.expect("a list under the tag schema");
    assert_eq!(listed["manifests"][0]["digest"], sbom);
    let by_skopeo = skopeo::manifest(&world.to, "chart:1");
    assert_eq!(Digest::sha256(&by_skopeo).to_string(), chart);

    let pulled = tempfile::tempdir().unwrap();
    oras::pull(
        &format!("{}/chart@{sbom}", world.to.address()),
        pulled.path(),
    );
    assert!(is_in("sbom.json", folder.path(), pulled.path()));
}
