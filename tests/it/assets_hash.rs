//! The hash of an image asset is that of CDK's `DockerImageAsset`.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use longshore::assets::{ImageAsset, Input};
use serde_json::{Value, json};

use crate::support::{Contexts, output_of, stderr, tool};

#[test]
fn hashes_are_those_that_cdk_gave() {
    let contexts = Contexts::new();
    for case in table() {
        assert_eq!(hash(&contexts, &case), case["hash"], "{case}");
    }
}

#[test]
#[ignore = "needs real parts: run scripts/test"]
fn hashes_are_those_that_cdk_gives() {
    let contexts = Contexts::new();
    let table = table();
    let modules = tool("npm/node_modules");
    for (case, hash) in table.iter().zip(ask_cdk(&contexts, &table, &modules, &[])) {
        assert_eq!(hash, case["hash"], "{case}");
    }
}

#[test]
#[ignore = "needs real parts: run scripts/test"]
fn hashes_are_those_of_the_construct() {
    let contexts = Contexts::new();
    let mut table = table();
    // A deprecated property that the construct has no use for.
    table.retain(|case| case["props"].get("repositoryName").is_none());
    assert!(table.len() > 70, "{}", table.len());
    let package = concat!(env!("CARGO_MANIFEST_DIR"), "/cdk");
    let modules = Path::new(package).join("node_modules");
    let construct = [package, "DockerfileImage"];
    for (case, hash) in table
        .iter()
        .zip(ask_cdk(&contexts, &table, &modules, &construct))
    {
        assert_eq!(hash, case["hash"], "{case}");
    }
}

#[test]
fn options_that_an_app_gives_empty_are_named() {
    let contexts = Contexts::new();
    let hash = |options: &[&str]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_longshore"));
        program.arg("hash").arg(contexts.path("plain"));
        program.args(options).output().unwrap()
    };
    let expected = |props: &Value| {
        let table = table();
        let mut cases = table.iter().filter(|case| case["directory"] == "plain");
        let case = cases.find(|case| case["props"] == *props).unwrap();
        format!("{}\n", case["hash"].as_str().unwrap())
    };
    let all = "buildArgs,buildContexts,buildSecrets,outputs";
    for (options, props) in [
        (vec!["--empty", "buildArgs"], json!({"buildArgs": []})),
        (
            vec!["--empty", "outputs", "--target", "server"],
            json!({"outputs": [], "target": "server"}),
        ),
        (
            vec!["--empty", all],
            json!({"buildArgs": [], "buildContexts": [], "buildSecrets": [], "outputs": []}),
        ),
    ] {
        let run = hash(&options);
        let printed = String::from_utf8(run.stdout.clone()).unwrap();
        assert_eq!(printed, expected(&props), "{}", stderr(&run));
    }
    let run = hash(&["--empty", "target"]);
    assert_eq!(run.status.code(), Some(2));
    let said = stderr(&run);
    assert!(said.contains("expected buildArgs, buildContexts"), "{said}");
}

#[test]
fn a_dockerfile_outside_the_directory_is_refused() {
    let contexts = Contexts::new();
    let outside = contexts.path("Dockerfile");
    std::fs::write(&outside, "FROM scratch\n").unwrap();
    let paths = [
        "../Dockerfile",
        "docker/../../Dockerfile",
        "../plain2/Dockerfile",
    ];
    for path in paths.into_iter().chain(outside.to_str()) {
        let asset = ImageAsset {
            directory: contexts.path("plain"),
            file: Some(path.to_owned()),
            ..ImageAsset::default()
        };
        let refused = asset.hash().unwrap_err().to_string();
        assert!(refused.contains("is not in the directory"), "{refused}");
    }
}

#[test]
#[ignore = "needs real parts: run scripts/test"]
fn a_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let permit = |path: &Path, mode| {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    };
    permit(folder.path(), 0o755);
    let program = folder.path().join("longshore");
    std::fs::copy(env!("CARGO_BIN_EXE_longshore"), &program).unwrap();
    let secret = folder.path().join("secret.txt");
    std::fs::write(folder.path().join("Dockerfile"), "FROM scratch\n").unwrap();
    std::fs::write(&secret, "secret").unwrap();
    permit(&secret, 0);
    // Root reads everything: then it is somebody else who hashes.
    let mut command = Command::new("setpriv");
    if std::fs::read(&secret).is_ok() {
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    }
    let run = command.arg(program).arg("hash").arg(folder.path()).output();
    let run = run.unwrap();
    assert_eq!(run.status.code(), Some(1));
    let expected = format!("longshore: cannot read {}", secret.display());
    assert!(stderr(&run).starts_with(&expected), "{}", stderr(&run));
}

/// Cases, and what `aws-cdk-lib` has made of them.
fn table() -> Vec<Value> {
    serde_json::from_str(include_str!("../fixtures/assets/hashes.json")).unwrap()
}

fn hash(contexts: &Contexts, case: &Value) -> Value {
    let hash = asset(contexts, case).hash();
    hash.unwrap_or_else(|_| "refused".to_owned()).into()
}

fn asset(contexts: &Contexts, case: &Value) -> ImageAsset {
    let mut asset = ImageAsset {
        directory: contexts.path(case["directory"].as_str().unwrap()),
        ..ImageAsset::default()
    };
    for (name, value) in case["props"].as_object().unwrap() {
        if value.as_array().is_some_and(Vec::is_empty) {
            asset.empty.extend(name.parse::<Input>());
        }
        let text = || value.as_str().map(str::to_owned);
        let pairs = || serde_json::from_value(value.clone()).unwrap();
        let list = || serde_json::from_value(value.clone()).unwrap();
        match name.as_str() {
            "file" => asset.file = text(),
            "target" => asset.target = text(),
            "buildArgs" => asset.build_args = pairs(),
            "buildContexts" => asset.build_contexts = pairs(),
            "buildSecrets" => asset.build_secrets = pairs(),
            "buildSsh" => asset.build_ssh = text(),
            "networkMode" => asset.network = text(),
            "platform" => asset.platforms = text().into_iter().collect(),
            "outputs" => asset.outputs = list(),
            "exclude" => asset.exclude = list(),
            "ignoreMode" => asset.ignore_mode = value.as_str().unwrap().parse().unwrap(),
            "followSymlinks" => asset.follow = value.as_str().unwrap().parse().unwrap(),
            "extraHash" => asset.extra_hash = text(),
            "repositoryName" => asset.repository_name = text(),
            "invalidation" => {
                let without = value.as_object().unwrap().iter();
                asset.not_hashed = without
                    .map(|(name, _)| name.parse::<Input>().unwrap())
                    .collect();
            }
            name => panic!("no such property: {name}"),
        }
    }
    if let Some(salt) = case["context"]["@aws-cdk/core:assetHashSalt"].as_str() {
        salt.clone_into(&mut asset.salt);
    }
    asset
}

/// The hashes by a construct of a module, or by `DockerImageAsset`.
fn ask_cdk(contexts: &Contexts, cases: &[Value], modules: &Path, construct: &[&str]) -> Vec<Value> {
    let cases: Vec<Value> = cases
        .iter()
        .map(|case| {
            let directory = contexts.path(case["directory"].as_str().unwrap());
            json!({"directory": directory, "props": case["props"], "context": case["context"]})
        })
        .collect();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/cdk/hash.js");
    let mut command = Command::new("node");
    command
        .arg(script)
        .args(construct)
        .env("NODE_PATH", modules);
    serde_json::from_slice(&output_of(
        &mut command,
        &serde_json::to_vec(&cases).unwrap(),
    ))
    .unwrap()
}
