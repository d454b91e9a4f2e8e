//! A builder pulls with the user's logins, and with those that AWS gives for ECR, of which nothing
//! is left when it ends.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use longshore::local::{Auth, Environment, EnvironmentOptions, Fault, RegistryOptions};
use longshore::redact::Secret;
use serde_json::{Value, json};

use crate::support::{Archive, DockerRegistry, PASSWORD, Workshop, json, skopeo};

/// The registry of the caller's account, where images go.
const HOME: &str = "123456789012.dkr.ecr.us-east-1.amazonaws.com";
const OTHER: &str = "210987654321.dkr.ecr.us-east-1.amazonaws.com";
const FAR: &str = "210987654321.dkr.ecr.eu-west-1.amazonaws.com";
const TOKEN: &str = "token-of-the-embedded-ecr";
const WITHIN: Duration = Duration::from_mins(1);

#[tokio::test]
async fn docker_is_logged_in_where_images_go_and_come_from() {
    let world = World::new().await;
    let user = json!({
        "auths": {"private.example": {"auth": "dTpw"}},
        "credHelpers": {"gcr.io": "gcloud"},
        "currentContext": "remote",
        "proxies": {"default": {"httpProxy": "http://proxy"}},
    });
    world.configure_docker(&user);
    for folder in ["cli-plugins", "contexts", "buildx"] {
        let folder = world.path(".docker").join(folder);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("kept"), "").unwrap();
    }
    let dockerfile = format!(
        "ARG BASE={OTHER}\nFROM $BASE/base:1 AS base\nFROM scratch\nCOPY --from={FAR}/tools /t /t\n"
    );
    world.add_asset("one", &dockerfile, json!({}));
    world.add_asset("two", &dockerfile, json!({}));
    let run = world.publish(&world.docker(BUILD)).await;
    assert!(run.status.success(), "{}", said(&run));

    let config = world.seen_config();
    for host in [HOME, OTHER, FAR] {
        assert_eq!(docker_login(&config, host), auth(TOKEN), "{host}");
    }
    assert_eq!(docker_login(&config, "private.example"), "dTpw");
    assert_eq!(config["credHelpers"], user["credHelpers"]);
    assert_eq!(config["currentContext"], user["currentContext"]);
    assert_eq!(config["proxies"], user["proxies"]);
    let listed = world.seen("listed");
    let expected = "700 .\n600 config.json\nbuildx/kept\ncli-plugins/kept\ncontexts/kept\n";
    assert_eq!(listed, expected);
    assert_eq!(
        world.seen("podman").trim(),
        world.path("auth.json").display().to_string()
    );

    let buildx = world.path(".docker/buildx").display().to_string();
    assert_eq!(world.seen("buildx").trim(), buildx);

    // One token a region, which pushing uses too.
    assert_eq!(
        world.calls("ecr:GetAuthorizationToken"),
        ["eu-west-1", "us-east-1"]
    );
    let now: Value = serde_json::from_str(&world.text(".docker/config.json")).unwrap();
    assert_eq!(now, user);
    world.assert_clean(&run);
}

#[tokio::test]
async fn a_token_is_read_though_a_store_keeps_the_users_logins() {
    for (config, store) in [
        (json!({"credsStore": "nothing"}), "nothing"),
        (json!({"credHelpers": {OTHER: "nothing"}}), ""),
        (
            json!({"credsStore": "none-installed", "auths": {OTHER: {}}}),
            "none-installed",
        ),
    ] {
        let world = World::new().await;
        world.add_helper(
            "nothing",
            "echo credentials not found in native keychain; exit 1",
        );
        world.configure_docker(&config);
        world.add_asset("one", &format!("FROM {OTHER}/base\n"), json!({}));
        let run = world.publish(&world.docker(BUILD)).await;
        assert!(run.status.success(), "{}", said(&run));
        let seen = world.seen_config();
        for host in [HOME, OTHER] {
            assert_eq!(docker_login(&seen, host), auth(TOKEN), "{config}");
        }
        let elsewhere = if store.is_empty() {
            String::new()
        } else {
            format!("store {store}")
        };
        assert_eq!(docker_login(&seen, "private.example"), elsewhere);
        world.assert_clean(&run);
    }
}

