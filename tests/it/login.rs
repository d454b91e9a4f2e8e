//! `longshore login` and `longshore logout`.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use longshore::local::{Auth, Registry, RegistryOptions};
use longshore::redact::Secret;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{HOST, stderr};

const PASSWORD: &str = "correct-horse";

/// A registry that wants a password, and Docker's folder.
struct World {
    registry: Registry,
    folder: TempDir,
}

impl World {
    async fn new(auth: Auth) -> Self {
        let options = RegistryOptions {
            auth,
            ..RegistryOptions::default()
        };
        Self {
            registry: Registry::start(options).await.unwrap(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    async fn with_password() -> Self {
        Self::new(Auth::Basic {
            user: "me".to_owned(),
            password: Secret::new(PASSWORD),
        })
        .await
    }

    fn host(&self) -> String {
        self.registry.address().to_string()
    }

    async fn run(&self, arguments: &[&str], input: &str) -> Output {
        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_longshore"));
        command
            .args(arguments)
            .env_clear()
            .env("DOCKER_CONFIG", self.folder.path().join("docker"))
            .env("PATH", format!("{}:{path}", self.folder.path().display()))
            .env("LONGSHORE_ALLOW_LOOPBACK", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let input = input.to_owned();
        let run = tokio::task::spawn_blocking(move || {
            let mut child = command.spawn().unwrap();
            let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
            child.wait_with_output().unwrap()
        });
        let run = run.await.unwrap();
        for shown in [&run.stdout, &run.stderr] {
            assert!(!String::from_utf8_lossy(shown).contains(PASSWORD));
        }
        run
    }

    async fn login(&self, password: &str) -> Output {
        let host = self.host();
        let arguments = ["login", "--username", "me", "--password-stdin", &host];
        self.run(&arguments, password).await
    }

    /// What is said of an image that is not there, by a registry that lets this user in.
    async fn is_let_in(&self) -> bool {
        let image = format!("{}/app:1", self.host());
        let run = self.run(&["inspect", &image], "").await;
        stderr(&run).contains("there is no image")
    }

    fn config(&self) -> Value {
        let text = std::fs::read(self.folder.path().join("docker/config.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    fn configure(&self, config: &Value) {
        std::fs::create_dir_all(self.folder.path().join("docker")).unwrap();
        let path = self.folder.path().join("docker/config.json");
        std::fs::write(path, config.to_string()).unwrap();
    }
}

#[tokio::test]
async fn a_login_is_kept_once_the_registry_has_taken_it() {
    let world = World::with_password().await;
    world.configure(&json!({"auths": {"other.example": {"auth": "eDp5"}}, "detachKeys": "ctrl-z"}));
    assert!(!world.is_let_in().await);

    let refused = world.login("wrong").await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        stderr(&refused).contains("does not take this login"),
        "{}",
        stderr(&refused)
    );
    assert_eq!(world.config()["auths"].as_object().unwrap().len(), 1);

    let run = world.login(&format!("{PASSWORD}\r\n")).await;
    assert!(run.status.success(), "{}", stderr(&run));
    assert!(world.is_let_in().await);
    let host = world.host();
    let auth = STANDARD.encode(format!("me:{PASSWORD}"));
    let expected = json!({
        "auths": {"other.example": {"auth": "eDp5"}, host.as_str(): {"auth": auth}},
        "detachKeys": "ctrl-z",
    });
    assert_eq!(world.config(), expected);
    let folder = world.folder.path().join("docker");
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.join("config.json")), 0o600);
    assert_eq!(
        std::fs::read_dir(&folder).unwrap().count(),
        1,
        "nothing beside it"
    );

    let run = world.run(&["logout", &host], "").await;
    assert!(run.status.success(), "{}", stderr(&run));
    assert!(!world.is_let_in().await);
    assert_eq!(
        world.config()["auths"],
        json!({"other.example": {"auth": "eDp5"}})
    );
    let again = world.run(&["logout", &host], "").await;
    let said = String::from_utf8(again.stdout).unwrap();
    assert!(
        again.status.success() && said.contains("there was no login"),
        "{said}"
    );
}

#[tokio::test]
async fn a_file_that_is_missing_is_made_and_a_link_stays_one() {
    let world = World::with_password().await;
    assert!(world.login(PASSWORD).await.status.success());
    let folder = world.folder.path().join("docker");
    assert_eq!(
        folder.metadata().unwrap().permissions().mode() & 0o777,
        0o700
    );
    std::fs::rename(
        folder.join("config.json"),
        world.folder.path().join("kept.json"),
    )
    .unwrap();
    std::os::unix::fs::symlink("../kept.json", folder.join("config.json")).unwrap();
    let run = world.run(&["logout", &world.host()], "").await;
    assert!(run.status.success(), "{}", stderr(&run));
    assert!(folder.join("config.json").is_symlink());
    assert_eq!(world.config()["auths"], json!({}));

    std::fs::write(
        world.folder.path().join("kept.json"),
        format!("{PASSWORD} {{"),
    )
    .unwrap();
    let run = world.login(PASSWORD).await;
    assert!(
        stderr(&run).contains("is no configuration of Docker"),
        "{}",
        stderr(&run)
    );
}

#[tokio::test]
async fn a_helper_keeps_the_login_in_the_place_of_the_file() {
    let world = World::with_password().await;
    let host = world.host();
    let kept = world.folder.path().join("kept");
    let script = format!(
        "#!/bin/sh\ncase $1 in store) cat > {0};; get) cat {0};; erase) rm {0};; esac\n",
        kept.display()
    );
    let helper = world.folder.path().join("docker-credential-example");
    std::fs::write(&helper, script).unwrap();
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
    for config in [
        json!({"credsStore": "example"}),
        json!({"credsStore": "none", "credHelpers": {host.as_str(): "example"}}),
    ] {
        world.configure(&config);
        let run = world.login(PASSWORD).await;
        assert!(run.status.success(), "{}", stderr(&run));
        assert_eq!(world.config()["auths"], json!({host.as_str(): {}}));
        let told: Value = serde_json::from_slice(&std::fs::read(&kept).unwrap()).unwrap();
        assert_eq!(
            told,
            json!({"ServerURL": host, "Username": "me", "Secret": PASSWORD})
        );
        assert!(world.is_let_in().await);
        let run = world.run(&["logout", &host], "").await;
        assert!(run.status.success(), "{}", stderr(&run));
        assert!(!kept.exists());
    }
    world.configure(&json!({"credsStore": "none"}));
    let run = world.login(PASSWORD).await;
    assert!(
        stderr(&run).contains("docker-credential-none"),
        "{}",
        stderr(&run)
    );
}

#[tokio::test]
async fn a_token_server_is_asked_whether_it_takes_the_login() {
    let auth = Auth::Bearer {
        user: "me".to_owned(),
        password: Secret::new(PASSWORD),
        anonymous_pull: false,
        lifetime: Duration::from_mins(5),
    };
    let world = World::new(auth).await;
    let refused = world.login("wrong").await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        stderr(&refused).contains("does not take this login"),
        "{}",
        stderr(&refused)
    );
    let run = world.login(PASSWORD).await;
    assert!(run.status.success(), "{}", stderr(&run));
    assert!(world.is_let_in().await);
}

#[tokio::test]
async fn a_dry_run_asks_the_registry_and_writes_nothing() {
    let world = World::with_password().await;
    let host = world.host();
    let login = [
        "login",
        "--dry-run",
        "--username",
        "me",
        "--password-stdin",
        &host,
    ];
    assert_eq!(world.run(&login, "wrong").await.status.code(), Some(1));
    let run = world.run(&login, PASSWORD).await;
    assert!(run.status.success(), "{}", stderr(&run));
    let said = String::from_utf8(run.stdout).unwrap();
    assert!(said.starts_with("to be logged in to "), "{said}");
    assert!(!world.folder.path().join("docker").exists());

    assert!(world.login(PASSWORD).await.status.success());
    let run = world.run(&["logout", "--dry-run", &host], "").await;
    let said = String::from_utf8(run.stdout).unwrap();
    assert!(said.starts_with("to be logged out of "), "{said}");
    assert!(world.is_let_in().await);
}

#[tokio::test]
async fn an_open_registry_is_told() {
    let world = World::new(Auth::None).await;
    let run = world.login(PASSWORD).await;
    assert!(run.status.success(), "{}", stderr(&run));
    assert!(
        stderr(&run).contains("asks for no login"),
        "{}",
        stderr(&run)
    );
}

#[tokio::test]
async fn ecr_needs_no_login_and_a_mistake_is_told() {
    let world = World::with_password().await;
    for host in [HOST, "public.ecr.aws"] {
        let run = world.run(&["login", host], "").await;
        assert!(run.status.success());
        assert!(
            stderr(&run).contains("no login is needed"),
            "{}",
            stderr(&run)
        );
    }
    let host = world.host();
    for (arguments, input, code, part) in [
        (vec!["login", &host], "", 2, "--password-stdin"),
        (
            vec!["login", "-u", "me", &host],
            PASSWORD,
            2,
            "--password-stdin",
        ),
        (
            vec!["login", "-u", "me", "--password-stdin", &host],
            "\n",
            1,
            "no password on stdin",
        ),
        (
            vec!["login", "-u", "a:b", "--password-stdin", &host],
            PASSWORD,
            2,
            "colon",
        ),
        (vec!["login", "quay.io/team/app"], "", 2, "expected quay.io"),
        (vec!["login", "myregistry"], "", 2, "names no registry"),
        (vec!["login", "me:pw@quay.io"], "", 2, "--username"),
    ] {
        let run = world.run(&arguments, input).await;
        let told = stderr(&run);
        assert_eq!(run.status.code(), Some(code), "{arguments:?}: {told}");
        assert!(told.contains(part), "{arguments:?}: {told}");
    }
    assert!(!world.folder.path().join("docker").exists());
}
