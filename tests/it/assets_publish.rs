//! A manifest's assets are published as `cdk-assets` does: each where it goes, once, whatever
//! becomes of the others.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use longshore::assets::{Cache, Done, Manifest, PublishOptions, Publisher};
use longshore::aws::Clients;
use longshore::deploy::{self, Reach};
use longshore::local::{Environment, EnvironmentOptions};
use longshore::oci::Digest;
use longshore::registry::Client;
use serde_json::{Value, json};

use crate::support::{Archive, DockerRegistry, Moto, Workshop, json, output, tool};

const NOWHERE: &str = "/no/such/builder";
/// What a command makes: longer than an archive of nothing.
const MADE: &str = "as if this were a zip archive";
/// The manifests of `cdk/app.js`.
const MANIFESTS: [&str; 2] = [
    "Images.assets.json",
    "assembly-Stage/StageFiles1D901597.assets.json",
];

#[test]
fn each_kind_of_asset_is_published_once() {
    let bench = Bench::new();
    let docker = bench.workshop.fake_docker();
    bench.fill();
    let first = bench.publish(&docker, &[]);
    assert!(first.status.success(), "{}", said(&first));
    for (name, place) in [
        ("Built", "images:built"),
        ("Loaded", "images-123456789012-us-east-1:loaded"),
        ("Printed", "images:printed"),
        ("Zipped", "s3://files-us-east-1/zipped.zip"),
        ("plain", "s3://files-us-east-1/aws/plain.json"),
        ("Made", "s3://files-us-east-1/made.zip"),
    ] {
        let line = format!("{name}: published to {place}\n");
        assert!(printed(&first).contains(&line), "{}", printed(&first));
    }
    let stored = |key: &str| fs::read(bench.path("buckets/files-us-east-1").join(key)).unwrap();
    assert_eq!(stored("aws/plain.json"), b"{}");
    assert_eq!(stored("made.zip"), MADE.as_bytes());
    let names = unzipped(stored("zipped.zip"));
    assert_eq!(names.keys().collect::<Vec<_>>(), ["one", "sub/two"]);

    let told = fs::read_to_string(bench.path("told")).unwrap();
    assert!(told.contains("--build-arg A=1"), "{told}");
    assert!(
        told.contains("--cache-from type=registry,ref=host/cache"),
        "{told}"
    );
    assert!(
        told.contains("save --output") && told.contains(" printed:1"),
        "{told}"
    );
    assert_eq!(bench.config("images:built"), bench.config("images:printed"));
    let loaded = bench.config("images-123456789012-us-east-1:loaded");
    assert_ne!(loaded, bench.config("images:built"));

    fs::remove_dir_all(bench.path("cache")).unwrap();
    fs::remove_dir_all(bench.path("out/asset.files")).unwrap();
    let second = bench.publish(Path::new(NOWHERE), &[]);
    assert!(second.status.success(), "{}", said(&second));
    assert_eq!(printed(&second).matches(": already at ").count(), 6);
}

#[test]
fn a_failure_has_a_name_and_the_others_finish() {
    let bench = Bench::new();
    let docker = bench.workshop.fake_docker();
    bench.fill();
    let mut manifest = bench.manifest();
    let images = manifest["dockerImages"].as_object_mut().unwrap();
    let add = |name: &str, source: Value| {
        images.insert(
            name.to_owned(),
            image(&format!("Asset {name}"), &source, "images", name),
        );
    };
    fs::write(bench.path("out/broken.tar"), "no tar at all").unwrap();
    let mut add = add;
    add("nothing", json!({"executable": ["true"]}));
    add(
        "failing",
        json!({"executable": ["sh", "-c", "echo why >&2; exit 7"]}),
    );
    add("tarball", json!({"executable": cdk_command("broken.tar")}));
    add("missing", json!({"executable": cdk_command("missing.tar")}));
    add("nowhere", json!({"directory": "nowhere"}));
    add("dockerfile", json!({"directory": "asset.files"}));
    add(
        "outside",
        json!({"directory": "asset.image", "dockerFile": "../x"}),
    );
    manifest["files"]["folder"] = file("Asset folder", &json!({"path": "asset.files"}), "folder");
    bench.write_manifest(&manifest);
    let run = bench.publish(&docker, &[]);
    assert!(!run.status.success());
    let said = said(&run);
    for (name, part) in [
        (
            "nothing",
            "true ended well but printed nothing: expected an image",
        ),
        (
            "failing",
            "sh failed with exit status: 7; its last lines:\nwhy",
        ),
        (
            "tarball",
            "broken.tar: expected what `docker save` writes: ",
        ),
        ("missing", "cannot read file"),
        ("nowhere", "there is no directory"),
        ("dockerfile", "there is no Dockerfile at"),
        ("outside", "not in the directory"),
    ] {
        let begin = format!("Asset {name}: not published to images:{name}: ");
        let line = said
            .split(&begin)
            .nth(1)
            .unwrap_or_else(|| panic!("{begin} in {said}"));
        assert!(
            line.split("Asset ").next().unwrap().contains(part),
            "{part}: {said}"
        );
        assert!(!bench.has(&format!("images:{name}")), "{name}");
    }
    assert!(said.contains("Asset folder: not published to s3://files-us-east-1/folder: "));
    assert!(
        said.contains("is a directory: only its zip archive"),
        "{said}"
    );
    assert!(said.contains("8 of 14 were not published"), "{said}");
    assert_eq!(
        printed(&run).matches(": published to ").count(),
        6,
        "{said}"
    );
    assert!(!bench.path("buckets/files-us-east-1/folder").exists());
}