#[tokio::test]
async fn a_login_of_the_users_for_a_base_is_kept_while_it_lasts() {
    let token = |end: u64| auth(&STANDARD.encode(json!({"expiration": end}).to_string()));
    let kept = json!({"Username": "AWS", "Secret": "of-the-store"}).to_string();
    for (config, expected) in [
        (json!({"auths": {FAR: {"auth": auth("own")}}}), auth("own")),
        (
            json!({"auths": {FAR: {"auth": token(4_000_000_000)}}}),
            token(4_000_000_000),
        ),
        (
            json!({"auths": {FAR: {"auth": token(1_000_000_000)}}}),
            auth(TOKEN),
        ),
        (
            json!({"credsStore": "store", "auths": {FAR: {}}}),
            "store store".to_owned(),
        ),
        (
            json!({"credHelpers": {FAR: "store"}}),
            "store store".to_owned(),
        ),
    ] {
        let world = World::new().await;
        world.add_helper(
            "store",
            &format!("read host; [ $host = {FAR} ] && echo '{kept}'"),
        );
        world.configure_docker(&config);
        world.add_asset("one", &format!("FROM {FAR}/base\n"), json!({}));
        let run = world.publish(&world.docker(BUILD)).await;
        assert!(run.status.success(), "{}", said(&run));
        assert_eq!(
            docker_login(&world.seen_config(), FAR),
            expected,
            "{config}"
        );
        let asked = world.calls("ecr:GetAuthorizationToken");
        assert_eq!(
            asked.contains(&"eu-west-1".to_owned()),
            expected == auth(TOKEN)
        );
    }
}

#[tokio::test]
async fn podman_and_buildah_get_a_file_with_the_logins_that_they_would_find() {
    let world = World::new().await;
    let runtime = json!({
        "auths": {"private.example/team": {"auth": "dTpw"}},
        "credHelpers": {OTHER: "none-installed"},
    });
    world.write("runtime/containers/auth.json", &runtime.to_string());
    let config = json!({"auths": {"config.example": {"auth": "Yzpw"}}});
    world.write(".config/containers/auth.json", &config.to_string());
    world.configure_docker(&json!({"auths": {"docker.example": {"auth": "ZDpw"}}}));
    for builder in ["podman", "buildah"] {
        world.forget();
        let dockerfile = format!("FROM {OTHER}/base\nLABEL builder={builder}\n");
        world.add_asset(builder, &dockerfile, json!({}));
        let run = world.publish(&world.builder(builder, BUILD)).await;
        assert!(run.status.success(), "{}", said(&run));
        let seen: Value = serde_json::from_str(&world.seen("auth")).unwrap();
        let expected = json!({
            "private.example/team": {"auth": "dTpw"},
            "config.example": {"auth": "Yzpw"},
            "docker.example": {"auth": "ZDpw"},
            HOME: {"auth": auth(TOKEN)},
            OTHER: {"auth": auth(TOKEN)},
        });
        assert_eq!(seen["auths"], expected);
        assert_eq!(seen["credHelpers"], json!({}));
        assert_eq!(world.seen("docker").trim(), "");
        world.assert_clean(&run);
    }

    world.forget();
    world.add_asset("named", "FROM scratch\nLABEL named=file\n", json!({}));
    let mut command = world.command(&world.builder("podman", BUILD));
    command.env(
        "REGISTRY_AUTH_FILE",
        world.path(".config/containers/auth.json"),
    );
    let run = world.run(command.args(["publish", "out"])).await;
    assert!(run.status.success(), "{}", said(&run));
    let seen: Value = serde_json::from_str(&world.seen("auth")).unwrap();
    let names: Vec<&String> = seen["auths"].as_object().unwrap().keys().collect();
    assert_eq!(names, [HOME, "config.example"]);
}

