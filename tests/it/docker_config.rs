//! Credentials on a person's machine: what `docker login` has kept, and who keeps it for Docker.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use longshore::local::{Auth, Registry, RegistryOptions};
use longshore::redact::Secret;
use serde_json::{Value, json};
use tempfile::TempDir;

const PASSWORD: &str = "correct-horse";

/// A registry that wants a password, and Docker's folder.
struct World {
    registry: Registry,
    folder: TempDir,
}

impl World {
    async fn new() -> Self {
        let options = RegistryOptions {
            auth: Auth::Basic {
                user: "me".to_owned(),
                password: Secret::new(PASSWORD),
            },
            ..RegistryOptions::default()
        };
        Self {
            registry: Registry::start(options).await.unwrap(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn host(&self) -> String {
        self.registry.address().to_string()
    }

    fn configure(&self, config: &Value) {
        self.write("config.json", &config.to_string());
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// Puts a helper in the path that runs `script`.
    fn add_helper(&self, name: &str, script: &str) {
        let path = self.folder.path().join(format!("docker-credential-{name}"));
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// What is said of an image that is not there, by a registry that lets this user in.
    async fn inspect(&self) -> Output {
        self.inspect_with("UNUSED", "").await
    }

    /// The same with a variable in the environment.
    async fn inspect_with(&self, variable: &str, value: &str) -> Output {
        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_longshore"));
        command
            .args(["inspect", &format!("{}/app:1", self.host())])
            .env("DOCKER_CONFIG", self.folder.path())
            .env("PATH", format!("{}:{path}", self.folder.path().display()))
            .env("LONGSHORE_ALLOW_LOOPBACK", "1")
            .env_remove("DOCKER_AUTH_CONFIG")
            .env_remove("REGISTRY_AUTH_FILE")
            .env_remove("XDG_RUNTIME_DIR")
            .env(variable, value);
        let run = tokio::task::spawn_blocking(move || command.output());
        run.await.unwrap().unwrap()
    }

    async fn assert_let_in(&self) {
        let told = said(&self.inspect().await);
        assert!(told.contains("there is no image"), "{told}");
    }
}

fn said(run: &Output) -> String {
    let told = [&run.stdout, &run.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    told.join("\n")
}

#[tokio::test]
async fn what_docker_login_kept_is_used() {
    let world = World::new().await;
    let auth = STANDARD.encode(format!("me:{PASSWORD}"));
    world.configure(&json!({"auths": {world.host(): {"auth": auth}}}));
    world.assert_let_in().await;
}

#[tokio::test]
async fn a_helper_is_asked_for_the_registry() {
    let world = World::new().await;
    let host = world.host();
    let answer = json!({"ServerURL": host, "Username": "me", "Secret": PASSWORD});
    let script = format!("read server; [ \"$1 $server\" = 'get {host}' ] && echo '{answer}'");
    world.add_helper("example", &script);
    for config in [
        json!({"credsStore": "example"}),
        json!({"credsStore": "other", "credHelpers": {host: "example"}}),
    ] {
        world.configure(&config);
        world.assert_let_in().await;
    }
}

#[tokio::test]
async fn a_helper_that_knows_nothing_is_no_failure() {
    let world = World::new().await;
    world.add_helper(
        "example",
        "read server; echo 'credentials not found in native keychain'; exit 1",
    );
    world.configure(&json!({"credsStore": "example"}));
    let run = world.inspect().await;
    assert!(!run.status.success());
    assert!(said(&run).contains("401"), "{}", said(&run));
}

#[tokio::test]
async fn a_helper_that_is_not_installed_is_told() {
    let world = World::new().await;
    world.configure(&json!({"credsStore": "missing"}));
    let told = said(&world.inspect().await);
    assert!(told.contains("cannot be run; see credsStore"), "{told}");
}

#[tokio::test]
async fn a_helper_that_fails_is_named_and_not_quoted() {
    let world = World::new().await;
    world.add_helper("example", &format!("read server; echo {PASSWORD}; exit 1"));
    world.configure(&json!({"credsStore": "example"}));
    let run = world.inspect().await;
    let told = said(&run);
    assert!(!run.status.success());
    assert!(
        told.contains(r#"credential helper "docker-credential-example" failed"#),
        "{told}"
    );
    assert!(!told.contains(PASSWORD), "{told}");
}

#[tokio::test]
async fn odd_configurations_are_read_as_docker_reads_them() {
    let world = World::new().await;
    let (host, auth) = (world.host(), STANDARD.encode(format!("me:{PASSWORD}")));
    for key in [
        format!("https://{host}/v2/"),
        format!("{host}/app"),
        format!("http://{host}"),
    ] {
        world.configure(&json!({"auths": {key: {"auth": format!("{auth}\n")}}}));
        world.assert_let_in().await;
    }
    for empty in ["", " \n"] {
        world.write("config.json", empty);
        let told = said(&world.inspect().await);
        assert!(told.contains("401"), "{told}");
        assert!(!told.contains("config.json"), "{told}");
    }
}

#[tokio::test]
async fn logins_of_podman_and_of_the_environment_are_used() {
    let world = World::new().await;
    let auth = STANDARD.encode(format!("me:{PASSWORD}"));
    let config = json!({"auths": {world.host(): {"auth": auth}}}).to_string();
    world.write("auth.json", &config);
    std::fs::create_dir(world.folder.path().join("containers")).unwrap();
    world.write("containers/auth.json", &config);
    let folder = world.folder.path().display().to_string();
    for (variable, value) in [
        ("DOCKER_AUTH_CONFIG", config),
        ("REGISTRY_AUTH_FILE", format!("{folder}/auth.json")),
        ("XDG_RUNTIME_DIR", folder),
    ] {
        let told = said(&world.inspect_with(variable, &value).await);
        assert!(told.contains("there is no image"), "{variable}: {told}");
    }
}

#[tokio::test]
async fn podmans_login_of_a_path_is_used_for_its_repositories_only() {
    let world = World::new().await;
    let auth = |password: &str| json!({"auth": STANDARD.encode(format!("me:{password}"))});
    let host = world.host();
    let path = world.folder.path().join("auth.json").display().to_string();
    for (key, is_let_in) in [("app", true), ("other", false)] {
        let config = json!({"auths": {
            host.as_str(): auth("wrong"), format!("{host}/{key}"): auth(PASSWORD),
        }});
        world.write("auth.json", &config.to_string());
        let told = said(&world.inspect_with("REGISTRY_AUTH_FILE", &path).await);
        let expected = if is_let_in {
            "there is no image"
        } else {
            "401"
        };
        assert!(told.contains(expected), "{key}: {told}");
    }
}