#[test]
fn one_builder_runs_at_a_time() {
    let bench = Bench::new();
    let docker = bench.workshop.fake_docker();
    let alone = "mkdir lock || exit 9; sleep 0.1; rmdir lock; echo printed:1";
    let images: serde_json::Map<String, Value> = (0..4)
        .map(|number| {
            let name = format!("image{number}");
            let source = json!({"executable": ["sh", "-c", alone]});
            (name.clone(), image(&name, &source, "images", &name))
        })
        .collect();
    bench.write_manifest(&json!({"version": "55.0.0", "dockerImages": images}));
    let run = bench.publish(&docker, &[]);
    assert!(run.status.success(), "{}", said(&run));
}

#[test]
fn assets_can_be_chosen_and_listed() {
    let bench = Bench::new();
    bench.fill();
    let list = bench.longshore(&["list", "out"]);
    assert_eq!(
        printed(&list).matches("docker-image").count(),
        3,
        "{}",
        printed(&list)
    );
    assert!(printed(&list).contains("images:built"));
    let list = json(&bench.longshore(&["list", "--json", "out/app.assets.json", "plain"]));
    assert_eq!(list["assets"].as_array().unwrap().len(), 1);
    let none = bench.longshore(&["list", "out/app.assets.json", "plain", "*:none"]);
    assert_eq!(none.status.code(), Some(1), "{}", printed(&none));

    let run = bench.publish(Path::new(NOWHERE), &["plain:here", "--json"]);
    let results = json(&run);
    assert_eq!(
        results["assets"],
        json!([{
            "id": "plain",
            "displayName": "plain",
            "destination": "here",
            "place": "s3://files-us-east-1/aws/plain.json",
            "present": false,
        }])
    );
}

#[test]
fn what_is_no_manifest_is_a_sentence() {
    let bench = Bench::new();
    bench.write_manifest(&json!({"version": "9999.0.0"}));
    fs::create_dir(bench.path("empty")).unwrap();
    for (manifest, part) in [
        (
            "out",
            "is of version 9999.0.0, of which nothing is known here",
        ),
        (
            "empty",
            "has no asset manifest: name CDK's output directory",
        ),
        ("none", "cannot read"),
    ] {
        let run = bench.longshore(&["publish", "--local", manifest]);
        assert!(!run.status.success());
        assert!(said(&run).contains(part), "{}", said(&run));
    }
}