#[tokio::test]
async fn a_command_that_builds_is_logged_in_to_where_its_image_goes() {
    let world = World::new().await;
    let script = format!(
        "{}; echo built:1",
        BUILD.replace("$SEEN", &world.seen_folder())
    );
    world.add_source(
        "made",
        &json!({"executable": ["sh", "-c", script]}),
        json!({}),
    );
    let run = world.publish(&world.docker("exit 9")).await;
    assert!(run.status.success(), "{}", said(&run));
    assert_eq!(docker_login(&world.seen_config(), HOME), auth(TOKEN));
    let seen: Value = serde_json::from_str(&world.seen("auth")).unwrap();
    assert_eq!(seen["auths"][HOME]["auth"], auth(TOKEN));
    world.assert_clean(&run);
}

#[tokio::test]
async fn the_destinations_role_is_logged_in() {
    let world = World::new().await;
    let role = json!({"assumeRoleArn": "arn:aws:iam::123456789012:role/publisher"});
    world.add_asset("one", "FROM scratch\nLABEL a=1\n", role.clone());
    world.add_asset("two", "FROM scratch\nLABEL a=2\n", role);
    let run = world.publish(&world.docker(BUILD)).await;
    assert!(run.status.success(), "{}", said(&run));
    assert_eq!(docker_login(&world.seen_config(), HOME), auth(TOKEN));
    assert_eq!(world.calls("ecr:GetAuthorizationToken"), ["us-east-1"]);
    assert_eq!(world.calls("sts:AssumeRole").len(), 1);
}

#[tokio::test]
async fn cdks_file_says_whose_logins_a_build_uses() {
    let hub = "https://index.docker.io/v1/";
    let file = json!({"version": "1.0", "domainCredentials": {
        hub: {"secretsManagerSecretId": "hub"},
        "fields.example": {
            "secretsManagerSecretId": "fields",
            "secretsUsernameField": "who",
            "secretsPasswordField": "what",
        },
        FAR: {"ecrRepository": true, "assumeRoleArn": "arn:aws:iam::210987654321:role/base"},
        "unused.example": {"secretsManagerSecretId": "unused"},
    }});
    let dockerfile =
        format!("FROM alpine\nFROM fields.example/a\nFROM {FAR}/base\nFROM wrong.example/a\n");
    for named in [true, false] {
        let world = World::new().await;
        let path = if named {
            "creds.json"
        } else {
            ".cdk/cdk-docker-creds.json"
        };
        let mut file = file.clone();
        file["domainCredentials"]["wrong.example"] = json!({"secretsManagerSecretId": "wrong"});
        world.write(path, &file.to_string());
        world.configure_docker(&json!({"auths": {hub: {"auth": "own"}}, "credsStore": "x"}));
        world.add_asset("one", &dockerfile, json!({}));
        world.add_asset("two", &format!("{dockerfile}LABEL a=2\n"), json!({}));
        let mut command = world.command(&world.docker(BUILD));
        if named {
            command.env("CDK_DOCKER_CREDS_FILE", world.path(path));
        }
        let run = world.run(command.args(["publish", "out"])).await;
        assert!(run.status.success(), "{}", said(&run));
        let seen = world.seen_config();
        let expected = [
            (hub, STANDARD.encode("hub-user:hub-password")),
            (
                "fields.example",
                STANDARD.encode("fields-user:fields-password"),
            ),
            (FAR, auth(TOKEN)),
            (HOME, auth(TOKEN)),
        ];
        for (host, expected) in expected {
            assert_eq!(docker_login(&seen, host), expected, "{host}");
        }
        assert_eq!(world.calls("sts:AssumeRole").len(), 1);
        let secrets = world.calls("secretsmanager:GetSecretValue").len();
        assert_eq!(secrets, 3, "hub, fields and wrong, once");
        let warning = "cannot log the builder in to wrong.example, and goes on without: secret \
                       wrong holds no registry credentials: expected JSON with texts in the fields \
                       \"username\" and \"secret\"";
        assert_eq!(said(&run).matches(warning).count(), 1, "{}", said(&run));
        for secret in ["hub-password", "fields-password"] {
            assert!(!said(&run).contains(secret));
        }
        world.assert_clean(&run);
    }
}

