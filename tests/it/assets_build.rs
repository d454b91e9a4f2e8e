//! Images are built by the builder that is there, from the files that Docker would send, and not
//! twice.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Archive, Contexts, DockerRegistry, PASSWORD, output, skopeo};

/// What of the directory `ignored` Docker sends.
const SENT: [&str; 8] = [
    ".dockerignore",
    "README.md",
    "docs/CHANGES.md",
    "docs/README.md",
    "packages/node_modules/x/index.js",
    "src/build/out",
    "src/tmp1",
    "sub/Dockerfile",
];

#[test]
fn docker_is_told_all_and_asked_once() {
    let bench = Bench::new();
    let docker = bench.fake_docker();
    let arguments = [
        "--target",
        "final",
        "--build-arg",
        "A=1",
        "--build-secret",
        "id=token,src=token.txt",
        "--build-ssh",
        "default",
        "--network",
        "none",
        "--platform",
        "linux/arm64",
        "--cache-from",
        "type=registry,ref=x/y",
        "--cache-to",
        "type=inline",
        "--build-context",
        "base=docker-image://alpine",
        "--file",
        "docker/Dockerfile.dev",
    ];
    let first = json(&bench.build("plain", &docker, &arguments));
    assert_eq!(first["reused"], false);
    let told = fs::read_to_string(bench.path("told")).unwrap();
    let (build, save) = told.trim().split_once('\n').unwrap();
    let expected = "buildx build --load --tag cdkasset-HASH --build-arg A=1 \
        --build-context base=docker-image://alpine --secret id=token,src=token.txt --ssh default \
        --target final --network none --platform linux/arm64 \
        --cache-from type=registry,ref=x/y --cache-to type=inline --file WORK/Dockerfile \
        WORK/context";
    let hash = first["assetHash"].as_str().unwrap();
    let mut shown = build.replace(hash, "HASH");
    let work = shown
        .split(' ')
        .next_back()
        .unwrap()
        .strip_suffix("/context")
        .unwrap()
        .to_owned();
    shown = shown.replace(&work, "WORK");
    assert_eq!(shown, expected);
    assert!(save.starts_with("save --output "), "{save}");
    assert!(!Path::new(&work).exists());

    let second = json(&bench.build("plain", Path::new("/no/such/builder"), &arguments));
    assert_eq!(second["reused"], true);
    assert_eq!(second["archive"], first["archive"]);

    let anew = [&arguments[..], &["--no-cache"]].concat();
    assert_eq!(json(&bench.build("plain", &docker, &anew))["reused"], false);
}

#[test]
fn several_platforms_are_built_at_once() {
    let bench = Bench::new();
    let docker = bench.fake_docker();
    bench.build(
        "plain",
        &docker,
        &["--platform", "linux/amd64", "--platform", "linux/arm64"],
    );
    let told = fs::read_to_string(bench.path("told")).unwrap();
    assert!(
        told.starts_with("buildx build --output type=oci,dest="),
        "{told}"
    );
    assert!(
        told.contains(" --platform linux/amd64,linux/arm64 "),
        "{told}"
    );
    assert_eq!(told.lines().count(), 1);
}

#[test]
fn what_cannot_be_built_is_a_sentence() {
    let bench = Bench::new();
    let missing = Path::new("/no/such/builder");
    for (context, arguments, part) in [
        ("plain", &[][..], "/no/such/builder: install it"),
        ("nowhere", &[], "there is no directory"),
        ("outside", &[], "there is no Dockerfile at"),
        (
            "plain",
            &["--file", "../outside/file"],
            "not in the directory",
        ),
        (
            "external",
            &["--follow", "internal-only"],
            "leads out of the directory",
        ),
        (
            "plain",
            &["--exclude", "[z-a]"],
            "malformed ignore pattern \"[z-a]\"",
        ),
    ] {
        let run = bench.run("build", context, missing, arguments);
        assert!(!run.status.success());
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(said.contains(part), "{said}");
    }
}

