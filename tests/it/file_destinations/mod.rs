//! Images go to files: what is there then is the image, or what was there before.

mod large;
mod peers;
mod refusals;

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use longshore::copy::Meter;
use longshore::deploy::{Deployed, Image, ImageFile};
use longshore::local::{BucketOptions, EnvironmentOptions};
use longshore::oci::{Descriptor, MediaType};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Archive, Bench, HOST, Images, image, longshore, stderr};

/// The stand-ins, and a folder for what is written.
struct Shelf {
    bench: Bench,
    folder: TempDir,
}

impl Shelf {
    async fn new() -> Self {
        let options = EnvironmentOptions {
            bucket: BucketOptions {
                anonymous: true,
                ..BucketOptions::default()
            },
            ..EnvironmentOptions::default()
        };
        Self {
            bench: Bench::with(options).await,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// What is in the folder.
    fn names(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
        entries
            .map(|entry| name(entry).into_string().unwrap())
            .collect()
    }

    fn to_file(&self, source: &str, form: &str, name: &str) -> Image {
        let file = format!("{form}:{}", self.path(name)).parse();
        Image {
            files: vec![file.unwrap()],
            ..Image::of(source.parse().unwrap())
        }
    }

    async fn write(&self, source: &str, form: &str, name: &str) -> Deployed {
        let image = self.to_file(source, form, name);
        self.bench.deploy(&image).await.0
    }

    async fn pushed(&self, source: &str, destination: &str) -> Deployed {
        self.bench.deploy(&image(source, destination)).await.0
    }

    /// An index of two platforms in the registry, as a source.
    async fn index(&self) -> String {
        let images = Images::at(self.bench.environment.registry.address(), "index");
        let mut entries = Vec::new();
        for (architecture, layers) in [
            ("amd64", [b"one".as_slice(), b"two"]),
            ("arm64", [b"three", b"one"]),
        ] {
            let mut archive = Archive::of(&layers);
            for (name, content) in &mut archive.entries {
                if name == "config.json" {
                    let mut config: Value = serde_json::from_slice(content).unwrap();
                    config["architecture"] = json!(architecture);
                    *content = config.to_string().into_bytes();
                }
            }
            let staged = self.bench.stage(architecture, &archive.tar());
            let single = self.pushed(&staged, "index").await;
            let mut entry = Descriptor::new(single.media_type.clone(), single.digest.clone(), 0);
            let key = format!("@{}", single.digest);
            let manifest = self.manifest(&images.named(&key)).await;
            entry.size = manifest.len() as u64;
            entry.platform = Some(format!("linux/{architecture}").parse().unwrap());
            entries.push(entry);
        }
        let index = json!({
            "schemaVersion": 2,
            "mediaType": MediaType::OCI_INDEX,
            "manifests": entries,
        });
        let index = images.manifest(MediaType::OCI_INDEX, &index).await;
        format!("{HOST}/index@{}", index.digest())
    }

    /// The bytes of a manifest in the registry.
    async fn manifest(&self, name: &str) -> Vec<u8> {
        let (host, rest) = name.split_once('/').unwrap();
        let (repository, digest) = rest.split_once('@').unwrap();
        let url = format!("http://{host}/v2/{repository}/manifests/{digest}");
        let answer = reqwest::get(url).await.unwrap().error_for_status().unwrap();
        answer.bytes().await.unwrap().to_vec()
    }
}

#[tokio::test]
async fn an_image_is_the_same_in_every_file_and_back_from_every_source() {
    let shelf = Shelf::new().await;
    let index = shelf.index().await;
    let digest = index.split_once('@').unwrap().1.to_owned();
    shelf.write(&index, "oci", "layout:1.0").await;
    shelf
        .write(&index, "oci-archive", "image.tar:app:1.0")
        .await;
    let archive = fs::read(shelf.path("image.tar")).unwrap();
    let sources = [
        index,
        format!("oci:{}#1.0", shelf.path("layout")),
        format!("oci-archive:{}#app:1.0", shelf.path("image.tar")),
        shelf.bench.stage("image.tar", &archive),
        shelf.bench.url("image.tar"),
    ];
    for (number, source) in sources.iter().enumerate() {
        for form in ["oci", "oci-archive"] {
            let name = format!("{form}-{number}");
            let written = shelf.write(source, form, &name).await;
            assert_eq!(written.digest.to_string(), digest, "{source} to {form}");
            let back = format!("{form}:{}", shelf.path(&name));
            let back = shelf.pushed(&back, &format!("back/{name}:1")).await;
            assert_eq!(
                back,
                Deployed {
                    places: back.places.clone(),
                    ..written
                }
            );
        }
        let mut single = shelf.to_file(source, "docker-archive", "docker.tar:app:1.0");
        single.platforms = Some(vec!["linux/arm64".parse().unwrap()]);
        let (written, _) = shelf.bench.deploy(&single).await;
        let back = format!("docker-archive:{}", shelf.path("docker.tar"));
        let back = shelf.pushed(&back, "back/docker:1").await;
        assert_eq!(back.config, written.config, "{source}");
        assert_eq!(back.size, written.size, "{source}");
    }
}

#[tokio::test]
async fn an_image_of_docker_save_keeps_its_id_and_its_layers() {
    let shelf = Shelf::new().await;
    let layers: [&[u8]; 3] = [b"one", b"two", b"one"];
    let staged = shelf.bench.stage("app.tar", &Archive::of(&layers).tar());
    let pushed = shelf.pushed(&staged, "app:1").await;
    for form in ["oci", "oci-archive", "docker-archive"] {
        let written = shelf.write(&staged, form, form).await;
        assert_eq!(written.config, pushed.config, "{form}");
        let back = format!("{form}:{}", shelf.path(form));
        let back = shelf.pushed(&back, "back:1").await;
        assert_eq!(back.config, pushed.config, "{form}");
        assert_eq!(back.size, pushed.size, "{form}: the same blobs");
    }
}

#[tokio::test]
async fn one_run_goes_to_a_registry_and_to_files() {
    let shelf = Shelf::new().await;
    let staged = shelf
        .bench
        .stage("app.tar", &Archive::of(&[b"one", b"two"]).tar());
    let file = |text: &str| -> ImageFile {
        let (form, name) = text.split_once(':').unwrap();
        format!("{form}:{}", shelf.path(name)).parse().unwrap()
    };
    let everywhere = Image {
        files: vec![file("oci:layout:1"), file("docker-archive:app.tar:app:1")],
        ..image(&staged, "app:1")
    };
    let (deployed, _) = shelf.bench.deploy(&everywhere).await;
    let read = shelf.bench.bytes_of_bucket();
    assert_eq!(deployed.places.len(), 1);
    let back = format!("oci:{}#1", shelf.path("layout"));
    assert_eq!(shelf.pushed(&back, "back:1").await.digest, deployed.digest);

    shelf.bench.deploy(&image(&staged, "once:1")).await;
    assert_eq!(shelf.bench.bytes_of_bucket(), read, "read once for all");
}

#[tokio::test]
async fn a_failure_leaves_the_old_file_and_nothing_beside_it() {
    let shelf = Shelf::new().await;
    let good = shelf
        .bench
        .stage("good.tar", &Archive::of(&[b"one", b"two"]).tar());
    let bad = Archive::of(&[b"one", b"two"])
        .corrupted("1/layer.tar")
        .tar();
    let bad = shelf.bench.stage("bad.tar", &bad);
    for form in ["oci-archive", "docker-archive"] {
        shelf.write(&good, form, form).await;
        let before = fs::read(shelf.path(form)).unwrap();
        for name in [form, "new"] {
            let image = shelf.to_file(&bad, form, name);
            let meter = Arc::new(Meter::default());
            let failed = shelf.bench.deployer.run(&image, &meter).await;
            assert!(failed.is_err(), "{form} {name}");
        }
        assert_eq!(fs::read(shelf.path(form)).unwrap(), before);
    }
    let image = shelf.to_file(&bad, "oci", "layout");
    let meter = Arc::new(Meter::default());
    assert!(shelf.bench.deployer.run(&image, &meter).await.is_err());
    assert!(!Path::new(&shelf.path("layout/index.json")).exists());
    let names = shelf.names();
    let left = ["docker-archive", "layout", "oci-archive"].map(str::to_owned);
    assert_eq!(names, BTreeSet::from(left));
}

#[tokio::test]
async fn a_file_that_fails_keeps_the_image_from_no_other_place() {
    let shelf = Shelf::new().await;
    let layers: [&[u8]; 2] = [b"one", b"two"];
    let staged = shelf.bench.stage("app.tar", &Archive::of(&layers).tar());
    let both = Image {
        files: vec!["oci-archive:/dev/full".parse().unwrap()],
        ..image(&staged, "app:1")
    };
    let meter = Arc::new(Meter::default());
    let failed = shelf.bench.deployer.run(&both, &meter).await.unwrap_err();
    let told = format!("{:#}", anyhow::Error::new(failed));
    let place = format!("at {HOST}/app, and not at oci-archive:/dev/full");
    assert!(told.contains(&place), "{told}");
    assert!(told.contains("no space left"), "{told}");
    shelf.pushed(&format!("{HOST}/app:1"), "copy:1").await;
}

#[tokio::test]
async fn a_file_that_is_replaced_keeps_its_permissions() {
    let shelf = Shelf::new().await;
    let staged = shelf.bench.stage("app.tar", &Archive::of(&[b"one"]).tar());
    shelf.write(&staged, "oci-archive", "app.tar").await;
    let private = fs::Permissions::from_mode(0o600);
    fs::set_permissions(shelf.path("app.tar"), private.clone()).unwrap();
    shelf.write(&staged, "oci-archive", "app.tar").await;
    let metadata = fs::metadata(shelf.path("app.tar")).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, private.mode());
}

#[tokio::test]
async fn several_images_are_in_one_file() {
    let shelf = Shelf::new().await;
    let first = shelf
        .bench
        .stage("1.tar", &Archive::of(&[b"one", b"two"]).tar());
    let second = shelf
        .bench
        .stage("2.tar", &Archive::of(&[b"one", b"three"]).tar());
    for form in ["oci", "oci-archive", "docker-archive"] {
        let mut ids = Vec::new();
        for (source, name) in [(&first, "app:1"), (&second, "app:2"), (&second, "other:1")] {
            let mut image = shelf.to_file(source, form, &format!("{form}:{name}"));
            image.files[0].append = true;
            ids.push((name, shelf.bench.deploy(&image).await.0.config));
        }
        for (name, id) in &ids {
            let source = format!("{form}:{}#{name}", shelf.path(form));
            let back = shelf.pushed(&source, "back:1").await;
            assert_eq!(back.config, *id, "{source}");
        }
        // A name moves to another image.
        let mut image = shelf.to_file(&second, form, &format!("{form}:app:1"));
        image.files[0].append = true;
        shelf.bench.deploy(&image).await;
        let source = format!("{form}:{}#app:1", shelf.path(form));
        let moved = shelf.pushed(&source, "back:1").await;
        assert_eq!(moved.config, ids[1].1, "{source}");
    }
}

#[tokio::test]
async fn referrers_and_names_of_platforms_go_along() {
    let shelf = Shelf::new().await;
    let index = shelf.index().await;
    let images = Images::at(shelf.bench.environment.registry.address(), "index");
    let root: longshore::oci::Reference = index.parse().unwrap();
    let root = images.repository.resolve(&root).await.unwrap();
    let note = images.about(&root, "a note").await;
    for form in ["oci", "oci-archive"] {
        let mut image = shelf.to_file(&index, form, &format!("{form}:app:1"));
        image.referrers = longshore::deploy::Referrers::Copy;
        let arm = ("linux/arm64".parse().unwrap(), "1-arm".parse().unwrap());
        image.platform_tags = vec![arm];
        shelf.bench.deploy(&image).await;

        let source = format!("{form}:{}#app:1", shelf.path(form));
        let mut back = crate::support::image(&source, &format!("{form}:1"));
        back.referrers = longshore::deploy::Referrers::Copy;
        shelf.bench.deploy(&back).await;
        let registry = shelf.bench.environment.registry.address();
        let name = format!("{registry}/{form}@{}", note.digest());
        assert_eq!(shelf.manifest(&name).await, *note.bytes());
        let single = format!("{form}:{}#app:1-arm", shelf.path(form));
        let single = shelf.pushed(&single, "single:1").await;
        assert_eq!(single.platforms[0].to_string(), "linux/arm64");
    }
}

#[tokio::test]
async fn an_archive_for_docker_has_one_platform() {
    let shelf = Shelf::new().await;
    let index = shelf.index().await;
    let image = shelf.to_file(&index, "docker-archive", "app.tar");
    let meter = Arc::new(Meter::default());
    let failed = shelf.bench.deployer.run(&image, &meter).await.unwrap_err();
    let told = format!("{:#}", anyhow::Error::new(failed));
    assert!(told.contains("--platform"), "{told}");
    assert!(told.contains("linux/amd64, linux/arm64"), "{told}");

    // A platform that is not there is told first.
    let mut image = shelf.to_file(&index, "docker-archive", "app.tar");
    let platforms = ["linux/amd64", "linux/s390x"];
    image.platforms = Some(platforms.map(|name| name.parse().unwrap()).to_vec());
    let failed = shelf.bench.deployer.run(&image, &meter).await.unwrap_err();
    let told = format!("{:#}", anyhow::Error::new(failed));
    assert!(told.contains("no image for linux/s390x"), "{told}");
    assert_eq!(shelf.names(), BTreeSet::new());
}

#[test]
fn an_archive_goes_to_standard_output() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app.tar");
    for form in ["oci-archive", "docker-archive"] {
        let named = format!("{form}:{}:app:1", file.display());
        let run = longshore(&["copy", EXAMPLE, &named]);
        assert!(run.status.success(), "{}", stderr(&run));
        let piped = longshore(&["copy", "--json", EXAMPLE, &format!("{form}:-:app:1")]);
        assert!(piped.status.success(), "{}", stderr(&piped));
        let listed = |bytes: &[u8]| -> BTreeSet<(String, u64)> {
            let mut tar = tar::Archive::new(bytes);
            let entries = tar.entries().unwrap().map(Result::unwrap);
            let name = |entry: tar::Entry<'_, &[u8]>| {
                (entry.path().unwrap().display().to_string(), entry.size())
            };
            entries.map(name).collect()
        };
        assert_eq!(listed(&piped.stdout), listed(&fs::read(&file).unwrap()));
        assert!(stderr(&piped).contains("\"digest\""), "{}", stderr(&piped));
    }
}

#[test]
fn a_signal_leaves_no_half_file() {
    // It takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let source = format!("{}/app:1", silent.local_addr().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.tar");
    let run = longshore(&["copy", EXAMPLE, &format!("oci-archive:{}", path.display())]);
    assert!(run.status.success(), "{}", stderr(&run));
    let before = fs::read(&path).unwrap();

    let mut copy = Command::new(env!("CARGO_BIN_EXE_longshore"));
    copy.args(["copy", &source, &format!("oci-archive:{}", path.display())])
        .env_clear()
        .env("LONGSHORE_ALLOW_LOOPBACK", "1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stderr(Stdio::piped());
    let copy = copy.spawn().unwrap();
    let _connection = silent.accept().unwrap();
    let files = || fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(files(), 2, "the new archive is under way");
    let pid = rustix::process::Pid::from_raw(i32::try_from(copy.id()).unwrap());
    rustix::process::kill_process(pid.unwrap(), rustix::process::Signal::INT).unwrap();
    let ended = copy.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(130), "{}", stderr(&ended));
    assert_eq!(files(), 1);
    assert_eq!(fs::read(&path).unwrap(), before);
}

const EXAMPLE: &str = "docker-archive:events/buckets/longshore-example/example-1.0.tar";