#[tokio::test]
async fn a_role_that_is_refused_is_named() {
    let bench = Bench::new();
    bench.fill();
    let place = |role: &str, id: &str| {
        json!({
            "bucketName": "files-us-east-1",
            "objectKey": format!("{role}/{id}"),
            "assumeRoleArn": format!("arn:aws:iam::123456789012:role/{role}"),
            "assumeRoleExternalId": id,
        })
    };
    bench.write_manifest(&json!({"version": "55.0.0", "files": {"plain": {
        "displayName": "Plain file",
        "source": {"path": "plain.json"},
        "destinations": {
            "a": place("publisher", "right"),
            "b": place("publisher", "wrong"),
            "c": place("other", "right"),
        },
    }}}));
    let mut options = EnvironmentOptions::default();
    let role = "arn:aws:iam::123456789012:role/publisher".to_owned();
    options.aws.roles.insert(role, Some("right".to_owned()));
    options.bucket.made_in = Some(bench.path("buckets"));
    let environment = Environment::start(options).await.unwrap();
    let (api, s3) = (environment.aws.base_url(), environment.bucket.base_url());
    let registries = Client::new(deploy::registry_config(|_| None).unwrap()).unwrap();
    let reach = Reach::new(registries, Clients::local(&api, &s3).await);
    let publisher = Publisher::new(
        reach,
        Cache::new(bench.path("cache")),
        PublishOptions::default(),
        Arc::default(),
    );
    let manifest = Manifest::read(&bench.path("out")).unwrap();
    let results = publisher.run(&manifest, &|_, _| {}).await;
    assert_eq!(results[0].result.as_ref().unwrap(), &Done::Uploaded);
    for one in &results[1..] {
        assert_eq!(one.name, "Plain file");
        let error = one.result.as_ref().unwrap_err().to_string();
        assert!(
            error.starts_with("assuming role arn:aws:iam::123456789012:role/"),
            "{error}"
        );
        assert!(
            error.contains("was denied") && error.contains("external ID"),
            "{error}"
        );
    }
    let stored = fs::read_dir(bench.path("buckets/files-us-east-1/publisher")).unwrap();
    let stored: Vec<_> = stored.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(stored, ["right"]);
}

/// `cdk-assets` and Podman on one side, this program and the same Podman on the other, in storages
/// of their own.
#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn the_same_is_published_as_by_cdk_assets() {
    let (theirs, ours) = (Bench::new(), Bench::new());
    let docker = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/cdk/docker");
    let out = theirs.synthesise(&docker);
    let (moto, registry) = (Moto::start(), DockerRegistry::start());
    moto.create_bucket("cdk-hnb659fds-assets-123456789012-eu-west-1")
        .await;
    let repository = "cdk-hnb659fds-container-assets-123456789012-eu-west-1";
    moto.ecr("CreateRepository", json!({"repositoryName": repository}))
        .await;
    let host = registry.url().replace("http://", "");
    theirs.workshop.trust(&host);
    for manifest in MANIFESTS {
        let mut command = Command::new("node");
        theirs.workshop.environment(&mut command);
        moto.environment(&mut command);
        output(
            command
                .env("CDK_DOCKER", &docker)
                .env("ECR_REGISTRY", &host)
                .arg(tool("npm/node_modules/cdk-assets/bin/cdk-assets"))
                .args(["publish", "--path"])
                .arg(out.join(manifest)),
        );
    }
    let publish = |builder: &Path| {
        let mut command = ours.workshop.program(builder);
        moto.environment(&mut command);
        let registries = format!("*.dkr.ecr.*.amazonaws.com={}", registry.url());
        command
            .env("LONGSHORE_REGISTRY_OVERRIDE", registries)
            .args(["publish", "--json"])
            .arg(&out);
        let run = command.output().unwrap();
        assert!(run.status.success(), "{}{}", printed(&run), said(&run));
        json(&run)["assets"].as_array().unwrap().clone()
    };
    let found = publish(Path::new(NOWHERE));
    assert!(
        found.iter().all(|asset| asset["present"] == true),
        "{found:#?}"
    );

    let expected = published(&found, repository, &moto, &registry).await;
    assert_eq!(
        expected
            .values()
            .filter(|one| one.starts_with("image "))
            .count(),
        7
    );
    assert_eq!(expected.len(), 10);
    remove(&found, repository, &moto, &registry).await;
    let brought = publish(&docker);
    assert!(
        brought.iter().all(|asset| asset["present"] == false),
        "{brought:#?}"
    );
    assert_eq!(
        published(&brought, repository, &moto, &registry).await,
        expected
    );
}

