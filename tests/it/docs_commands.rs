//! Every command in the documentation is run by a test, or needs what no test has.

use std::path::{Path, PathBuf};
use std::process::Command;

use longshore::local::ResponseUrl;
use serde_json::{Value, json};

use crate::support::output;

/// The pages' commands that this file does not run: how they begin, and why.
const ELSEWHERE: &[(&str, &str)] = &[
    ("cargo run --release -- invoke --local", ".ci/run runs it"),
    ("scripts/test", "runs this test"),
    (
        "install ",
        "tests/templates/test_release.py looks into the archive",
    ),
    (
        "tar --extract",
        "tests/templates/test_release.py unpacks the archive",
    ),
    ("cd longshore-", "the folder of the archive"),
    (
        "cargo binstall",
        "needs a release on the web; tests/templates/test_release.py fills in its addresses",
    ),
    (
        "cargo install",
        "needs a release on the web, or builds for minutes",
    ),
    (
        "longshore copy oci-archive:longshore",
        "tests/templates/test_release.py copies the image",
    ),
    (
        "podman ",
        "tests/templates/test_release.py runs the image's program alone",
    ),
    ("scripts/faults", "tests/it/faults plays a few of its runs"),
    ("bash .ci/run", "runs scripts/test"),
    ("cargo build --release", "a part of what .ci/run does"),
    (
        "cargo build --profile function",
        "scripts/test makes the same by cargo-lambda",
    ),
    ("benches/", ".ci/run runs a small size of each"),
    ("cargo bench", ".ci/run has it compress a few files"),
    (
        "sam build",
        "scripts/test runs it, and SAM's code in tests/templates",
    ),
    ("sam deploy", "needs an AWS account"),
    ("aws s3 cp", "needs an AWS account"),
    ("aws cloudformation deploy", "needs an AWS account"),
    (
        "aws stepfunctions start-execution",
        "needs an AWS account; tests/it/support/step_functions.rs does it",
    ),
    (
        "aws sqs receive-message",
        "needs an AWS account; its answer is played below",
    ),
    (
        "docker save",
        "needs Docker; what it writes is in tests/fixtures",
    ),
    (
        "jq 'del(.ResponseURL)'",
        "needs Docker; tests/templates/test_local.py has no container",
    ),
    ("jq '.requestPayload", "below"),
    ("curl --request PUT", "below"),
    (
        "curl --data @events",
        "tests/it/support/emulator.rs does it",
    ),
    ("aws-lambda-rie", "tests/it/support/emulator.rs does it"),
    (
        "longshore sync fleet.yaml",
        "needs a list of one's own; command-line.md has one",
    ),
    (". ./variables", "tests/it/events.rs has these variables"),
    ("skopeo inspect", "tests/it/command_line.rs does it"),
    (
        "longshore copy --source-credentials",
        "tests/it/sides.rs does it",
    ),
    ("longshore copy nginx", "tests/it/sides.rs does it"),
    ("longshore login", "tests/it/login.rs does it"),
    ("longshore logout", "tests/it/login.rs does it"),
    (
        "longshore local",
        "tests/it/support/longshore_local.rs runs it",
    ),
    (
        "sha256sum --check",
        "tests/templates/test_release.py does it",
    ),
    ("scripts/release", "scripts/test makes one architecture"),
    (
        "git clone https://github.com/RustSec",
        "tests/templates/test_advisories.py makes a database",
    ),
    (
        "cdk ",
        "its own output is published by tests/it/assets_publish.rs",
    ),
    (
        "longshore build",
        "needs a builder; tests/it/assets_build.rs and assets_stage.rs run it",
    ),
    (
        "longshore publish cdk.out",
        "needs an AWS account; tests/it/assets_publish.rs runs it",
    ),
    (
        "longshore list cdk.out",
        "needs the CDK; tests/it/assets_publish.rs runs it",
    ),
    ("longshore hash app", "tests/it/assets_examples.rs runs it"),
    ("buildah build", "how the sample was made"),
    (
        "skopeo copy docker-archive:app.tar",
        "tests/it/archive_passes.rs runs it",
    ),
    (
        "tar --directory layout",
        "tests/it/archive_passes.rs runs it",
    ),
    ("skopeo copy", "how the sample was made"),
];

/// Programs whose names begin a command in a block that is no shell's.
const PROGRAMS: [&str; 15] = [
    "aws",
    "bash",
    "benches",
    "buildah",
    "cargo",
    "cfn-lint",
    "curl",
    "docker",
    "jq",
    "longshore",
    "npm",
    "pip",
    "sam",
    "scripts",
    "skopeo",
];

