//! Images go to files: what is there then is the image, or what was there before.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use longshore::copy::Meter;
use longshore::deploy::{Deployed, Image, ImageFile};
use longshore::local::{BucketOptions, EnvironmentOptions};
use longshore::oci::{Descriptor, MediaType};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    Archive, Bench, DockerRegistry, HOST, Images, MemoryLimit, PASSWORD, Workshop, image,
    longshore, output, skopeo, stderr,
};

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
        let names = |bytes: &[u8]| -> BTreeSet<(String, u64)> {
            let mut tar = tar::Archive::new(bytes);
            let entries = tar.entries().unwrap().map(Result::unwrap);
            let name = |entry: tar::Entry<'_, &[u8]>| {
                (entry.path().unwrap().display().to_string(), entry.size())
            };
            entries.map(name).collect()
        };
        assert_eq!(names(&piped.stdout), names(&fs::read(&file).unwrap()));
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

#[test]
fn what_cannot_be_written_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    fs::write(at("notes.txt"), "not an archive, and someone's own").unwrap();
    fs::create_dir(at("folder")).unwrap();
    fs::write(at("folder/file"), "").unwrap();
    fs::create_dir(at("broken")).unwrap();
    fs::write(at("broken/oci-layout"), "{}").unwrap();
    fs::write(at("broken/index.json"), "no JSON").unwrap();
    let example = "events/buckets/longshore-example/example-1.0.tar";
    fs::copy(example, at("own.tar")).unwrap();
    let own = format!("docker-archive:{}", at("own.tar"));
    let to = |form: &str, name: &str| format!("{form}:{}", at(name));

    for (source, arguments, parts) in [
        (
            EXAMPLE,
            vec![to("oci-archive", "folder")],
            &["is a directory", "oci:"][..],
        ),
        (
            EXAMPLE,
            vec![to("oci", "notes.txt")],
            &["is a file", "oci-archive:"],
        ),
        (
            EXAMPLE,
            vec![to("oci", "folder")],
            &["no OCI layout", "empty directory"],
        ),
        (
            EXAMPLE,
            vec![to("oci", "broken")],
            &["index.json", "malformed"],
        ),
        (
            EXAMPLE,
            vec![to("docker-archive", "notes.txt")],
            &["no archive of images", "remove it"],
        ),
        (
            EXAMPLE,
            vec![to("oci-archive", "none/a.tar")],
            &["no directory", "create it"],
        ),
        (
            EXAMPLE,
            vec![to("oci-archive", "a.tar:App Name")],
            &["malformed NAME", "app:1.0"],
        ),
        (
            EXAMPLE,
            vec!["oci:/sys/layout".to_owned()],
            &["may not be written to", "permissions"],
        ),
        (
            EXAMPLE,
            vec!["oci-archive:".to_owned()],
            &["names no file", "oci-archive:PATH"],
        ),
        (EXAMPLE, vec!["oci:-".to_owned()], &["oci-archive:-"]),
        (
            EXAMPLE,
            vec!["app.tar".to_owned()],
            &["docker-archive:app.tar"],
        ),
        (
            EXAMPLE,
            vec!["oci-archive:/dev/full".to_owned()],
            &["no space left", "elsewhere"],
        ),
        (
            &own,
            vec![to("docker-archive", "own.tar")],
            &["is the source", "rename it"],
        ),
        (
            EXAMPLE,
            vec!["--append".to_owned(), to("oci-archive", "own.tar")],
            &["no index.json", "docker-archive:"],
        ),
        (
            EXAMPLE,
            vec![
                "--append".to_owned(),
                format!("{HOST}/app:1"),
                "--local".to_owned(),
            ],
            &["--append", "no destination is one"],
        ),
        (
            EXAMPLE,
            vec![
                "--tag".to_owned(),
                "2".to_owned(),
                to("docker-archive", "a.tar"),
            ],
            &["needs a repository's name", "docker-archive:PATH:NAME"],
        ),
        (
            EXAMPLE,
            vec![
                "--referrers".to_owned(),
                "copy".to_owned(),
                to("docker-archive", "a.tar"),
            ],
            &["no room for referrers", "oci-archive"],
        ),
        (
            EXAMPLE,
            vec![
                to("oci-archive", "a.tar"),
                "--to".to_owned(),
                to("oci-archive", "a.tar:x"),
            ],
            &["is named twice"],
        ),
    ] {
        let mut all = vec!["copy", source];
        all.extend(arguments.iter().map(String::as_str));
        let run = longshore(&all);
        let told = stderr(&run);
        assert!(!run.status.success(), "{all:?}: {told}");
        for part in parts {
            assert!(told.contains(part), "{all:?}: {told}");
        }
    }
    assert_eq!(
        fs::read(at("notes.txt")).unwrap(),
        b"not an archive, and someone's own"
    );
    assert_eq!(fs::read(at("own.tar")).unwrap(), fs::read(example).unwrap());
    let hidden = |entry: std::io::Result<fs::DirEntry>| {
        let name = entry.unwrap().file_name();
        name.to_string_lossy().starts_with('.')
    };
    assert!(!fs::read_dir(folder.path()).unwrap().any(hidden));
}

