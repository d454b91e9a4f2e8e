//! Images are built by the builder that is there, from the files that Docker would send, and not
//! twice.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{Archive, DockerRegistry, Workshop, json, output, skopeo};

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
    let workshop = Workshop::new();
    let docker = workshop.fake_docker();
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
    let first = json(&workshop.build("plain", &docker, &arguments));
    assert_eq!(first["reused"], false);
    let told = fs::read_to_string(workshop.path("told")).unwrap();
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

    let second = json(&workshop.build("plain", Path::new("/no/such/builder"), &arguments));
    assert_eq!(second["reused"], true);
    assert_eq!(second["archive"], first["archive"]);

    let anew = [&arguments[..], &["--no-cache"]].concat();
    assert_eq!(
        json(&workshop.build("plain", &docker, &anew))["reused"],
        false
    );
}

#[test]
fn several_platforms_are_built_at_once() {
    let workshop = Workshop::new();
    let docker = workshop.fake_docker();
    workshop.build(
        "plain",
        &docker,
        &["--platform", "linux/amd64", "--platform", "linux/arm64"],
    );
    let told = fs::read_to_string(workshop.path("told")).unwrap();
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
    let workshop = Workshop::new();
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
        let run = workshop.run("build", context, missing, arguments);
        assert!(!run.status.success());
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(said.contains(part), "{said}");
    }
}

#[test]
#[ignore = "needs real parts: run scripts/test"]
fn builders_get_what_docker_sends() {
    let workshop = Workshop::new();
    workshop.write("ignored/Dockerfile", "FROM scratch\nCOPY . /\n");
    for builder in ["buildah", "podman"] {
        let built =
            json(&workshop.build("ignored", Path::new(builder), &["--extra-hash", builder]));
        assert_eq!(files(&built), SENT.map(str::to_owned).into());
    }
    workshop.write("ignored/Dockerfile.dockerignore", "**\n!src\n");
    let built = json(&workshop.build("ignored", Path::new("buildah"), &[]));
    let own = ["src/build/out", "src/tmp1"];
    assert_eq!(files(&built), own.map(str::to_owned).into());
}

/// A builder's own reading of the ignore file, where it is Docker's.
#[test]
#[ignore = "needs real parts: run scripts/test"]
fn a_builder_alone_sends_the_same() {
    let workshop = Workshop::new();
    workshop.write("ignored/Dockerfile", "FROM scratch\nCOPY . /\n");
    let archive = workshop.path("alone.tar");
    let mut build = Command::new("buildah");
    workshop.environment(&mut build);
    output(
        build
            .args(["build", "--tag", "alone"])
            .arg(workshop.contexts.path("ignored")),
    );
    let mut push = Command::new("buildah");
    workshop.environment(&mut push);
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
    let workshop = Workshop::new();
    for builder in ["buildah", "podman"] {
        let arguments = [
            "--platform",
            "linux/amd64,linux/arm64",
            "--extra-hash",
            builder,
        ];
        let built = json(&workshop.build("plain", Path::new(builder), &arguments));
        let archive = format!("oci-archive:{}", built["archive"].as_str().unwrap());
        let run = workshop.longshore(&["inspect", "--json", &archive]);
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
    let workshop = Workshop::new();
    let registry = DockerRegistry::start();
    let base = workshop.path("base.tar");
    fs::write(&base, Archive::of(&[b"base"]).tar()).unwrap();
    skopeo::copy_archive(&base, &registry, "base:1");
    let host = registry.url().replace("http://", "");
    workshop.trust(&host);
    workshop.write(
        "plain/Dockerfile",
        &format!("FROM {host}/base:1\nCOPY README.md /\n"),
    );
    let built = json(&workshop.build("plain", Path::new("podman"), &[]));
    assert_eq!(
        files(&built),
        ["README.md", "srv/0"].map(str::to_owned).into()
    );
}

#[test]
#[ignore = "needs real parts: run scripts/test"]
fn a_failing_build_shows_what_the_builder_said() {
    let workshop = Workshop::new();
    workshop.write("plain/Dockerfile", "FROM scratch\nCOPY no-such-file /\n");
    for builder in ["buildah", "podman"] {
        let run = workshop.run(
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

/// Two assets that differ in nothing but the value that an instruction uses.
#[test]
#[ignore = "needs real parts: run scripts/test"]
fn a_build_argument_changes_the_image_whatever_uses_it() {
    for builder in ["buildah", "podman"] {
        let workshop = Workshop::new();
        for instruction in [
            "LABEL value=$V",
            "ENV VALUE=$V",
            "EXPOSE $V",
            "VOLUME /$V",
            "STOPSIGNAL $V",
            "USER $V",
            "WORKDIR /$V",
            "COPY README.md /$V",
            "ADD README.md /$V",
            "ONBUILD ENV VALUE=$V",
        ] {
            let file = format!("FROM scratch\nARG V\nCOPY README.md /base\n{instruction}\n");
            workshop.write("plain/Dockerfile", &file);
            let ids = ["9", "15"].map(|value| {
                let argument = format!("V={value}");
                let arguments = ["--build-arg", &argument, "--extra-hash", builder];
                let built = json(&workshop.build("plain", Path::new(builder), &arguments));
                assert_eq!(built["reused"], false, "{built}");
                content(&built)
            });
            let is_expanded = !instruction.starts_with("ONBUILD");
            assert_eq!(ids[0] != ids[1], is_expanded, "{builder}: {instruction}");
        }
    }
}

/// What an image is, but for when it was made.
fn content(built: &Value) -> (Value, BTreeSet<String>) {
    let archive = fs::read(built["archive"].as_str().unwrap()).unwrap();
    let entries = entries(&archive);
    let entry = |name: &str| &entries.iter().find(|(path, _)| path == name).unwrap().1;
    let manifest: Value = serde_json::from_slice(entry("manifest.json")).unwrap();
    let config = manifest[0]["Config"].as_str().unwrap();
    let config: Value = serde_json::from_slice(entry(config)).unwrap();
    (config["config"].clone(), files(built))
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
