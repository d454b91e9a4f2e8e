//! The file with logins for one build by Podman or Buildah.
//!
//! They read several files, the first that has a login for an image counting, or only the one that
//! is named ([containers-auth.json](https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md)).
//! What they would find in the several is put into the one. `credsStore` is nothing to them, and
//! `credHelpers` go before `auths` of the same file.

use std::env;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::document::{Document, Unreadable, is_kept_by, is_of, lasts};
use super::images::ImageName;
use crate::redact::Secret;

/// Podman's and Buildah's logins.
#[derive(Default)]
pub(super) struct AuthFile(Document);

impl AuthFile {
    /// The user's. A file that cannot be read is left out.
    pub(super) fn of_user(unreadable: impl Fn(&Path, &Unreadable)) -> Self {
        let mut merged = Self::default();
        for path in paths() {
            match Document::read(&path) {
                Ok(document) => merged.append(document),
                Err(error) => unreadable(&path, &error),
            }
        }
        merged
    }

    /// Adds what a later file has and none before it.
    fn append(&mut self, mut later: Document) {
        let before = self.0.object("auths").cloned().unwrap_or_default();
        for (key, login) in std::mem::take(later.object_mut("auths")) {
            let is_empty = login.as_object().is_none_or(Map::is_empty);
            if !is_empty && !before.keys().any(|above| covers(above, &key)) {
                self.0.object_mut("auths").insert(key, login);
            }
        }
        for (registry, helper) in std::mem::take(later.object_mut("credHelpers")) {
            if !before.keys().any(|key| is_of(key, &registry)) {
                let helpers = self.0.object_mut("credHelpers");
                helpers.entry(registry).or_insert(helper);
            }
        }
        for (name, value) in later.0 {
            self.0.0.entry(name).or_insert(value);
        }
    }

    /// Returns true if the user is logged in to an image's repository, a path above it or its
    /// registry.
    pub(super) async fn has_login(&self, image: &ImageName) -> bool {
        if let Some(helper) = self.0.helper(&image.registry) {
            return is_kept_by(helper, &image.registry).await;
        }
        let name = image.path.split([':', '@']).next().unwrap_or_default();
        let name = format!("{}/{name}", image.registry);
        let mut auths = self.0.object("auths").into_iter().flatten();
        auths.any(|(key, login)| {
            let is_meant = covers(key, &name) || (is_url(key) && is_of(key, &image.registry));
            is_meant && lasts(login)
        })
    }

    pub(super) fn add(&mut self, registry: &str, auth: &Secret) {
        self.0.add(registry, auth);
        self.0.object_mut("credHelpers").remove(registry);
    }

    /// The content of the file.
    pub(super) fn content(&self) -> String {
        Value::Object(self.0.0.clone()).to_string()
    }
}

/// Returns true if the login of a key is that of a longer key, too.
fn covers(above: &str, key: &str) -> bool {
    let rest = key.strip_prefix(above);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn is_url(key: &str) -> bool {
    key.contains("://")
}

/// The files that are read, in order.
fn paths() -> Vec<PathBuf> {
    let variable = |name: &str| {
        let value = env::var_os(name).filter(|value| !value.is_empty());
        value.map(PathBuf::from)
    };
    if let Some(file) = variable("REGISTRY_AUTH_FILE") {
        return vec![file];
    }
    if let Some(folder) = variable("DOCKER_CONFIG") {
        return vec![folder.join("config.json")];
    }
    let home = env::home_dir();
    let in_home = |path: &str| home.as_ref().map(|home| home.join(path));
    let runtime = variable("XDG_RUNTIME_DIR").map(|folder| folder.join("containers/auth.json"));
    let runtime = runtime.unwrap_or_else(|| {
        let user = rustix::process::geteuid().as_raw();
        PathBuf::from(format!("/run/containers/{user}/auth.json"))
    });
    let config = variable("XDG_CONFIG_HOME").or_else(|| in_home(".config"));
    let config = config.map(|folder| folder.join("containers/auth.json"));
    let docker = in_home(".docker/config.json");
    [Some(runtime), config, docker]
        .into_iter()
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn document(value: &Value) -> Document {
        Document(value.as_object().unwrap().clone())
    }

    #[test]
    fn an_earlier_file_counts_first() {
        let mut file = AuthFile::default();
        file.append(document(&json!({
            "auths": {"h": {"auth": "1"}, "o/team/app": {"auth": "1"}, "empty": {}},
            "credHelpers": {"x": "first"},
        })));
        file.append(document(&json!({
            "auths": {
                "h": {"auth": "2"},
                "h/team": {"auth": "2"},
                "h:5000": {"auth": "2"},
                "o": {"auth": "2"},
                "empty": {"auth": "2"},
            },
            "credHelpers": {"x": "second", "h": "second", "y": "second"},
            "credsStore": "second",
        })));
        let merged: Value = serde_json::from_str(&file.content()).unwrap();
        let expected = json!({
            "auths": {
                "h": {"auth": "1"},
                "h:5000": {"auth": "2"},
                "o/team/app": {"auth": "1"},
                "o": {"auth": "2"},
                "empty": {"auth": "2"},
            },
            "credHelpers": {"x": "first", "y": "second"},
            "credsStore": "second",
        });
        assert_eq!(merged, expected);
    }

    #[tokio::test]
    async fn a_login_of_a_path_is_that_of_what_is_below() {
        let login = json!({"auth": "dTpw"});
        let mut file = AuthFile::default();
        file.append(document(&json!({"auths": {
            "h/team": login,
            "https://url/v2/": login,
        }})));
        for (registry, path, expected) in [
            ("h", "team/app:1", true),
            ("h", "team:1", true),
            ("h", "teams/app", false),
            ("h", "app", false),
            ("url", "app", true),
        ] {
            let image = ImageName {
                registry: registry.to_owned(),
                path: path.to_owned(),
            };
            assert_eq!(file.has_login(&image).await, expected, "{registry}/{path}");
        }
    }

    #[test]
    fn a_token_goes_before_a_helper() {
        let mut file = AuthFile::default();
        file.append(document(&json!({"credHelpers": {"h": "x", "o": "y"}})));
        file.add("h", &Secret::new("token"));
        let content: Value = serde_json::from_str(&file.content()).unwrap();
        assert_eq!(content["auths"], json!({"h": {"auth": "token"}}));
        assert_eq!(content["credHelpers"], json!({"o": "y"}));
    }
}
