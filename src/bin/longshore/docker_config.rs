//! Docker's `config.json` and podman's `auth.json`, read as these programs read them.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use longshore::redact::Secret;
use longshore::registry::Credentials;
use serde::Deserialize;

/// Other names of Docker Hub.
const DOCKER_HUB: [&str; 3] = ["index.docker.io", "docker.io", "registry-1.docker.io"];
/// The key under which Docker keeps what Docker Hub is told.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A file in which logins are kept.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct LoginFile {
    auths: BTreeMap<String, Login>,
    creds_store: Option<String>,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Login {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
}

/// A login that cannot be read. Shows nothing of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl LoginFile {
    /// Reads the text of a file. An empty or blank one has no logins.
    pub(crate) fn parse(text: &str) -> Result<Self, Malformed> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_str(text).map_err(|_| Malformed)
    }

    /// The helper that keeps the login of a registry.
    pub(crate) fn helper(&self, registry: &str) -> Option<&str> {
        let mut helpers = self.cred_helpers.iter();
        let own = helpers.find(|(key, _)| is_same(key, registry));
        let helper = own.map(|(_, helper)| helper).or(self.creds_store.as_ref());
        helper
            .map(String::as_str)
            .filter(|helper| !helper.is_empty())
    }

    /// The keys under which the file has something of a registry.
    pub(crate) fn keys_of(&self, registry: &str) -> Vec<String> {
        let keys = self.auths.keys().filter(|key| is_same(key, registry));
        keys.cloned().collect()
    }

    /// The login of a repository as podman keeps it: the one with the longest key that is the
    /// repository, a path above it or its registry.
    pub(crate) fn login_of_repository(
        &self,
        registry: &str,
        repository: &str,
    ) -> Result<Option<Credentials>, Malformed> {
        let full = format!("{registry}/{repository}");
        let ends = full.rmatch_indices('/').map(|(at, _)| at);
        let mut prefixes = std::iter::once(full.len())
            .chain(ends)
            .map(|end| &full[..end]);
        let login = prefixes.find_map(|prefix| {
            let mut logins = self.auths.iter();
            let found = logins.find(|(key, _)| is_podmans(key, prefix));
            found.map(|(_, login)| login)
        });
        login.map_or(Ok(None), Login::credentials)
    }

    /// The login of a registry as Docker keeps it: the one whose key is its host, or else the first
    /// whose key begins with it.
    pub(crate) fn login(&self, registry: &str) -> Result<Option<Credentials>, Malformed> {
        let exact = self.auths.get(registry);
        let by_host = || {
            let mut logins = self.auths.iter();
            logins
                .find(|(key, _)| is_same(key, registry))
                .map(|(_, login)| login)
        };
        match exact.or_else(by_host) {
            Some(login) => login.credentials(),
            None => Ok(None),
        }
    }
}

impl Login {
    fn credentials(&self) -> Result<Option<Credentials>, Malformed> {
        if !self.identitytoken.is_empty() {
            return Ok(Some(Credentials::IdentityToken(Secret::new(
                &*self.identitytoken,
            ))));
        }
        let text: String = self.auth.split_whitespace().collect();
        if text.is_empty() {
            let is_given = !self.username.is_empty() && !self.password.is_empty();
            return Ok(is_given.then(|| Credentials::basic(&*self.username, &*self.password)));
        }
        let bytes = BASE64.decode(text).map_err(|_| Malformed)?;
        let pair = String::from_utf8(bytes).map_err(|_| Malformed)?;
        let (username, password) = pair.split_once(':').ok_or(Malformed)?;
        let password = password.trim_matches(['\0', '\r', '\n']);
        Ok(Some(Credentials::basic(username, password)))
    }
}

/// Returns true if a key of the file is a registry's: the host counts, the scheme and the path do
/// not.
fn is_same(key: &str, registry: &str) -> bool {
    let host = key.split_once("://").map_or(key, |(_scheme, rest)| rest);
    let host = host.split('/').next().unwrap_or_default();
    let is_hub = |name: &str| DOCKER_HUB.contains(&name);
    host.eq_ignore_ascii_case(registry) || (is_hub(host) && is_hub(registry))
}

/// Returns true if a key of podman's file is a registry or a path in it. Only where a scheme stands
/// before the host, the path does not count
/// ([containers-auth.json](https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md)).
fn is_podmans(key: &str, prefix: &str) -> bool {
    if key.contains("://") {
        return is_same(key, prefix);
    }
    key == prefix || (!key.contains('/') && is_same(key, prefix))
}