/// What is at each place: the ID of an image, or the type and content of an object.
async fn published(
    assets: &[Value],
    repository: &str,
    moto: &Moto,
    registry: &DockerRegistry,
) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for asset in assets {
        let place = asset["place"].as_str().unwrap();
        let what = if let Some(at) = place.strip_prefix("s3://") {
            let (bucket, key) = at.split_once('/').unwrap();
            let (content_type, content) = moto.object(bucket, key).await;
            if content_type == "application/zip" {
                format!("zip {:?}", unzipped(content))
            } else {
                format!("{content_type} {}", Digest::sha256(&content))
            }
        } else {
            let (name, tag) = place.rsplit_once(':').unwrap();
            assert_eq!(name, repository);
            let manifest = registry.manifest(name, tag).await.unwrap();
            format!("image {}", manifest["config"]["digest"])
        };
        found.insert(place.to_owned(), what);
    }
    found
}

async fn remove(assets: &[Value], repository: &str, moto: &Moto, registry: &DockerRegistry) {
    for asset in assets {
        let place = asset["place"].as_str().unwrap();
        if let Some(at) = place.strip_prefix("s3://") {
            let (bucket, key) = at.split_once('/').unwrap();
            moto.delete_object(bucket, key).await;
        } else {
            registry
                .delete(repository, place.rsplit_once(':').unwrap().1)
                .await;
        }
    }
}

/// A folder with a manifest, on the stand-ins.
struct Bench {
    workshop: Workshop,
}

impl Bench {
    fn new() -> Self {
        let workshop = Workshop::new();
        fs::create_dir(workshop.path("out")).unwrap();
        Self { workshop }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.workshop.path(name)
    }

    fn write_manifest(&self, manifest: &Value) {
        fs::write(self.path("out/app.assets.json"), manifest.to_string()).unwrap();
    }

    fn manifest(&self) -> Value {
        serde_json::from_slice(&fs::read(self.path("out/app.assets.json")).unwrap()).unwrap()
    }

    /// Makes an asset of each kind.
    fn fill(&self) {
        for directory in ["out/asset.image", "out/asset.files/sub"] {
            fs::create_dir_all(self.path(directory)).unwrap();
        }
        for (name, content) in [
            ("asset.image/Dockerfile", "FROM scratch\nCOPY . /\n"),
            ("asset.files/one", "1"),
            ("asset.files/sub/two", "2"),
            ("plain.json", "{}"),
            ("made", MADE),
        ] {
            fs::write(self.path("out").join(name), content).unwrap();
        }
        fs::write(self.path("out/asset.tar"), Archive::of(&[b"loaded"]).tar()).unwrap();
        let made = self.path("out/made").display().to_string();
        self.write_manifest(&json!({
            "version": "36.0.0",
            "files": {
                "zipped": file(
                    "Zipped",
                    &json!({"path": "asset.files", "packaging": "zip"}),
                    "zipped.zip",
                ),
                "plain": {
                    "source": {"path": "plain.json", "packaging": "file"},
                    "destinations": {"here": {
                        "bucketName": "files-${AWS::Region}",
                        "objectKey": "${AWS::Partition}/plain.json",
                        "assumeRoleArn": "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/files",
                        "assumeRoleExternalId": "id",
                    }},
                },
                "made": file("Made", &json!({"executable": ["echo", made]}), "made.zip"),
            },
            "dockerImages": {
                "built": image("Built", &json!({
                    "directory": "asset.image",
                    "dockerBuildArgs": {"A": "1"},
                    "cacheFrom": [{"type": "registry", "params": {"ref": "host/cache"}}],
                }), "images", "built"),
                "loaded": image(
                    "Loaded",
                    &json!({"executable": cdk_command("asset.tar")}),
                    "images-${AWS::AccountId}-${AWS::Region}",
                    "loaded",
                ),
                "printed": image(
                    "Printed",
                    &json!({"executable": ["sh", "-c", "test -f plain.json && echo; echo printed:1"]}),
                    "images",
                    "printed",
                ),
            },
        }));
    }

    fn longshore(&self, arguments: &[&str]) -> Output {
        self.workshop.longshore(arguments)
    }

    fn publish(&self, builder: &Path, arguments: &[&str]) -> Output {
        let mut program = self.workshop.program(builder);
        program.args([
            "publish",
            "--local",
            "--data",
            "kept",
            "--buckets",
            "buckets",
            "out",
        ]);
        program.args(arguments).output().unwrap()
    }

    fn inspect(&self, image: &str) -> Output {
        let host = "123456789012.dkr.ecr.us-east-1.amazonaws.com";
        let image = format!("{host}/{image}");
        self.longshore(&["inspect", "--local", "--data", "kept", "--raw", &image])
    }

