//! `longshore` as a person runs it, on the embedded stand-ins.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{ECR, LongshoreLocal, longshore, skopeo, stderr};

const CREATE: &str = "events/create-tarball.json";
const EXAMPLE: &str = "docker-archive:events/buckets/longshore-example/example-1.0.tar";

#[test]
fn one_command_deploys_a_tarball() {
    let run = longshore(&["invoke", "--local", CREATE]);
    assert!(run.status.success(), "{}", stderr(&run));
    let answer = json(&run);
    assert_eq!(answer["Status"], "SUCCESS");
    assert_eq!(answer["Data"]["ImageTagUri"], format!("{ECR}/example:1.0"));
}

#[test]
fn a_failure_is_an_answer_and_an_exit_status() {
    let folder = tempfile::tempdir().unwrap();
    let event = std::fs::read_to_string(CREATE).unwrap();
    let event = event.replace("example-1.0.tar", "missing.tar");
    let path = folder.path().join("event.json");
    std::fs::write(&path, event).unwrap();
    let run = longshore(&["invoke", "--local", path.to_str().unwrap()]);
    assert!(!run.status.success());
    let answer = json(&run);
    assert_eq!(answer["Status"], "FAILED");
    let reason = answer["Reason"].as_str().unwrap();
    assert!(
        reason.contains("s3://longshore-example/missing.tar"),
        "{reason}"
    );
}

#[test]
fn an_argument_that_is_refused_shows_no_secret() {
    for arguments in [
        &["inspect", "docker://user:hidden@host/x"][..],
        &["inspect", "s3://b/k?X-Amz-Signature=hidden"],
        &["copy", "nginx", "user:hidden@host/x"],
        &["copy", "nginx", "--to", "host/x?token=hidden"],
        &["user:hidden@host/x"],
    ] {
        let run = longshore(arguments);
        assert!(!run.status.success());
        let shown = stderr(&run);
        assert!(!shown.contains("hidden"), "{arguments:?}: {shown}");
    }
}

#[test]
fn quiet_leaves_the_result_and_the_error() {
    let folder = tempfile::tempdir().unwrap();
    let layout = format!("oci:{}", folder.path().join("layout").display());
    let copied = longshore(&["copy", "--quiet", EXAMPLE, &layout]);
    assert!(copied.status.success(), "{}", stderr(&copied));
    assert_eq!(stderr(&copied), "");
    assert!(copied.stdout.starts_with(layout.as_bytes()));
    let failed = longshore(&["inspect", "-q", "oci:nowhere"]);
    assert!(!failed.status.success());
    assert!(stderr(&failed).starts_with("longshore: "), "{failed:?}");
}

#[test]
fn a_shell_can_complete_and_man_has_pages() {
    let script = longshore(&["completions", "bash"]);
    let mut shell = Command::new("bash")
        .args(["-c", ". /dev/stdin && complete -p longshore"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = shell.stdin.take().unwrap();
    stdin.write_all(&script.stdout).unwrap();
    drop(stdin);
    assert!(shell.wait().unwrap().success());
    for shell in ["zsh", "fish"] {
        let script = longshore(&["completions", shell]);
        let script = String::from_utf8(script.stdout).unwrap();
        assert!(script.contains("list-tags"), "{shell}: {script}");
    }

    let folder = tempfile::tempdir().unwrap();
    let written = longshore(&["man", folder.path().to_str().unwrap()]);
    assert!(written.status.success(), "{}", stderr(&written));
    let page = std::fs::read_to_string(folder.path().join("longshore-copy.1")).unwrap();
    assert!(page.contains("destination\\-role"), "{page}");
}

/// `longshore inspect --json` with an archive on stdin.
fn inspect_stdin(stdin: Stdio) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_longshore"));
    command
        .args(["inspect", "--json", "docker-archive:-#@0"])
        .env_clear()
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

#[test]
fn an_archive_comes_over_stdin_from_a_pipe_or_a_file() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(&EXAMPLE["docker-archive:".len()..]);
    let named = json(&longshore(&["inspect", "--json", EXAMPLE]));

    let file = std::fs::File::open(&path).unwrap();
    let redirected = inspect_stdin(file.into()).output().unwrap();
    assert_eq!(json(&redirected)["config"], named["config"]);
    assert!(named["config"].is_object(), "{named}");
    assert_eq!(stderr(&redirected), "");

    let mut piped = inspect_stdin(Stdio::piped()).spawn().unwrap();
    let archive = std::fs::read(&path).unwrap();
    piped.stdin.take().unwrap().write_all(&archive).unwrap();
    let piped = piped.wait_with_output().unwrap();
    assert_eq!(json(&piped)["config"], named["config"]);
    let note = "keeping the archive of stdin in ";
    assert!(stderr(&piped).contains(note), "{}", stderr(&piped));

    let empty = inspect_stdin(Stdio::piped()).spawn().unwrap();
    let empty = empty.wait_with_output().unwrap();
    assert!(!empty.status.success());
    let told = "nothing came over stdin";
    assert!(stderr(&empty).contains(told), "{}", stderr(&empty));
}

#[test]
fn a_misuse_is_told_before_stdin_is_read() {
    let to = format!("{ECR}/app:1");
    let run = Command::new(env!("CARGO_BIN_EXE_longshore"))
        .args(["copy", "--local", "docker-archive:-", &to, "--to", &to])
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = stderr(&run);
    assert!(!run.status.success());
    assert!(told.contains("is named twice"), "{told}");
    assert!(!told.contains("stdin"), "{told}");
}

#[test]
fn what_names_no_asset_is_no_success() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let assembly = write("manifest.json", r#"{"version": "48.0.0", "artifacts": {}}"#);
    let assets = write(
        "app.assets.json",
        r#"{"version": "48.0.0", "files": {"abc123": {"displayName": "the page",
            "source": {"path": "page.html", "packaging": "file"},
            "destinations": {"here": {"bucketName": "b", "objectKey": "k"}}}}}"#,
    );
    for (arguments, part) in [
        (
            vec!["publish", "--local", &assembly],
            "cloud assembly's own manifest",
        ),
        (vec!["list", &assembly], "cloud assembly's own manifest"),
        (
            vec!["publish", "--local", &assets, "abc124"],
            "did you mean abc123 (the page)",
        ),
        (
            vec!["publish", "--local", &assets, "abc123:there"],
            "there is no asset abc123:there",
        ),
        (
            vec!["list", &assets, "nothing-alike"],
            "there is no asset nothing-alike",
        ),
    ] {
        let run = longshore(&arguments);
        let said = stderr(&run);
        assert_eq!(run.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains(part), "{arguments:?}: {said}");
    }
}