#[tokio::test]
async fn a_login_that_is_refused_is_a_warning() {
    let world = World::new().await;
    world.add_asset("one", &format!("FROM {FAR}/base\n"), json!({}));
    world.add_asset("two", &format!("FROM {FAR}/base\nLABEL a=2\n"), json!({}));
    world.configure_docker(&json!([]));
    for json in [false, true] {
        world.forget();
        let refusal = Fault::answer(400).saying("AccessDeniedException", "not you");
        let refusal = refusal.at("/ecr/GetAuthorizationToken").skip(1);
        world.environment.aws.faults().add(refusal.times(2));
        let mut command = world.command(&world.docker(BUILD));
        command
            .args(["publish", "out"])
            .args(json.then_some("--json"));
        let run = world.run(&mut command).await;
        world.environment.aws.faults().clear();
        assert!(run.status.success(), "{}", said(&run));
        let warning = format!("cannot log the builder in to {FAR}, and goes on without: ");
        assert_eq!(said(&run).matches(&warning).count(), 1, "{}", said(&run));
        assert!(
            said(&run).contains("ecr:GetAuthorizationToken"),
            "{}",
            said(&run)
        );
        let unreadable = format!(
            "cannot use the logins in {}, and goes on without: it is no JSON object",
            world.path(".docker/config.json").display()
        );
        assert!(said(&run).contains(&unreadable), "{}", said(&run));
        let seen = world.seen_config();
        assert_eq!(docker_login(&seen, HOME), auth(TOKEN));
        assert_eq!(docker_login(&seen, FAR), "");
        world
            .environment
            .registry
            .create_repository("again")
            .await
            .unwrap();
        world.move_to("again");
    }
}

#[tokio::test]
async fn nothing_is_asked_where_nothing_is_built_or_no_ecr_is_named() {
    let world = World::new().await;
    world.add_asset("one", &format!("FROM {OTHER}/base\n"), json!({}));
    let docker = world.docker(BUILD);
    assert!(world.publish(&docker).await.status.success());
    world.forget();
    world.environment.aws.reset();
    let again = world.publish(Path::new("/no/such/builder")).await;
    assert!(again.status.success(), "{}", said(&again));
    assert_eq!(
        world.calls("ecr:GetAuthorizationToken"),
        ["us-east-1"],
        "to look for the image"
    );
    world.environment.aws.reset();

    world
        .workshop
        .write("plain/Dockerfile", "FROM alpine\nCOPY --from=h.io/a /a /\n");
    let run = world.build(&docker, &[]).await;
    assert!(run.status.success(), "{}", said(&run));
    assert_eq!(world.seen("docker").trim(), "");
    assert!(world.environment.aws.calls().is_empty());
}

#[tokio::test]
async fn build_logs_in_to_what_it_pulls_from_and_pushes_to() {
    let world = World::new().await;
    world
        .workshop
        .write("plain/Dockerfile", "ARG REGISTRY\nFROM $REGISTRY/base\n");
    let docker = world.docker(BUILD);
    let registry = format!("REGISTRY={FAR}");
    let run = world.build(&docker, &["--build-arg", &registry]).await;
    assert!(run.status.success(), "{}", said(&run));
    assert_eq!(docker_login(&world.seen_config(), FAR), auth(TOKEN));
    assert_eq!(world.calls("ecr:GetAuthorizationToken"), ["eu-west-1"]);
    world.assert_clean(&run);

    world.forget();
    let cache = format!("type=registry,ref={OTHER}/cache");
    let push = format!("{HOME}/images:pushed");
    let arguments = ["--cache-to", &cache, "--no-cache", "--push", &push];
    let run = world.build(&docker, &arguments).await;
    assert!(run.status.success(), "{}", said(&run));
    for host in [HOME, OTHER] {
        assert_eq!(docker_login(&world.seen_config(), host), auth(TOKEN));
    }
    world.assert_clean(&run);
}

