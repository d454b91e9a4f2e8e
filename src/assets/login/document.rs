//! Files with logins, as JSON objects of which nothing is lost.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

use super::helper::ask;
use crate::redact::Secret;

/// Docker Hub, by its host and by the key under which Docker keeps its login.
const DOCKER_HUB: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];
pub(super) const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";
/// A token that ends sooner may not last for a build.
const MARGIN: Duration = Duration::from_mins(5);
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A file with logins.
#[derive(Clone, Debug, Default)]
pub(super) struct Document(pub(super) Map<String, Value>);

/// A file that cannot be read. Shows nothing of it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("it cannot be read")]
    Io(#[source] io::Error),
    #[error("it is no JSON object")]
    Malformed,
}

impl Document {
    /// Reads a file. One that is not there, or blank, has no logins.
    pub(super) fn read(path: &Path) -> Result<Self, Unreadable> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(Unreadable::Io(error)),
        };
        if text.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        let read = serde_json::from_slice(&text).map(Self);
        read.map_err(|_| Unreadable::Malformed)
    }

    /// A text of the file.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let text = self.0.get(self.key(name))?.as_str()?;
        (!text.is_empty()).then_some(text)
    }

    /// An object of the file.
    pub(super) fn object(&self, name: &str) -> Option<&Map<String, Value>> {
        self.0.get(self.key(name))?.as_object()
    }

    /// An object of the file, made if it is not there.
    pub(super) fn object_mut(&mut self, name: &str) -> &mut Map<String, Value> {
        let key = self.key(name).to_owned();
        let value = self.0.entry(key).or_insert(Value::Null);
        if !value.is_object() {
            *value = Value::Object(Map::new());
        }
        match value {
            Value::Object(object) => object,
            _ => unreachable!("an object was put there"),
        }
    }

    /// A key as the file has it: these programs do not tell its cases apart.
    fn key<'a>(&'a self, name: &'a str) -> &'a str {
        let mut keys = self.0.keys();
        let written = keys.find(|key| key.eq_ignore_ascii_case(name));
        written.map_or(name, String::as_str)
    }

    /// The helper that `credHelpers` names for a registry.
    pub(super) fn helper(&self, registry: &str) -> Option<&str> {
        self.object("credHelpers")?.get(registry)?.as_str()
    }

    /// Adds a login in place of another under the same key.
    pub(super) fn add(&mut self, key: &str, auth: &Secret) {
        let login = serde_json::json!({ "auth": auth.expose() });
        self.object_mut("auths").insert(key.to_owned(), login);
    }
}

/// Returns true if a key of a file is a registry's: the host counts, the scheme and the path do
/// not.
pub(super) fn is_of(key: &str, registry: &str) -> bool {
    let host = key.split_once("://").map_or(key, |(_, rest)| rest);
    let host = host.split('/').next().unwrap_or_default();
    host.eq_ignore_ascii_case(registry)
        || (DOCKER_HUB.contains(&host) && DOCKER_HUB.contains(&registry))
}

/// Returns true if an entry of `auths` has a login that lasts. Where a store has it, the entry is
/// empty.
pub(super) fn lasts(login: &Value) -> bool {
    let text = |name: &str| login.get(name).and_then(Value::as_str).unwrap_or_default();
    if !text("identitytoken").is_empty() {
        return true;
    }
    let auth: String = text("auth").split_whitespace().collect();
    let decoded = LENIENT.decode(auth).unwrap_or_default();
    let decoded = String::from_utf8_lossy(&decoded);
    let password = match decoded.split_once(':') {
        Some((_, password)) => password,
        None => text("password"),
    };
    !password.is_empty() && !has_expired(password)
}

/// Returns true if the store of a helper has a login for a registry that lasts.
pub(super) async fn is_kept_by(helper: &str, registry: &str) -> bool {
    let password = ask(helper, registry).await;
    password.is_some_and(|password| !has_expired(password.expose()))
}

/// Returns true if a password is a token of ECR whose time is up, which such a token tells itself.
fn has_expired(password: &str) -> bool {
    let decoded = STANDARD.decode(password).unwrap_or_default();
    let token: Value = serde_json::from_slice(&decoded).unwrap_or_default();
    let Some(end) = token.get("expiration").and_then(Value::as_u64) else {
        return false;
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.is_ok_and(|now| now + MARGIN >= Duration::from_secs(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_login_lasts_until_its_token_ends() {
        let auth = |password: &str| json!({"auth": STANDARD.encode(format!("AWS:{password}"))});
        let token = |end: u64| STANDARD.encode(json!({"expiration": end}).to_string());
        for (login, expected) in [
            (auth("secret"), true),
            (auth(&token(4_000_000_000)), true),
            (auth(&token(1_000_000_000)), false),
            (json!({"username": "u", "password": "p"}), true),
            (json!({"identitytoken": "t"}), true),
            (json!({}), false),
            (json!({"auth": "%"}), false),
            (json!(null), false),
        ] {
            assert_eq!(lasts(&login), expected, "{login}");
        }
    }

    #[test]
    fn what_the_file_has_is_kept() {
        let text = r#"{"CredsStore":"x","Auths":null,"proxies":{"default":{}}}"#;
        let mut document = Document(serde_json::from_str(text).unwrap());
        document.add("h", &Secret::new("auth"));
        assert_eq!(document.text("credsStore"), Some("x"));
        let expected = json!({
            "CredsStore": "x",
            "Auths": {"h": {"auth": "auth"}},
            "proxies": {"default": {}},
        });
        assert_eq!(Value::Object(document.0), expected);
    }
}