/// Beside `skopeo`: over every pair of kinds, what one program writes the other reads, and brings
/// back as what it was.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real parts: run scripts/test"]
async fn skopeo_and_longshore_read_what_the_other_writes() {
    let shelf = Shelf::new().await;
    let layers: [&[u8]; 2] = [b"one", b"two"];
    let staged = shelf.bench.stage("app.tar", &Archive::of(&layers).tar());
    shelf.write(&staged, "oci", "start:1").await;
    let registry = DockerRegistry::start();
    let both = Programs {
        shelf: &shelf,
        registry: &registry,
    };
    // The same image in each kind of place.
    let start = format!("oci:{}:1", shelf.path("start"));
    for kind in KINDS {
        both.longshore(&start, &both.place(kind, "source"));
    }
    for from in KINDS {
        let source = both.place(from, "source");
        let image = both.image_of(&source);
        for to in KINDS {
            let ours = both.place(to, &format!("ours-{from}"));
            both.longshore(&source, &ours);
            assert_eq!(
                both.skopeo_sees(&ours),
                image,
                "{from} to {to} by longshore"
            );
            if ![from, to].contains(&"docker-archive") {
                assert_eq!(both.digest(&ours), both.digest(&source), "{from} to {to}");
            }
            // skopeo writes configs anew where it makes an image of OCI of one of Docker.
            let theirs = both.place(to, &format!("theirs-{from}"));
            both.skopeo(&source, &theirs);
            let seen = both.image_of(&theirs);
            assert_eq!(seen.diff_ids, image.diff_ids, "{from} to {to} by skopeo");
            let back = both.place("oci", &format!("back-{from}-{to}"));
            both.skopeo(&ours, &back);
            let seen = both.image_of(&back);
            assert_eq!(
                seen.diff_ids, image.diff_ids,
                "{from} to {to}, and back by skopeo"
            );
        }
    }

    let index = shelf.index().await;
    let archive = format!("oci-archive:{}", shelf.path("index.tar"));
    shelf.write(&index, "oci-archive", "index.tar").await;
    skopeo::copy_all(&archive, &registry.skopeo_name("index:1"));
    let copied = longshore::oci::Digest::sha256(&skopeo::manifest(&registry, "index:1"));
    assert_eq!(index.split_once('@').unwrap().1, copied.to_string());
}

/// Kinds of places that both programs read and write.
const KINDS: [&str; 4] = ["docker", "oci", "oci-archive", "docker-archive"];
struct Programs<'a> {
    shelf: &'a Shelf,
    registry: &'a DockerRegistry,
}

/// What is the same in each kind of place: the image's ID and its diff IDs.
#[derive(Debug, PartialEq)]
struct Seen {
    id: String,
    diff_ids: Value,
}

impl Programs<'_> {
    /// A place as `skopeo` names it.
    fn place(&self, kind: &str, name: &str) -> String {
        match kind {
            "docker" => self.registry.skopeo_name(&format!("{name}:1")),
            "oci" => format!("oci:{}:1", self.shelf.path(name)),
            _ => format!(
                "{kind}:{}:app:1",
                self.shelf.path(&format!("{name}-{kind}"))
            ),
        }
    }

    /// The same place as a source of Longshore.
    fn source(place: &str) -> String {
        let (kind, rest) = place.split_once(':').unwrap();
        match kind {
            "docker" => rest.trim_start_matches('/').to_owned(),
            _ => {
                let (path, name) = rest.split_once([':', '#']).unwrap();
                format!("{kind}:{path}#{name}")
            }
        }
    }

    fn run(&self, arguments: &[&str]) -> Vec<u8> {
        let login = format!("AWS:{PASSWORD}");
        let login = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, login);
        let host = self.registry.address().to_string();
        let logins = json!({"auths": {host: {"auth": login}}});
        output(
            Command::new(env!("CARGO_BIN_EXE_longshore"))
                .args(arguments)
                .env_clear()
                .env("LONGSHORE_ALLOW_LOOPBACK", "1")
                .env("AWS_EC2_METADATA_DISABLED", "true")
                .env("DOCKER_AUTH_CONFIG", logins.to_string()),
        )
    }

    fn longshore(&self, source: &str, destination: &str) {
        let destination = destination.trim_start_matches("docker://");
        let source = Self::source(source);
        self.run(&["copy", &source, destination]);
    }

    fn skopeo(&self, source: &str, destination: &str) {
        let _ = fs::remove_file(destination.split(':').nth(1).unwrap());
        skopeo::copy_one(source, destination);
    }

    fn inspect(&self, place: &str) -> Value {
        let shown = self.run(&["inspect", "--json", &Self::source(place)]);
        serde_json::from_slice(&shown).unwrap()
    }

    fn digest(&self, place: &str) -> Value {
        self.inspect(place)["digest"].clone()
    }

    /// The image as Longshore reads it.
    fn image_of(&self, place: &str) -> Seen {
        let shown = self.inspect(place);
        let id = match &shown["manifest"]["config"]["digest"] {
            Value::Null => &shown["imageId"],
            digest => digest,
        };
        Seen {
            id: id.as_str().unwrap().to_owned(),
            diff_ids: shown["config"]["rootfs"]["diff_ids"].clone(),
        }
    }

    /// The image as `skopeo` reads it.
    fn skopeo_sees(&self, place: &str) -> Seen {
        let config = skopeo::config(place);
        let value: Value = serde_json::from_slice(&config).unwrap();
        Seen {
            id: longshore::oci::Digest::sha256(&config).to_string(),
            diff_ids: value["rootfs"]["diff_ids"].clone(),
        }
    }
}

