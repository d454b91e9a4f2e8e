//! Looking at images: `tags`, `digest`, `inspect` and `diff`.

use std::process::{Command, Output};

use longshore::oci::{Digest, MediaType};
use serde_json::{Value, json};

use crate::support::{Archive, Bench, HOST, Images, image, stderr};

/// The stand-ins, with images in `app`.
struct Sight {
    bench: Bench,
    folder: tempfile::TempDir,
}

impl Sight {
    async fn new() -> Self {
        Self {
            bench: Bench::new().await,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// Deploys an archive.
    async fn push(&self, archive: &Archive, destination: &str) -> Digest {
        let staged = self.bench.stage("app.tar", &archive.tar());
        let (deployed, _) = self.bench.deploy(&image(&staged, destination)).await;
        deployed.digest
    }

    /// Keeps an archive as a file. Returns its name as a source.
    fn keep(&self, name: &str, archive: &Archive) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, archive.tar()).unwrap();
        format!("docker-archive:{}", path.display())
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_longshore"));
        let variables = self.bench.environment.variables();
        command.args(arguments).env_clear().envs(variables);
        command.output().unwrap()
    }

    fn text(&self, arguments: &[&str]) -> String {
        let run = self.run(arguments);
        assert!(run.status.success(), "{arguments:?}: {}", stderr(&run));
        String::from_utf8(run.stdout).unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.text(arguments)).unwrap()
    }

    fn differing(&self, arguments: &[&str]) -> String {
        let run = self.run(&[&["diff"], arguments].concat());
        assert_eq!(run.status.code(), Some(3), "{}", stderr(&run));
        String::from_utf8(run.stdout).unwrap()
    }
}