#[tokio::test]
async fn nothing_is_left_behind_by_a_failure() {
    let world = World::new().await;
    world.add_asset("one", &format!("FROM {OTHER}/base\n"), json!({}));
    let failing = format!("{BUILD}; cat $DOCKER_CONFIG/config.json; exit 7");
    let run = world.publish(&world.docker(&failing)).await;
    assert!(!run.status.success());
    assert!(said(&run).contains("exit status: 7"), "{}", said(&run));
    assert_eq!(docker_login(&world.seen_config(), OTHER), auth(TOKEN));
    world.assert_clean(&run);
}

#[tokio::test]
async fn nothing_is_left_behind_by_a_signal() {
    for (signal, status) in [("TERM", 143), ("INT", 130)] {
        let world = World::new().await;
        world.add_asset("one", &format!("FROM {OTHER}/base\n"), json!({}));
        let docker = world.docker(&format!("{BUILD}; echo $$ > $SEEN/running; exec sleep 600"));
        let mut command = world.command(&docker);
        command
            .args(["publish", "out"])
            .stderr(Stdio::piped())
            .stdout(Stdio::piped());
        let child = command.spawn().unwrap();
        let builder = world.wait_for("running").await;
        let run = tokio::task::spawn_blocking(move || stop(child, signal))
            .await
            .unwrap();
        assert_eq!(run.status.code(), Some(status), "{}", said(&run));
        assert!(said(&run).contains("longshore: stopped by a signal"));
        assert!(
            !Path::new("/proc").join(builder.trim()).exists(),
            "the builder has ended"
        );
        world.assert_clean(&run);
    }
}

/// A base behind a password, which only the file that Buildah is led to has.
#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn a_real_builder_pulls_a_base_behind_a_password() {
    for builder in ["buildah", "podman"] {
        let world = World::new().await;
        let registry = DockerRegistry::start();
        let base = world.path("base.tar");
        fs::write(&base, Archive::of(&[b"base"]).tar()).unwrap();
        skopeo::copy_archive(&base, &registry, "base:1");
        let host = registry.url().replace("http://", "");
        world.workshop.trust(&host);
        world.write("auth.json", "{}");
        world.write(
            "creds.json",
            &json!({"domainCredentials": {
                &host: {"secretsManagerSecretId": "registry"},
            }})
            .to_string(),
        );
        let dockerfile = format!("FROM {host}/base:1\nCOPY README.md /\n");
        world.workshop.write("plain/Dockerfile", &dockerfile);
        let without = world
            .build(Path::new(builder), &["--extra-hash", "without"])
            .await;
        assert!(!without.status.success(), "the registry wants a password");
        let mut command = world.command(Path::new(builder));
        command.env("CDK_DOCKER_CREDS_FILE", world.path("creds.json"));
        command
            .arg("build")
            .arg(world.workshop.contexts.path("plain"));
        let run = world.run(command.arg("--json")).await;
        assert!(run.status.success(), "{builder}: {}", said(&run));
        assert_eq!(json(&run)["reused"], false);
        assert!(!said(&run).contains(PASSWORD));
        world.assert_clean(&run);
    }
}

