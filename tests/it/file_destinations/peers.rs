//! Beside `skopeo` and `podman`, which read and write the same kinds of files.

use std::fs;
use std::process::Command;

use longshore::oci::Digest;
use serde_json::{Value, json};

use super::Shelf;
use crate::support::{Archive, DockerRegistry, PASSWORD, Workshop, output, skopeo, stderr};

/// Over every pair of kinds, what one program writes the other reads, and brings
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
                Programs::skopeo_sees(&ours),
                image,
                "{from} to {to} by longshore"
            );
            if ![from, to].contains(&"docker-archive") {
                assert_eq!(both.digest(&ours), both.digest(&source), "{from} to {to}");
            }
            // skopeo writes configs anew where it makes an image of OCI of one of Docker.
            let theirs = both.place(to, &format!("theirs-{from}"));
            Programs::skopeo(&source, &theirs);
            let seen = both.image_of(&theirs);
            assert_eq!(seen.diff_ids, image.diff_ids, "{from} to {to} by skopeo");
            let back = both.place("oci", &format!("back-{from}-{to}"));
            Programs::skopeo(&ours, &back);
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
    let copied = Digest::sha256(&skopeo::manifest(&registry, "index:1"));
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
        if kind == "docker" {
            return rest.trim_start_matches('/').to_owned();
        }
        let (path, name) = rest.split_once([':', '#']).unwrap();
        format!("{kind}:{path}#{name}")
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

    fn skopeo(source: &str, destination: &str) {
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
    fn skopeo_sees(place: &str) -> Seen {
        let config = skopeo::config(place);
        let value: Value = serde_json::from_slice(&config).unwrap();
        Seen {
            id: Digest::sha256(&config).to_string(),
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