/// An image whose config says this of it.
fn configured(layers: &[&[u8]], change: impl FnOnce(&mut Value)) -> Archive {
    let mut archive = Archive::of(layers);
    let mut entries = archive.entries.iter_mut();
    let (_, config) = entries.find(|(name, _)| name == "config.json").unwrap();
    let mut document: Value = serde_json::from_slice(config).unwrap();
    change(&mut document);
    *config = document.to_string().into_bytes();
    archive
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_are_those_of_the_registry() {
    let sight = Sight::new().await;
    sight.push(&Archive::of(&[b"one"]), "team/app:1.0").await;
    sight.push(&Archive::of(&[b"two"]), "team/app:2.0").await;
    let repository = format!("{HOST}/team/app");
    assert_eq!(sight.text(&["tags", &repository]), "1.0\n2.0\n");
    let arn = "arn:aws:ecr:eu-west-1:123456789012:repository/team/app";
    let listed = sight.json(&["list-tags", "--json", arn]);
    assert_eq!(
        listed,
        json!({"repository": repository, "tags": ["1.0", "2.0"]})
    );
    let elsewhere = format!("{}/team/app", sight.bench.environment.registry.address());
    assert_eq!(sight.text(&["tags", &elsewhere]), "1.0\n2.0\n");

    for (name, part) in [
        (format!("{HOST}/none"), "there is no repository"),
        (format!("{repository}:1.0"), "without a tag"),
        ("oci:layout".to_owned(), "expected a repository"),
        (HOST.to_owned(), "names no repository"),
    ] {
        let run = sight.run(&["tags", &name]);
        assert!(!run.status.success(), "{name}");
        assert!(stderr(&run).contains(part), "{name}: {}", stderr(&run));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn digests_manifests_and_configs_are_exact() {
    let sight = Sight::new().await;
    let archive = Archive::of(&[b"one", b"two"]);
    let digest = sight.push(&archive, "app:1.0").await;
    let name = format!("{HOST}/app:1.0");
    sight.bench.environment.registry.reset();
    assert_eq!(sight.text(&["digest", &name]), format!("{digest}\n"));
    let requests = sight.bench.registry_requests();
    assert!(
        requests.iter().all(|request| request.method == "HEAD"),
        "{requests:?}"
    );
    let missing = sight.run(&["digest", &format!("{HOST}/app:none")]);
    assert!(
        stderr(&missing).contains("there is no image"),
        "{}",
        stderr(&missing)
    );
    let told = sight.json(&["digest", "--json", &name]);
    assert_eq!(told["digest"], digest.to_string());
    assert_eq!(told["mediaType"], MediaType::DOCKER_MANIFEST.as_str());

    let manifest = sight.run(&["inspect", "--raw", &name]).stdout;
    assert_eq!(Digest::sha256(&manifest), digest);
    assert_eq!(told["size"], manifest.len());
    let config = archive
        .entries
        .iter()
        .find(|(name, _)| name == "config.json");
    let config = &config.unwrap().1;
    assert_eq!(sight.run(&["inspect", "--config", &name]).stdout, *config);
    let file = sight.keep("app.tar", &archive);
    assert_eq!(sight.run(&["inspect", "--config", &file]).stdout, *config);

    let run = sight.run(&["digest", &file]);
    assert!(
        stderr(&run).contains("before it is pushed"),
        "{}",
        stderr(&run)
    );
    let other = ["inspect", "--platform", "linux/s390x", &file];
    let run = sight.run(&other);
    assert!(
        stderr(&run).contains("no image for linux/s390x"),
        "{}",
        stderr(&run)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_index_a_platform_is_chosen() {
    let sight = Sight::new().await;
    let images = Images::at(sight.bench.environment.registry.address(), "app");
    let mut entries = Vec::new();
    for platform in ["linux/amd64", "linux/arm64"] {
        let layer = images.blob(MediaType::OCI_LAYER, platform.to_owned()).await;
        let single = images.image(platform, &[&layer]).await;
        let mut entry = single.descriptor();
        entry.platform = Some(platform.parse().unwrap());
        entries.push(entry);
    }
    let document = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_INDEX,
        "manifests": entries,
    });
    let index = images.manifest(MediaType::OCI_INDEX, &document).await;
    images.tag("1", &index).await;
    let name = format!("{HOST}/app:1");
    assert_eq!(
        sight.text(&["digest", &name]),
        format!("{}\n", index.digest())
    );
    let arm = ["--platform", "linux/arm64"];
    let digest = sight.text(&[&["digest", &name], &arm[..]].concat());
    assert_eq!(digest, format!("{}\n", entries[1].digest));
    let config = sight.json(&[&["inspect", "--config", &name], &arm[..]].concat());
    assert_eq!(config["architecture"], "arm64");
    let run = sight.run(&["inspect", "--config", &name]);
    let told = stderr(&run);
    assert!(!run.status.success());
    assert!(
        told.contains("--platform") && told.contains("linux/arm64"),
        "{told}"
    );

    // Another index, in which one platform is another image and one is gone.
    let layer = images.blob(MediaType::OCI_LAYER, "another").await;
    let single = images.image("linux/amd64", &[&layer]).await;
    let mut entry = single.descriptor();
    entry.platform = Some("linux/amd64".parse().unwrap());
    let document = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_INDEX,
        "manifests": [entry],
    });
    let other = images.manifest(MediaType::OCI_INDEX, &document).await;
    images.tag("2", &other).await;
    let shown = sight.differing(&[&name, &format!("{HOST}/app:2")]);
    for line in [
        format!("- digest    {} {}", index.digest(), MediaType::OCI_INDEX),
        format!("- manifest  {} linux/arm64", entries[1].digest),
        format!("+ manifest  {} linux/amd64", entry.digest),
        "linux/amd64".to_owned(),
        format!("+ layer     {} 7 B", layer.digest),
    ] {
        assert!(
            shown.lines().any(|shown| shown == line),
            "{line} in:\n{shown}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_difference_is_told_and_is_an_exit_status() {
    let sight = Sight::new().await;
    let before = configured(&[b"base", b"one"], |config| {
        config["config"] = json!({"Env": ["A=1"], "User": "app"});
    });
    let after = configured(&[b"base", b"two"], |config| {
        config["config"] = json!({"Env": ["A=2", "B=3"], "User": "app"});
    });
    sight.push(&before, "app:1").await;
    sight.push(&after, "app:2").await;
    let (one, two) = (format!("{HOST}/app:1"), format!("{HOST}/app:2"));
    assert_eq!(sight.text(&["diff", &one, &one]), "");
    // What it was pushed from is the same image.
    let file = sight.keep("before.tar", &before);
    assert_eq!(sight.text(&["diff", &file, &one]), "");
    let same = sight.json(&["diff", "--json", &file, &one]);
    assert_eq!(same["same"], true);

    let shown = sight.differing(&[&one, &two]);
    for line in [
        r#"- config    config.Env.A "1""#,
        r#"+ config    config.Env.A "2""#,
        r#"+ config    config.Env.B "3""#,
    ] {
        assert!(
            shown.lines().any(|shown| shown == line),
            "{line} in:\n{shown}"
        );
    }
    assert!(
        !shown.contains("User") && !shown.contains("diff_ids"),
        "{shown}"
    );
    let told: Value = serde_json::from_str(&sight.differing(&["--json", &one, &two])).unwrap();
    assert_eq!(told["same"], false);
    let layers = &told["platforms"][0]["layers"];
    for (side, archive) in [("removed", &before), ("added", &after)] {
        let listed = layers[side].as_array().unwrap();
        assert_eq!(listed.len(), 1, "the base is in both: {told}");
        let diff_id = Digest::sha256(&archive.entries[1].1);
        assert_eq!(listed[0]["diffId"], diff_id.to_string());
    }

    // The same layers, compressed in another way, are no other content.
    let staged = sight.bench.stage("zstd.tar", &before.tar());
    let mut zstd = image(&staged, "zstd:1");
    zstd.compression = "zstd".parse().unwrap();
    sight.bench.deploy(&zstd).await;
    let shown = sight.differing(&[&one, &format!("{HOST}/zstd:1")]);
    assert_eq!(shown.matches("is stored as").count(), 2, "{shown}");

    let run = sight.run(&["diff", &one, &format!("{HOST}/app:3")]);
    assert_eq!(run.status.code(), Some(1), "{}", stderr(&run));
    let run = sight.run(&["diff", "docker-archive:-", "oci-archive:-"]);
    assert!(
        stderr(&run).contains("only one of the two"),
        "{}",
        stderr(&run)
    );
}