/// The key under which Docker keeps the login of a registry.
pub(crate) fn key(registry: &str) -> &str {
    match registry {
        "docker.io" => DOCKER_HUB_KEY,
        other => other,
    }
}

/// Docker's configuration file. `None`: there is no home.
pub(crate) fn docker_file() -> Option<PathBuf> {
    let folder = variable("DOCKER_CONFIG").or_else(|| Some(env::home_dir()?.join(".docker")))?;
    Some(folder.join("config.json"))
}

fn variable(name: &str) -> Option<PathBuf> {
    let value = env::var_os(name).filter(|value| !value.is_empty());
    value.map(PathBuf::from)
}

/// A file in which a tool keeps logins.
pub(crate) enum AuthFile {
    /// Docker's `config.json`.
    Docker(PathBuf),
    /// podman's `auth.json`.
    Podman(PathBuf),
}

impl AuthFile {
    /// The place where the file is.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Docker(path) | Self::Podman(path) => path,
        }
    }
}

/// The files to read, in order. A file that `REGISTRY_AUTH_FILE` names goes before the default ones.
pub(crate) fn auth_files() -> Vec<AuthFile> {
    [
        variable("REGISTRY_AUTH_FILE").map(AuthFile::Podman),
        docker_file().map(AuthFile::Docker),
        variable("XDG_RUNTIME_DIR")
            .map(|folder| AuthFile::Podman(folder.join("containers/auth.json"))),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(config: &str, registry: &str) -> Result<Option<Credentials>, Malformed> {
        LoginFile::parse(config)?.login(registry)
    }

    #[test]
    fn keys_are_hosts_whatever_stands_around_them() {
        let expected = Ok(Some(Credentials::basic("u", "pw")));
        for key in [
            "host.example:5000",
            "https://host.example:5000",
            "https://host.example:5000/v2/",
            "host.example:5000/v2/",
            "host.example:5000/app",
        ] {
            let config = format!(r#"{{"auths":{{"{key}":{{"auth":"dTpwdw=="}}}}}}"#);
            assert_eq!(login(&config, "host.example:5000"), expected, "{key}");
            assert_eq!(login(&config, "host.example"), Ok(None), "{key}");
        }
        let hub = r#"{"auths":{"https://index.docker.io/v1/":{"auth":"dTpwdw=="}}}"#;
        assert_eq!(login(hub, "docker.io"), expected);
    }

    #[test]
    fn podmans_longest_key_wins_and_other_paths_do_not_count() {
        let auth = |password: &str| {
            let pair = BASE64.encode(format!("u:{password}"));
            format!(r#"{{"auth":"{pair}"}}"#)
        };
        let config = format!(
            r#"{{"auths":{{"h/team":{},"h/team/app":{},"h":{},"other/team":{},"https://url/v1/":{}}}}}"#,
            auth("team"),
            auth("app"),
            auth("host"),
            auth("other"),
            auth("url"),
        );
        let file = LoginFile::parse(&config).unwrap();
        for (registry, repository, password) in [
            ("h", "team/app", Some("app")),
            ("h", "team/app/part", Some("app")),
            ("h", "team/application", Some("team")),
            ("h", "teams", Some("host")),
            ("other", "app", None),
            ("other", "team/app", Some("other")),
            ("url", "team/app", Some("url")),
            ("none", "team", None),
        ] {
            let expected = password.map(|password| Credentials::basic("u", password));
            let login = file.login_of_repository(registry, repository);
            assert_eq!(login, Ok(expected), "{registry}/{repository}");
        }
    }

    #[test]
    fn odd_files_are_read_as_docker_reads_them() {
        for empty in ["", " \n", "{}", r#"{"auths":{}}"#] {
            assert_eq!(login(empty, "h"), Ok(None), "{empty:?}");
        }
        let expected = Ok(Some(Credentials::basic("u", "pw")));
        for auth in [r"dTpwdw==\n", "dTpwdw", "dTpw dw==", "dTpwdwAA"] {
            let config = format!(r#"{{"auths":{{"h":{{"auth":"{auth}"}}}}}}"#);
            assert_eq!(login(&config, "h"), expected, "{auth:?}");
        }
        let plain = r#"{"auths":{"h":{"username":"u","password":"pw"}}}"#;
        assert_eq!(login(plain, "h"), expected);
        let nobody = r#"{"auths":{"h":{}}}"#;
        assert_eq!(login(nobody, "h"), Ok(None));
        for malformed in [
            "[",
            r#"{"auths":{"h":{"auth":"%"}}}"#,
            r#"{"auths":{"h":{"auth":"dQ=="}}}"#,
        ] {
            assert_eq!(login(malformed, "h"), Err(Malformed), "{malformed}");
        }
    }
}