#[test]
#[ignore = "needs real parts: run scripts/test"]
fn builders_get_what_docker_sends() {
    let bench = Bench::new();
    bench.write("ignored/Dockerfile", "FROM scratch\nCOPY . /\n");
    for builder in ["buildah", "podman"] {
        let built = json(&bench.build("ignored", Path::new(builder), &["--extra-hash", builder]));
        assert_eq!(files(&built), SENT.map(str::to_owned).into());
    }
    bench.write("ignored/Dockerfile.dockerignore", "**\n!src\n");
    let built = json(&bench.build("ignored", Path::new("buildah"), &[]));
    let own = ["src/build/out", "src/tmp1"];
    assert_eq!(files(&built), own.map(str::to_owned).into());
}

/// A builder's own reading of the ignore file, where it is Docker's.
#[test]
#[ignore = "needs real parts: run scripts/test"]
fn a_builder_alone_sends_the_same() {
    let bench = Bench::new();
    bench.write("ignored/Dockerfile", "FROM scratch\nCOPY . /\n");
    let archive = bench.path("alone.tar");
    let mut build = Command::new("buildah");
    bench.environment(&mut build);
    output(
        build
            .args(["build", "--tag", "alone"])
            .arg(bench.contexts.path("ignored")),
    );
    let mut push = Command::new("buildah");
    bench.environment(&mut push);
    output(
        push.args(["push", "alone"])
            .arg(format!("docker-archive:{}", archive.display())),
    );
    let alone = serde_json::json!({ "archive": archive });
    assert_eq!(files(&alone), SENT.map(str::to_owned).into());
}

#[test]
#[ignore = "needs real parts: run scripts/test"]
fn an_image_for_several_platforms_is_an_index() {
    let bench = Bench::new();
    for builder in ["buildah", "podman"] {
        let arguments = [
            "--platform",
            "linux/amd64,linux/arm64",
            "--extra-hash",
            builder,
        ];
        let built = json(&bench.build("plain", Path::new(builder), &arguments));
        let archive = format!("oci-archive:{}", built["archive"].as_str().unwrap());
        let run = bench.longshore(&["inspect", "--json", &archive]);
        assert!(
            run.status.success(),
            "{}",
            String::from_utf8_lossy(&run.stderr)
        );
        let image = json(&run).to_string();
        assert!(
            image.contains("arm64") && image.contains("amd64"),
            "{image}"
        );
    }
}

#[test]
#[ignore = "needs real parts: run scripts/test"]
fn a_base_comes_from_a_registry() {
    let bench = Bench::new();
    let registry = DockerRegistry::start();
    let base = bench.path("base.tar");
    fs::write(&base, Archive::of(&[b"base"]).tar()).unwrap();
    skopeo::copy_archive(&base, &registry, "base:1");
    let host = registry.url().replace("http://", "");
    bench.trust(&host);
    bench.write(
        "plain/Dockerfile",
        &format!("FROM {host}/base:1\nCOPY README.md /\n"),
    );
    let built = json(&bench.build("plain", Path::new("podman"), &[]));
    assert_eq!(
        files(&built),
        ["README.md", "srv/0"].map(str::to_owned).into()
    );
}

#[test]
#[ignore = "needs real parts: run scripts/test"]
fn a_failing_build_shows_what_the_builder_said() {
    let bench = Bench::new();
    bench.write("plain/Dockerfile", "FROM scratch\nCOPY no-such-file /\n");
    for builder in ["buildah", "podman"] {
        let run = bench.run(
            "build",
            "plain",
            Path::new(builder),
            &["--build-arg", "KEY=hidden"],
        );
        assert!(!run.status.success());
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(
            said.contains(&format!("{builder} failed with exit status")),
            "{said}"
        );
        assert!(said.contains("no-such-file"), "{said}");
        assert!(!said.contains("hidden"), "{said}");
    }
}

