//! Writing logins to where Docker keeps them: its configuration file, or the helper that it names.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use longshore::redact::Secret;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::docker_config::{LoginFile, docker_file, key};

/// Docker's configuration, as it is in its file.
pub(crate) struct LoginStore {
    path: PathBuf,
    document: Map<String, Value>,
    logins: LoginFile,
}

impl LoginStore {
    /// Reads the file. One that is not there is empty.
    pub(crate) fn open() -> anyhow::Result<Self> {
        let path = docker_file().context("there is no home directory: set DOCKER_CONFIG")?;
        // The file may be a link to where a person keeps it.
        let path = fs::canonicalize(&path).unwrap_or(path);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read.with_context(|| format!("cannot read {}", path.display()))?,
        };
        let malformed = || format!("{} is no configuration of Docker", path.display());
        let is_blank = text.trim().is_empty();
        let text = if is_blank { "{}" } else { &text };
        // The parser's words may quote what it reads.
        let document = serde_json::from_str(text).ok().with_context(malformed)?;
        let logins = LoginFile::parse(text).ok().with_context(malformed)?;
        Ok(Self {
            path,
            document,
            logins,
        })
    }

    /// The place where a login is kept: a helper, or the file.
    pub(crate) fn place(&self, registry: &str) -> String {
        let helper = self.helper(registry);
        helper.unwrap_or_else(|| self.path.display().to_string())
    }

    fn helper(&self, registry: &str) -> Option<String> {
        self.logins.helper(registry).map(helper_program)
    }

    /// Keeps a login.
    pub(crate) fn keep(
        &mut self,
        registry: &str,
        username: &str,
        password: &Secret,
    ) -> anyhow::Result<()> {
        let mut entry = json!({});
        if let Some(helper) = &self.helper(registry) {
            let login = json!({
                "ServerURL": key(registry),
                "Username": username,
                "Secret": password.expose(),
            });
            run_helper(helper, "store", &login.to_string())?;
        } else {
            let pair = format!("{username}:{}", password.expose());
            entry["auth"] = STANDARD.encode(pair).into();
        }
        self.auths()?.insert(key(registry).to_owned(), entry);
        self.write()
    }

    /// Returns true if there is a login of a registry.
    pub(crate) fn has(&self, registry: &str) -> anyhow::Result<bool> {
        match self.helper(registry) {
            Some(helper) => ask_helper(&helper, "get", key(registry)),
            None => Ok(!self.logins.keys_of(registry).is_empty()),
        }
    }

    /// Forgets a login, if there is one.
    pub(crate) fn forget(&mut self, registry: &str) -> anyhow::Result<()> {
        if let Some(helper) = self.helper(registry)
            && self.has(registry)?
        {
            run_helper(&helper, "erase", key(registry))?;
        }
        let keys = self.logins.keys_of(registry);
        if keys.is_empty() {
            return Ok(());
        }
        let auths = self.auths()?;
        auths.retain(|key, _| !keys.contains(key));
        self.write()
    }

    fn auths(&mut self) -> anyhow::Result<&mut Map<String, Value>> {
        let auths = self.document.entry("auths").or_insert_with(|| json!({}));
        if auths.is_null() {
            *auths = json!({});
        }
        let path = &self.path;
        let auths = auths.as_object_mut();
        auths.with_context(|| format!("{} is no configuration of Docker", path.display()))
    }

    /// Writes the file beside its name, for its owner alone, and renames it.
    fn write(&self) -> anyhow::Result<()> {
        let failed = || format!("cannot write {}", self.path.display());
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let mut making = fs::DirBuilder::new();
        making.recursive(true).mode(0o700);
        making.create(folder).with_context(failed)?;
        let mut bytes = Vec::new();
        let indented = serde_json::ser::PrettyFormatter::with_indent(b"\t");
        let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, indented);
        self.document.serialize(&mut serializer)?;
        // For its owner alone by itself.
        let mut file = tempfile::NamedTempFile::new_in(folder).with_context(failed)?;
        file.write_all(&bytes).with_context(failed)?;
        file.as_file().sync_all().with_context(failed)?;
        file.persist(&self.path).with_context(failed)?;
        Ok(())
    }
}

fn helper_program(name: &str) -> String {
    format!("docker-credential-{name}")
}

/// Runs a helper, which must succeed. What it prints is not shown.
fn run_helper(helper: &str, action: &str, input: &str) -> anyhow::Result<()> {
    if !ask_helper(helper, action, input)? {
        bail!("docker's credential helper {helper} failed to {action} the login");
    }
    Ok(())
}

/// Runs a helper. Returns true if it succeeds.
fn ask_helper(helper: &str, action: &str, input: &str) -> anyhow::Result<bool> {
    let failed = || {
        format!(
            "cannot run docker's credential helper {helper}; see credsStore and credHelpers in \
             docker's config.json"
        )
    };
    let mut process = Command::new(helper)
        .arg(action)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(failed)?;
    let stdin = process.stdin.take();
    // A helper that ends without reading it all says by its status what that means.
    let _ = stdin.map(|mut stdin| stdin.write_all(input.as_bytes()));
    Ok(process.wait().with_context(failed)?.success())
}
