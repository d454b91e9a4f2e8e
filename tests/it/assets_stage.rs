//! What was built is staged for a stack or pushed, and neither is done twice.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::{Archive, Moto, Workshop, json, output, tool};

const IMAGE: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app:1";
const NOWHERE: &str = "/no/such/builder";

#[test]
fn an_archive_is_staged_once() {
    let workshop = Workshop::new();
    let docker = workshop.fake_docker();
    let archive = Archive::of(&[&incompressible(20 << 20)]).tar();
    fs::write(workshop.path("image"), &archive).unwrap();
    let first = stage(&workshop, &docker, &["--json"]);
    let first = json(&first);
    let hash = first["assetHash"].as_str().unwrap();
    assert_eq!(first["source"], format!("s3://staging/a%23b/{hash}.tar"));
    assert_eq!(first["stagedBefore"], false);
    let object = workshop.path(&format!("buckets/staging/a#b/{hash}.tar"));
    assert!(fs::read(object).unwrap() == archive, "it came in parts");

    fs::remove_dir_all(workshop.path("cache")).unwrap();
    let second = json(&stage(&workshop, Path::new(NOWHERE), &["--json"]));
    assert_eq!(second["stagedBefore"], true);
    assert_eq!(second["archive"], Value::Null);
    assert_eq!(second["resource"], first["resource"]);

    let anew = stage(&workshop, Path::new(NOWHERE), &["--no-cache"]);
    assert!(!anew.status.success(), "it is built anew");
}

#[test]
fn the_resource_deploys_what_is_staged() {
    let workshop = Workshop::new();
    let docker = workshop.fake_docker();
    let run = stage(&workshop, &docker, &["--destination", "host/app"]);
    let yaml = String::from_utf8(run.stdout).unwrap();
    let resource = json(&stage(
        &workshop,
        &docker,
        &["--json", "--destination", "host/app"],
    ));
    let properties = &resource["resource"]["Image"]["Properties"];
    for name in ["Source", "Destination"] {
        let line = format!("    {name}: {}\n", properties[name]);
        assert!(yaml.contains(&line), "{yaml}");
    }
    assert!(
        yaml.starts_with("Image:\n  Type: Custom::ECRImage\n"),
        "{yaml}"
    );

    let source = properties["Source"].as_str().unwrap();
    let mut arguments = vec!["copy", source, IMAGE];
    arguments.extend(LOCAL);
    let copied = workshop.longshore(&arguments);
    assert!(copied.status.success(), "{}", said(&copied));
}

#[test]
fn an_image_is_pushed_with_what_the_destination_lacks() {
    let workshop = Workshop::new();
    let docker = workshop.fake_docker();
    let push = |arguments: &[&str]| {
        let arguments = [
            arguments,
            &["--push", IMAGE, "--tag", "latest"],
            &LOCAL,
            &["--data", "kept"],
        ];
        let run = workshop.run("build", "plain", &docker, &arguments.concat());
        assert!(run.status.success(), "{}", said(&run));
        run
    };
    let first = push(&[]);
    let uri = String::from_utf8(first.stdout.clone()).unwrap();
    assert!(uri.contains("/team/app@sha256:"), "{uri}");
    assert!(said(&first).contains("2 tags"), "{}", said(&first));
    let second = push(&["--json"]);
    assert_eq!(json(&second)["imageUri"], uri.trim());

    fs::write(
        workshop.path("image"),
        Archive::of(&[b"built", b"more"]).tar(),
    )
    .unwrap();
    let third = push(&["--extra-hash", "more"]);
    assert!(said(&third).contains("already there"), "{}", said(&third));
}

#[test]
fn what_cannot_be_staged_or_pushed_is_a_sentence() {
    let workshop = Workshop::new();
    let docker = workshop.fake_docker();
    let digest = format!("host/app@sha256:{}", "0".repeat(64));
    for (arguments, part) in [
        (
            &["--stage", "bucket/prefix"][..],
            "expected s3://bucket/key",
        ),
        (&["--push", &digest], "has a digest"),
        (&["--tag", "1"], "--push"),
    ] {
        let run = workshop.run("build", "plain", &docker, arguments);
        assert!(!run.status.success());
        assert!(said(&run).contains(part), "{}", said(&run));
    }
    assert!(!workshop.path("told").exists(), "nothing was built");
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn s3_checks_what_is_staged() {
    let workshop = Workshop::new();
    let moto = Moto::start();
    moto.create_bucket("staging").await;
    let archive = Archive::of(&[&incompressible(20 << 20)]).tar();
    let docker = workshop.fake_docker();
    fs::write(workshop.path("image"), &archive).unwrap();
    let stage = |bucket: &str, builder: &Path| {
        let mut command = workshop.command("build", "plain", builder);
        moto.environment(&mut command);
        command.args(["--json", "--stage", &format!("s3://{bucket}/images")]);
        command.output().unwrap()
    };
    let missing = stage("not-there", &docker);
    assert!(
        said(&missing).contains("there is no such bucket"),
        "{}",
        said(&missing)
    );
    assert!(!workshop.path("told").exists(), "nothing was built");

    let staged = json(&stage("staging", &docker));
    let hash = staged["assetHash"].as_str().unwrap();
    let key = format!("images/{hash}.tar");
    let (content_type, stored) = moto.object("staging", &key).await;
    assert_eq!(content_type, "application/x-tar");
    assert!(stored == archive);
    assert_eq!(
        json(&stage("staging", Path::new(NOWHERE)))["stagedBefore"],
        true
    );
    let log = moto.log();
    let count = |part: &str| log.lines().filter(|line| line.contains(part)).count();
    assert_eq!(count("partNumber="), 3, "{log}");
    assert_eq!(count("\"GET /staging/?list-type=2"), 2, "{log}");
}

#[test]
#[ignore = "needs real parts: run scripts/test"]
fn cloudformation_takes_the_resource() {
    let workshop = Workshop::new();
    let docker = workshop.fake_docker();
    let yaml = String::from_utf8(stage(&workshop, &docker, &[]).stdout).unwrap();
    let resources = yaml.lines().map(|line| format!("  {line}\n"));
    let template = format!(
        "Resources:\n  Repository:\n    Type: AWS::ECR::Repository\n{}",
        resources.collect::<String>()
    );
    let file = workshop.path("template.yaml");
    fs::write(&file, template).unwrap();
    let json = json(&stage(&workshop, &docker, &["--json"]));
    let mut resources = json["resource"].clone();
    resources["Repository"] = serde_json::json!({"Type": "AWS::ECR::Repository"});
    let other = workshop.path("template.json");
    fs::write(
        &other,
        serde_json::json!({ "Resources": resources }).to_string(),
    )
    .unwrap();
    output(Command::new(tool("venv/bin/cfn-lint")).args([file, other]));
}

const LOCAL: [&str; 3] = ["--local", "--buckets", "buckets"];

fn stage(workshop: &Workshop, builder: &Path, arguments: &[&str]) -> Output {
    let arguments = [arguments, &["--stage", "s3://staging/a%23b/"], &LOCAL];
    workshop.run("build", "plain", builder, &arguments.concat())
}

fn said(run: &Output) -> String {
    String::from_utf8_lossy(&run.stderr).into_owned()
}

fn incompressible(length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(8);
    (0..length).map(|_| random.u8(..)).collect()
}