/// Contexts, a cache, and builders that keep to themselves.
struct Bench {
    contexts: Contexts,
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self {
            contexts: Contexts::new(),
            folder: tempfile::tempdir().unwrap(),
        };
        let storage = |name| bench.path(name).display().to_string();
        let storage = format!(
            "[storage]\ndriver = \"vfs\"\ngraphroot = {:?}\nrunroot = {:?}\n",
            storage("images"),
            storage("run"),
        );
        fs::write(bench.path("storage.conf"), storage).unwrap();
        fs::write(bench.path("registries.conf"), "").unwrap();
        fs::write(bench.path("auth.json"), "{}").unwrap();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.contexts.path(name), content).unwrap();
    }

    /// Docker as far as the command line goes: it notes what it is told, and always saves the
    /// same image.
    fn fake_docker(&self) -> PathBuf {
        let (docker, told, image) = (self.path("docker"), self.path("told"), self.path("image"));
        fs::write(&image, Archive::of(&[b"built"]).tar()).unwrap();
        let (told, image) = (told.display(), image.display());
        let script = format!(
            "#!/bin/sh\n\
             case \"$1 $2\" in\n\
             --version*) echo 'Docker version 99.0.0'; exit;;\n\
             'buildx version') exit;;\n\
             'image inspect') exit 1;;\n\
             'save --output') cp {image} \"$3\";;\n\
             'buildx build') case \"$4\" in type=oci,dest=*) cp {image} \"${{4#type=oci,dest=}}\";; esac;;\n\
             esac\n\
             echo \"$@\" >> {told}\n"
        );
        fs::write(&docker, script).unwrap();
        fs::set_permissions(&docker, fs::Permissions::from_mode(0o755)).unwrap();
        docker
    }

    /// Lets builders pull from a registry without TLS.
    fn trust(&self, host: &str) {
        let registries = format!("[[registry]]\nlocation = \"{host}\"\ninsecure = true\n");
        fs::write(self.path("registries.conf"), registries).unwrap();
        let credentials = format!("AWS:{PASSWORD}");
        let credentials =
            base64::Engine::encode(&base64::engine::general_purpose::STANDARD, credentials);
        let auth = serde_json::json!({"auths": {host: {"auth": credentials}}});
        fs::write(self.path("auth.json"), auth.to_string()).unwrap();
    }

    fn environment(&self, command: &mut Command) {
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.folder.path())
            .env("LONGSHORE_CACHE", self.path("cache"))
            .env("BUILDAH_ISOLATION", "chroot")
            .env("CONTAINERS_STORAGE_CONF", self.path("storage.conf"))
            .env("CONTAINERS_REGISTRIES_CONF", self.path("registries.conf"))
            .env("REGISTRY_AUTH_FILE", self.path("auth.json"));
    }

    fn longshore(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_longshore"));
        self.environment(&mut command);
        command.args(arguments).output().unwrap()
    }

    fn run(&self, verb: &str, context: &str, builder: &Path, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_longshore"));
        self.environment(&mut command);
        command
            .env("CDK_DOCKER", builder)
            .arg(verb)
            .arg(self.contexts.path(context))
            .args(arguments)
            .output()
            .unwrap()
    }

    fn build(&self, context: &str, builder: &Path, arguments: &[&str]) -> Output {
        self.run(
            "build",
            context,
            builder,
            &[arguments, &["--json"]].concat(),
        )
    }
}

fn json(run: &Output) -> Value {
    let said = || panic!("{}", String::from_utf8_lossy(&run.stderr));
    serde_json::from_slice(&run.stdout).unwrap_or_else(|_| said())
}

/// The files in the layers of an archive.
fn files(built: &Value) -> BTreeSet<String> {
    let archive = fs::read(built["archive"].as_str().unwrap()).unwrap();
    let entries = entries(&archive);
    let entry = |name: &str| &entries.iter().find(|(path, _)| path == name).unwrap().1;
    let manifest: Value = serde_json::from_slice(entry("manifest.json")).unwrap();
    let layers = manifest[0]["Layers"].as_array().unwrap();
    let layers = layers
        .iter()
        .map(|layer| self::entries(entry(layer.as_str().unwrap())));
    layers.flatten().map(|(path, _)| path).collect()
}

/// The regular files of a tar.
fn entries(tar: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = tar::Archive::new(tar);
    let entries = archive.entries().unwrap().map(Result::unwrap);
    entries
        .filter(|entry| entry.header().entry_type().is_file())
        .map(|mut entry| {
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (entry.path().unwrap().display().to_string(), content)
        })
        .collect()
}