    fn has(&self, image: &str) -> bool {
        self.inspect(image).status.success()
    }

    /// The digest of an image's config.
    fn config(&self, image: &str) -> String {
        json(&self.inspect(image))["config"]["digest"].to_string()
    }

    /// Synthesises an app with every kind of asset.
    fn synthesise(&self, docker: &Path) -> PathBuf {
        for directory in ["app/image/docs", "app/files/sub"] {
            fs::create_dir_all(self.path(directory)).unwrap();
        }
        let dockerfile = "FROM scratch AS first\nCOPY README.md /first.md\n\n\
            FROM scratch\nARG GREETING\nLABEL greeting=$GREETING\nCOPY main.c /src/\nCOPY . /\n";
        for (name, content) in [
            ("image/Dockerfile", dockerfile),
            ("image/.dockerignore", "secret\n"),
            ("image/secret", "secret"),
            ("image/README.md", "# Image\n"),
            ("image/main.c", "int main() {}\n"),
            ("image/docs/page.txt", "page\n"),
            ("files/one", "1"),
            ("files/sub/two", "2"),
            ("file.txt", "text\n"),
        ] {
            fs::write(self.path("app").join(name), content).unwrap();
        }
        let run = self.path("app/files/one");
        fs::set_permissions(run, fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink("one", self.path("app/files/link")).unwrap();
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        fs::copy(fixtures.join("docker-24.tar"), self.path("app/image.tar")).unwrap();
        let out = self.path("cdk.out");
        output(
            Command::new("node")
                .env("NODE_PATH", tool("npm/node_modules"))
                .env("HOME", self.path("home"))
                .env("CDK_DOCKER", docker)
                .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/cdk/app.js"))
                .args([&out, &self.path("app")]),
        );
        for manifest in MANIFESTS {
            let path = out.join(manifest);
            let text = fs::read_to_string(&path).unwrap();
            // `cdk-assets` is a version of the schema behind `aws-cdk-lib`.
            fs::write(&path, text.replace("\"55.0.0\"", "\"54.0.0\"")).unwrap();
        }
        add_command(&out.join(MANIFESTS[0]));
        out
    }
}

/// Adds an image that a command builds, which no construct makes.
fn add_command(path: &Path) {
    let mut manifest: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let images = manifest["dockerImages"].as_object_mut().unwrap();
    let mut image = images.values().next().unwrap().clone();
    let directory = image["source"]["directory"].as_str().unwrap();
    let build = format!("\"$CDK_DOCKER\" build --quiet {directory}");
    image["source"] = json!({"executable": ["sh", "-c", build]});
    for place in image["destinations"].as_object_mut().unwrap().values_mut() {
        place["imageTag"] = json!("command");
    }
    images.insert("command".to_owned(), image);
    fs::write(path, manifest.to_string()).unwrap();
}

fn image(name: &str, source: &Value, repository: &str, tag: &str) -> Value {
    let place = json!({"repositoryName": repository, "imageTag": tag});
    json!({"displayName": name, "source": source, "destinations": {"here": place}})
}

fn file(name: &str, source: &Value, key: &str) -> Value {
    let place = json!({"bucketName": "files-us-east-1", "objectKey": key});
    json!({"displayName": name, "source": source, "destinations": {"here": place}})
}

/// What `TarballImageAsset` writes.
fn cdk_command(tarball: &str) -> Value {
    let script = r#"docker load -i "$1" | tail -n 1 | sed "s/Loaded image[^:]*: //g""#;
    json!(["sh", "-c", script, "cdk-tarball-image-asset", tarball])
}

/// The files of a zip archive with their modes and contents.
fn unzipped(bytes: Vec<u8>) -> BTreeMap<String, (u32, Vec<u8>)> {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
    let names: BTreeSet<String> = archive
        .file_names()
        .map(|name| name.unwrap().into_owned())
        .collect();
    let read = |name: String| {
        let mut file = archive.by_name(&name).unwrap();
        let mut content = Vec::new();
        file.read_to_end(&mut content).unwrap();
        (name, (file.unix_mode().unwrap_or_default(), content))
    };
    names.into_iter().map(read).collect()
}

fn said(run: &Output) -> String {
    String::from_utf8_lossy(&run.stderr).into_owned()
}

fn printed(run: &Output) -> String {
    String::from_utf8_lossy(&run.stdout).into_owned()
}