/// What a builder does when it builds: it notes what it is given.
const BUILD: &str = r#"
mkdir -p $SEEN
echo "$@" >> $SEEN/arguments
echo "$DOCKER_CONFIG" > $SEEN/docker
echo "$BUILDX_CONFIG" > $SEEN/buildx
echo "$REGISTRY_AUTH_FILE" > $SEEN/podman
cat "$REGISTRY_AUTH_FILE" > $SEEN/auth 2>/dev/null
if [ -n "$DOCKER_CONFIG" ]; then
    cat "$DOCKER_CONFIG/config.json" > $SEEN/config
    (cd "$DOCKER_CONFIG" && stat -c '%a %n' . config.json && ls -d */* 2>/dev/null) > $SEEN/listed
fi
true"#;

/// Stand-ins, a home, and an app's assets.
struct World {
    workshop: Workshop,
    environment: Environment,
}

impl World {
    async fn new() -> Self {
        let mut options = EnvironmentOptions::default();
        options.registry = RegistryOptions {
            auth: Auth::Basic {
                user: "AWS".to_owned(),
                password: Secret::new(TOKEN),
            },
            ..options.registry
        };
        for (name, secret) in [
            ("hub", r#"{"username":"hub-user","secret":"hub-password"}"#),
            (
                "fields",
                r#"{"who":"fields-user","what":"fields-password"}"#,
            ),
            ("wrong", r#"{"username":"wrong"}"#),
            (
                "registry",
                &format!(r#"{{"username":"AWS","secret":"{PASSWORD}"}}"#),
            ),
        ] {
            let secrets = &mut options.aws.secrets;
            secrets.insert(name.to_owned(), Secret::new(secret));
        }
        let environment = Environment::start(options).await.unwrap();
        environment
            .registry
            .create_repository("images")
            .await
            .unwrap();
        let world = Self {
            workshop: Workshop::new(),
            environment,
        };
        for folder in ["tmp", "out", "bin", ".docker"] {
            fs::create_dir(world.path(folder)).unwrap();
        }
        let empty = json!({"version": "36.0.0", "dockerImages": {}});
        world.write("out/app.assets.json", &empty.to_string());
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.workshop.path(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn text(&self, name: &str) -> String {
        let path = self.path(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn configure_docker(&self, config: &Value) {
        self.write(".docker/config.json", &config.to_string());
    }

    fn write_program(&self, name: &str, script: &str) -> PathBuf {
        self.write(&format!("bin/{name}"), &format!("#!/bin/sh\n{script}\n"));
        let path = self.path("bin").join(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn add_helper(&self, name: &str, script: &str) {
        self.write_program(&format!("docker-credential-{name}"), script);
    }

    /// Docker as far as the command line goes, which runs `build` to build.
    fn docker(&self, build: &str) -> PathBuf {
        self.builder("docker", build)
    }

    fn builder(&self, name: &str, build: &str) -> PathBuf {
        let image = self.path("image");
        fs::write(&image, Archive::of(&[b"built"]).tar()).unwrap();
        let (image, seen) = (image.display(), self.seen_folder());
        let script = format!(
            "SEEN={seen}\n\
             case \"$1 $2\" in\n\
             --version*) echo '{name} version 99.0.0';;\n\
             'image exists'|'image inspect'|'inspect --type') exit 1;;\n\
             'buildx build'|'build --tag') {build};;\n\
             'save --output') cp {image} \"$3\";;\n\
             'save --quiet') cp {image} \"$6\";;\n\
             'push --quiet') cp {image} \"${{4#docker-archive:}}\";;\n\
             esac\n"
        );
        self.write_program(name, &script)
    }

    fn seen_folder(&self) -> String {
        self.path("seen").display().to_string()
    }

    fn seen(&self, name: &str) -> String {
        self.text(&format!("seen/{name}"))
    }

    fn seen_config(&self) -> Value {
        serde_json::from_str(&self.seen("config")).unwrap()
    }

    fn forget(&self) {
        for folder in ["seen", "cache"] {
            let _ = fs::remove_dir_all(self.path(folder));
        }
    }

    fn manifest(&self) -> Value {
        serde_json::from_str(&self.text("out/app.assets.json")).unwrap()
    }

    fn add_source(&self, name: &str, source: &Value, mut destination: Value) {
        let mut manifest = self.manifest();
        destination["repositoryName"] = json!("images");
        destination["imageTag"] = json!(name);
        manifest["dockerImages"][name] =
            json!({"source": source, "destinations": {"here": destination}});
        self.write("out/app.assets.json", &manifest.to_string());
    }

    fn add_asset(&self, name: &str, dockerfile: &str, destination: Value) {
        self.write(&format!("out/{name}/Dockerfile"), dockerfile);
        self.add_source(name, &json!({"directory": name}), destination);
    }

    /// Lets all assets go to another repository.
    fn move_to(&self, repository: &str) {
        let manifest = self.manifest().to_string();
        let moved = manifest.replace("\"images\"", &format!("\"{repository}\""));
        self.write("out/app.assets.json", &moved);
    }

    /// The program, on the stand-ins, as a user without variables for logins runs it.
    fn command(&self, builder: &Path) -> Command {
        let mut command = self.workshop.program(builder);
        let path = std::env::var("PATH").unwrap();
        command
            .envs(self.environment.variables())
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .env("TMPDIR", self.path("tmp"))
            .env("XDG_RUNTIME_DIR", self.path("runtime"));
        // The file that the workshop's own builders need stands in for the user's.
        if builder.is_absolute() && !builder.ends_with("docker") {
            command.env_remove("REGISTRY_AUTH_FILE");
        }
        command
    }

    async fn run(&self, command: &mut Command) -> Output {
        let mut command = std::mem::replace(command, Command::new("true"));
        let run = tokio::task::spawn_blocking(move || command.output());
        run.await.unwrap().unwrap()
    }

    async fn publish(&self, builder: &Path) -> Output {
        let mut command = self.command(builder);
        self.run(command.args(["publish", "out"])).await
    }

    async fn build(&self, builder: &Path, arguments: &[&str]) -> Output {
        let mut command = self.command(builder);
        command
            .arg("build")
            .arg(self.workshop.contexts.path("plain"));
        self.run(command.args(arguments)).await
    }

    /// The regions for which an operation was called, in order.
    fn calls(&self, action: &str) -> Vec<String> {
        let calls = self.environment.aws.calls().into_iter();
        let calls = calls.filter(|call| call.action == action);
        let mut regions: Vec<String> = calls.map(|call| call.region).collect();
        regions.sort();
        regions
    }

    /// What a builder notes, once it is there.
    async fn wait_for(&self, name: &str) -> String {
        let deadline = Instant::now() + WITHIN;
        let path = self.path("seen").join(name);
        loop {
            match fs::read_to_string(&path) {
                Ok(text) if !text.is_empty() => return text,
                _ => assert!(Instant::now() < deadline, "{} is not there", path.display()),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Nothing of a run is left, and it said no secret.
    fn assert_clean(&self, run: &Output) {
        for folder in ["tmp", "cache/work"] {
            let left: Vec<_> = fs::read_dir(self.path(folder)).unwrap().collect();
            assert!(left.is_empty(), "{left:?}");
        }
        let arguments = fs::read(self.path("seen/arguments")).unwrap_or_default();
        let told = [&run.stdout, &run.stderr, &arguments];
        let told = told.map(|bytes| String::from_utf8_lossy(bytes));
        for secret in [TOKEN, &STANDARD.encode(TOKEN), &auth(TOKEN)] {
            assert!(!told.concat().contains(secret), "{told:?}");
        }
    }
}

/// The login that Docker has for a registry by a configuration: a helper's or store's name, or what
/// `auths` has.
fn docker_login(config: &Value, registry: &str) -> String {
    let helper = config["credHelpers"].get(registry);
    let helper = helper.or_else(|| config.get("credsStore"));
    match helper.and_then(Value::as_str) {
        Some(store) if !store.is_empty() => format!("store {store}"),
        _ => {
            let auth = config["auths"][registry]["auth"].as_str();
            auth.unwrap_or_default().to_owned()
        }
    }
}

/// A login of ECR as `config.json` has it.
fn auth(password: &str) -> String {
    STANDARD.encode(format!("AWS:{password}"))
}

fn stop(child: Child, signal: &str) -> Output {
    let mut kill = Command::new("kill");
    kill.args([&format!("-{signal}"), &child.id().to_string()]);
    assert!(kill.status().unwrap().success());
    child.wait_with_output().unwrap()
}

fn said(run: &Output) -> String {
    String::from_utf8_lossy(&run.stderr).into_owned()
}