#[test]
fn what_was_kept_can_be_inspected_and_is_what_copy_makes() {
    let data = Data::new();
    let run = longshore(&data.with(&["invoke", "--local", CREATE]));
    let digest = json(&run)["Data"]["ImageDigest"].clone();

    let kept = format!("{ECR}/example:1.0");
    let run = longshore(&data.with(&["inspect", "--local", "--json", &kept]));
    assert!(run.status.success(), "{}", stderr(&run));
    assert_eq!(json(&run)["digest"], digest);

    let copied = format!("{ECR}/copied:1.0");
    let run = longshore(&["copy", "--local", "--json", EXAMPLE, &copied]);
    assert!(run.status.success(), "{}", stderr(&run));
    assert_eq!(json(&run)["digest"], digest);
}

#[test]
fn one_command_grants_what_an_event_asks_for() {
    let data = Data::new();
    longshore(&data.with(&["invoke", "--local", CREATE]));
    let event = "events/create-pull-policy.json";
    let answer = json(&longshore(&data.with(&["invoke", "--local", event])));
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    let text = answer["Data"]["PolicyText"].as_str().unwrap();
    let policy: Value = serde_json::from_str(text).unwrap();
    assert_eq!(policy["Statement"].as_array().unwrap().len(), 3);
}

#[test]
fn a_grant_adds_to_the_policy_and_is_revoked_by_the_same_words() {
    let data = Data::new();
    longshore(&data.with(&["invoke", "--local", CREATE]));
    let repository = format!("{ECR}/example");
    let grant = |options: &[&str]| {
        let run = longshore(&data.with(&[&["grant", "--local", &repository], options].concat()));
        assert!(run.status.success(), "{}", stderr(&run));
        run
    };
    let account = ["--account", "111122223333"];
    let lambda = [
        "--service",
        "lambda.amazonaws.com",
        "--source-arn",
        "arn:aws:lambda:*:111122223333:function:*",
    ];
    grant(&account);
    let both = json(&grant(&[&lambda[..], &["--json"]].concat()));
    assert_eq!(both["writes"], 1);
    let statements = &both["policy"]["Statement"];
    let root = "arn:aws:iam::111122223333:root";
    assert_eq!(statements[0]["Principal"]["AWS"][0], root);
    assert_eq!(
        statements[1]["Principal"]["Service"],
        "lambda.amazonaws.com"
    );

    let again = json(&grant(&[&account[..], &["--json"]].concat()));
    assert_eq!(again["writes"], 0);
    grant(&[&account[..], &["--revoke"]].concat());
    let left = json(&grant(&[&lambda[..], &["--json"]].concat()));
    assert_eq!(left["policy"]["Statement"].as_array().unwrap().len(), 1);
    assert_eq!(left["writes"], 0);
}

#[test]
fn a_grant_to_everyone_is_refused() {
    let repository = format!("{ECR}/example");
    let run = longshore(&["grant", "--local", &repository, "--principal", "*"]);
    assert!(!run.status.success());
    assert!(stderr(&run).contains("everyone"), "{}", stderr(&run));
}

#[test]
#[ignore = "needs real parts: run scripts/test"]
fn what_was_kept_can_be_served_to_others() {
    let data = Data::new();
    let run = longshore(&data.with(&["invoke", "--local", CREATE]));
    let digest = json(&run)["Data"]["ImageDigest"].clone();
    let served = LongshoreLocal::start(data.path());
    assert_eq!(
        skopeo::inspect_anonymously(&served.name("example:1.0"))["Digest"],
        digest
    );
}

/// A folder that the embedded registry keeps its content in.
struct Data(TempDir);

impl Data {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn with<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        let path = self.path().to_str().unwrap();
        [arguments, &["--data", path]].concat()
    }
}

fn json(run: &Output) -> Value {
    serde_json::from_slice(&run.stdout).unwrap_or_else(|_| panic!("{}", stderr(run)))
}