#[test]
#[ignore = "needs real parts: run scripts/test"]
fn podman_loads_what_is_written() {
    let workshop = Workshop::new();
    for form in ["oci-archive", "docker-archive"] {
        let path = workshop.path(form).display().to_string();
        let to = format!("{form}:{path}:quay.io/team/app:{form}");
        let copied =
            workshop.longshore(&["copy", "--json", &format!("docker-archive:{SAMPLE}"), &to]);
        assert!(copied.status.success(), "{}", stderr(&copied));
        let mut podman = Command::new("podman");
        workshop.environment(&mut podman);
        output(podman.args(["load", "--quiet", "--input", &path]));
        let mut podman = Command::new("podman");
        workshop.environment(&mut podman);
        let name = format!("quay.io/team/app:{form}");
        let id = output(podman.args(["image", "inspect", "--format", "{{.Id}}", &name]));
        let sample =
            workshop.longshore(&["inspect", "--json", &format!("docker-archive:{SAMPLE}")]);
        let sample: Value = serde_json::from_slice(&sample.stdout).unwrap();
        let id = format!("sha256:{}", String::from_utf8(id).unwrap().trim());
        assert_eq!(sample["imageId"], id);
    }
}

const SAMPLE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/events/buckets/longshore-example/example-1.0.tar"
);

/// Bytes of the layer that is copied in little memory.
const LARGE: u64 = 1 << 30;

#[test]
#[ignore = "needs real parts: run scripts/test"]
fn an_image_of_a_gibibyte_goes_to_files_in_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let start = large_layout(folder.path());
    let limit = MemoryLimit::new(64);
    let program = limit.within(Path::new(env!("CARGO_BIN_EXE_longshore")));
    let mut from = format!("oci:{start}");
    for form in ["oci-archive", "docker-archive", "oci"] {
        let to = format!("{form}:{}", path(form));
        let mut copy = Command::new(&program);
        copy.args(["copy", "--json", "--compression", "none", &from, &to]);
        copy.env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap());
        let report: Value = serde_json::from_slice(&output(&mut copy)).unwrap();
        assert!(report["size"].as_u64().unwrap() > LARGE, "{report}");
        let written = report["report"]["bytes_uploaded"].as_u64().unwrap();
        assert!((LARGE..LARGE + 4096).contains(&written), "{report}");
        if let Some(path) = from.strip_prefix("oci-archive:") {
            fs::remove_file(path).unwrap();
        }
        from = to;
    }
}

/// A layout whose layer is large and takes no room on a disk.
fn large_layout(folder: &Path) -> String {
    let root = folder.join("start");
    let blobs = root.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let sparse = fs::File::create(folder.join("layer")).unwrap();
    sparse.set_len(LARGE).unwrap();
    let mut digester = longshore::oci::Digester::new(longshore::oci::Algorithm::Sha256);
    let zeros = vec![0; 1 << 20];
    (0..LARGE >> 20).for_each(|_| digester.update(&zeros));
    let layer = Descriptor::new(MediaType::OCI_LAYER, digester.finish(), LARGE);
    fs::rename(folder.join("layer"), blobs.join(layer.digest.hex())).unwrap();
    let keep = |media_type: MediaType, value: Value| {
        let manifest = longshore::oci::RawManifest::new(&media_type, value.to_string().into());
        fs::write(blobs.join(manifest.digest().hex()), manifest.bytes()).unwrap();
        manifest.descriptor()
    };
    let diff_ids = [&layer.digest];
    let config = json!({"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": diff_ids}});
    let config = keep(MediaType::OCI_CONFIG, config);
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": [layer]});
    let manifest = keep(MediaType::OCI_MANIFEST, manifest);
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    fs::write(root.join("index.json"), index.to_string()).unwrap();
    fs::write(root.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    root.display().to_string()
}