#[test]
fn every_command_is_run_or_excused() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(root().join("events"), folder.path().join("events")).unwrap();
    let deploy = "invoke --local --data kept events/create-tarball.json";
    longshore(folder.path(), deploy);

    let mut unused: Vec<&str> = ELSEWHERE.iter().map(|(start, _)| *start).collect();
    for page in pages() {
        for command in commands(&page) {
            let excuse = ELSEWHERE
                .iter()
                .find(|(start, _)| command.starts_with(start));
            if let Some((start, _)) = excuse {
                unused.retain(|other| other != start);
                continue;
            }
            // The commands of that page build on each other: tests/it/docs.rs runs them.
            if page.ends_with("command-line.md") {
                assert!(command.starts_with("longshore "), "{command}");
                continue;
            }
            let arguments = command.strip_prefix("longshore ");
            let arguments = arguments.unwrap_or_else(|| panic!("{}: {command}", page.display()));
            longshore(folder.path(), arguments);
        }
    }
    assert!(unused.is_empty(), "excused and not there: {unused:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real parts: run scripts/test"]
async fn a_dead_letter_is_answered_by_hand() {
    let stack = ResponseUrl::start().await.unwrap();
    let event: Value =
        serde_json::from_slice(&std::fs::read(root().join("events/update-tarball.json")).unwrap())
            .unwrap();
    let mut sent = event.clone();
    sent["ResponseURL"] = json!(stack.url());
    // As Lambda writes it for a destination of failures.
    let letter = json!({
        "version": "1.0",
        "requestContext": { "condition": "RetriesExhausted", "approximateInvokeCount": 1 },
        "requestPayload": sent,
        "responseContext": { "statusCode": 200, "functionError": "Unhandled" },
    });
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("letter.json"), letter.to_string()).unwrap();

    let all = commands(&root().join("docs/operations.md"));
    let by_hand: Vec<&String> = all
        .iter()
        .filter(|command| !command.starts_with("aws"))
        .collect();
    assert_eq!(by_hand.len(), 2, "{all:?}");
    for command in by_hand {
        let mut shell = Command::new("sh");
        shell.args(["-e", "-c", command]).current_dir(folder.path());
        output(&mut shell);
    }
    let [answer] = stack.answers().try_into().expect("one answer");
    assert!(answer.content_type.unwrap_or_default().is_empty());
    let answer: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(answer["Status"], "FAILED");
    for echoed in [
        "PhysicalResourceId",
        "StackId",
        "RequestId",
        "LogicalResourceId",
    ] {
        assert_eq!(answer[echoed], event[echoed]);
    }
}

/// The commands of a page: the lines of its shell blocks, and those of its indented blocks that
/// begin with a program.
fn commands(page: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(page).unwrap();
    let mut commands: Vec<String> = Vec::new();
    let mut block = None;
    let mut goes_on = false;
    for line in text.lines() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            block = if block.is_some() {
                None
            } else {
                Some(language)
            };
            continue;
        }
        let indented = line.strip_prefix("    ").filter(|_| block.is_none());
        let line = line.trim().trim_start_matches("$ ");
        let program = line.split([' ', '/']).next().unwrap_or_default();
        let begins = block == Some("sh") || (indented.is_some() && PROGRAMS.contains(&program));
        let command = line.trim_end_matches('\\').trim();
        if goes_on {
            let last = commands.last_mut().unwrap();
            last.push(' ');
            last.push_str(command);
        } else if begins && !line.is_empty() {
            commands.push(command.to_owned());
        } else {
            continue;
        }
        goes_on = line.ends_with('\\');
    }
    commands
}

fn pages() -> Vec<PathBuf> {
    let in_docs = std::fs::read_dir(root().join("docs")).unwrap();
    let in_docs = in_docs.map(|entry| entry.unwrap().path());
    let mut pages: Vec<PathBuf> = in_docs
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .chain(["README.md", "CONTRIBUTING.md", "events/README.md"].map(|page| root().join(page)))
        .collect();
    pages.sort();
    pages
}

/// Runs a command that must succeed, without any settings of whoever runs the tests.
fn longshore(folder: &Path, arguments: &str) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_longshore"));
    command
        .args(arguments.split_whitespace())
        .env_clear()
        .current_dir(folder);
    output(&mut command);
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
