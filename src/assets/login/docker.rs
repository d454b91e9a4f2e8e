//! Docker's configuration for one build: the user's, with more logins. nerdctl and Finch read the
//! same.
//!
//! Docker asks the helper that `credHelpers` names for a registry, or else the store that
//! `credsStore` names, and reads `auths` only where there is neither
//! ([`getConfiguredCredentialStore`](https://github.com/docker/cli/blob/master/cli/config/configfile/file.go)).
//! So that a token in `auths` is read, its registry has an empty helper: Docker takes that for
//! none. The store stays for all other registries.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::document::{DOCKER_HUB_KEY, Document, Unreadable, is_kept_by, is_of, lasts};
use super::images::ImageName;
use crate::redact::Secret;

const FILE: &str = "config.json";
/// The place where buildx keeps its state, in place of `buildx` in Docker's folder.
const BUILDX: &str = "BUILDX_CONFIG";

/// Docker's configuration.
pub(super) struct DockerConfig {
    /// The user's folder.
    folder: Option<PathBuf>,
    document: Document,
}

impl DockerConfig {
    /// The user's. One that cannot be read is taken for an empty one, as Docker does.
    pub(super) fn of_user(unreadable: impl Fn(&Path, &Unreadable)) -> Self {
        let variable = env::var_os("DOCKER_CONFIG").filter(|value| !value.is_empty());
        let folder = variable.map(PathBuf::from);
        let folder = folder.or_else(|| Some(env::home_dir()?.join(".docker")));
        // Builders run elsewhere than this program.
        let folder = folder.map(|folder| std::path::absolute(&folder).unwrap_or(folder));
        let document = folder.as_ref().map(|folder| {
            let path = folder.join(FILE);
            Document::read(&path).unwrap_or_else(|error| {
                unreadable(&path, &error);
                Document::default()
            })
        });
        Self {
            folder,
            document: document.unwrap_or_default(),
        }
    }

    /// Returns true if the user is logged in to an image's registry.
    pub(super) async fn has_login(&self, image: &ImageName) -> bool {
        let key = key(&image.registry);
        let helper = self.document.helper(key);
        let helper = helper.or_else(|| self.document.text("credsStore"));
        if let Some(helper) = helper.filter(|helper| !helper.is_empty()) {
            return is_kept_by(helper, key).await;
        }
        let mut auths = self.document.object("auths").into_iter().flatten();
        auths.any(|(key, login)| is_of(key, &image.registry) && lasts(login))
    }

    pub(super) fn add(&mut self, registry: &str, auth: &Secret) {
        let key = key(registry);
        self.document.add(key, auth);
        let has_store = self.document.text("credsStore").is_some();
        if has_store || self.document.helper(key).is_some() {
            let helpers = self.document.object_mut("credHelpers");
            helpers.insert(key.to_owned(), Value::from(""));
        }
    }

    /// The content of `config.json`.
    pub(super) fn content(&self) -> String {
        Value::Object(self.document.0.clone()).to_string()
    }

    /// The place where `config.json` is in a folder for one build.
    pub(super) fn file(folder: &Path) -> PathBuf {
        folder.join(FILE)
    }

    /// The variables that lead Docker to a folder for one build. buildx keeps its state in the user's
    /// folder, be it there yet or not.
    pub(super) fn variables(&self, folder: &Path) -> Vec<(&'static str, PathBuf)> {
        let mut variables = vec![("DOCKER_CONFIG", folder.to_owned())];
        if let Some(user) = &self.folder
            && env::var_os(BUILDX).is_none()
        {
            variables.push((BUILDX, user.join("buildx")));
        }
        variables
    }

    /// Lets a folder lead to all else in the user's: plugins such as buildx, contexts, certificates.
    pub(super) fn link_rest(&self, to: &Path) -> std::io::Result<()> {
        let Some(entries) = self
            .folder
            .as_ref()
            .and_then(|from| fs::read_dir(from).ok())
        else {
            return Ok(());
        };
        let names: BTreeSet<_> = entries.flatten().map(|entry| entry.path()).collect();
        for path in names {
            let name = path.file_name().filter(|name| *name != FILE);
            if let Some(name) = name {
                symlink(&path, to.join(name))?;
            }
        }
        Ok(())
    }
}

/// The key of a registry's login.
fn key(registry: &str) -> &str {
    if registry == "docker.io" {
        DOCKER_HUB_KEY
    } else {
        registry
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config(document: &Value) -> DockerConfig {
        DockerConfig {
            folder: None,
            document: Document(document.as_object().unwrap().clone()),
        }
    }

    #[test]
    fn a_token_is_read_though_there_is_a_store() {
        let login = json!({"auth": "token"});
        for (before, helpers) in [
            (json!({}), json!(null)),
            (json!({"credsStore": "x"}), json!({"h": ""})),
            (
                json!({"credHelpers": {"h": "y", "o": "z"}}),
                json!({"h": "", "o": "z"}),
            ),
            (json!({"credHelpers": {"o": "z"}}), json!({"o": "z"})),
        ] {
            let mut config = config(&before);
            config.add("h", &Secret::new("token"));
            let after: Value = serde_json::from_str(&config.content()).unwrap();
            assert_eq!(after["auths"]["h"], login);
            assert_eq!(after["credHelpers"], helpers, "{before}");
            assert_eq!(after["credsStore"], before["credsStore"]);
        }
    }

    #[tokio::test]
    async fn a_login_of_the_users_is_found() {
        let image = ImageName {
            registry: "h".to_owned(),
            path: "app".to_owned(),
        };
        let auths = json!({"https://h/v2/": {"auth": "dTpw"}});
        assert!(config(&json!({"auths": auths})).has_login(&image).await);
        let of_store = json!({"auths": auths, "credsStore": "no/such/store"});
        assert!(!config(&of_store).has_login(&image).await);
        let marked = json!({"auths": {"h": {}}});
        assert!(!config(&marked).has_login(&image).await);
    }
}
