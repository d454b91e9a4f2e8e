//! Where images are built: contexts, a cache, and builders that keep to themselves.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use super::{Archive, Contexts, PASSWORD};

/// Contexts, a cache, and builders that keep to themselves.
pub(crate) struct Workshop {
    pub(crate) contexts: Contexts,
    folder: TempDir,
}

impl Workshop {
    pub(crate) fn new() -> Self {
        let workshop = Self {
            contexts: Contexts::new(),
            folder: tempfile::tempdir().unwrap(),
        };
        let storage = |name| workshop.path(name).display().to_string();
        let storage = format!(
            "[storage]\ndriver = \"vfs\"\ngraphroot = {:?}\nrunroot = {:?}\n",
            storage("images"),
            storage("run"),
        );
        fs::write(workshop.path("storage.conf"), storage).unwrap();
        fs::write(workshop.path("registries.conf"), "").unwrap();
        fs::write(workshop.path("auth.json"), "{}").unwrap();
        workshop
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &str) {
        fs::write(self.contexts.path(name), content).unwrap();
    }

    /// Docker as far as the command line goes: it notes what it is told, and always saves the
    /// same image.
    pub(crate) fn fake_docker(&self) -> PathBuf {
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
    pub(crate) fn trust(&self, host: &str) {
        let registries = format!("[[registry]]\nlocation = \"{host}\"\ninsecure = true\n");
        fs::write(self.path("registries.conf"), registries).unwrap();
        let credentials = format!("AWS:{PASSWORD}");
        let credentials =
            base64::Engine::encode(&base64::engine::general_purpose::STANDARD, credentials);
        let auth = serde_json::json!({"auths": {host: {"auth": credentials}}});
        fs::write(self.path("auth.json"), auth.to_string()).unwrap();
    }

    pub(crate) fn environment(&self, command: &mut Command) {
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

    /// The program, in a folder of its own.
    pub(crate) fn program(&self, builder: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_longshore"));
        self.environment(&mut command);
        command
            .env("CDK_DOCKER", builder)
            .current_dir(self.folder.path());
        command
    }

    pub(crate) fn longshore(&self, arguments: &[&str]) -> Output {
        let mut program = self.program(Path::new("/no/such/builder"));
        program.args(arguments).output().unwrap()
    }

    /// A command about a context.
    pub(crate) fn command(&self, verb: &str, context: &str, builder: &Path) -> Command {
        let mut command = self.program(builder);
        command.arg(verb).arg(self.contexts.path(context));
        command
    }

    pub(crate) fn run(
        &self,
        verb: &str,
        context: &str,
        builder: &Path,
        arguments: &[&str],
    ) -> Output {
        let mut command = self.command(verb, context, builder);
        command.args(arguments).output().unwrap()
    }

    pub(crate) fn build(&self, context: &str, builder: &Path, arguments: &[&str]) -> Output {
        self.run(
            "build",
            context,
            builder,
            &[arguments, &["--json"]].concat(),
        )
    }
}

/// The JSON that a command printed.
pub(crate) fn json(run: &Output) -> Value {
    let said = || panic!("{}", String::from_utf8_lossy(&run.stderr));
    serde_json::from_slice(&run.stdout).unwrap_or_else(|_| said())
}
