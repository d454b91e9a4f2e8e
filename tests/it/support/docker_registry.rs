//! The registry that Docker wrote, as Debian packages it.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use reqwest::header::ACCEPT;
use serde_json::{Value, json};

use super::process::Server;
use super::token_server::{self, TokenServer};

/// The password in the authorization token that moto's ECR hands out, and its bcrypt hash (any
/// cost will do).
const PASSWORD_LINE: &str = "AWS:$2b$04$uMldPvs/uFPdrJ7S9Pn/fu8Omn7AWA3mNZruemD90IpLS9sApuXyS";
pub(crate) const PASSWORD: &str = "123456789012-auth-token";
/// The same of another account.
const OTHER_PASSWORD_LINE: &str =
    "AWS:$2b$04$uMldPvs/uFPdrJ7S9Pn/fuw/iPQKKNig0nPzXBIw9.90G6MsWMmdK";
pub(crate) const OTHER_PASSWORD: &str = "210987654321-auth-token";
pub(crate) const OTHER_ACCOUNT: &str = "210987654321";

const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, \
     application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, \
     application/vnd.docker.distribution.manifest.list.v2+json";

/// An empty `docker-registry` that takes only the user and password of moto's ECR.
pub(crate) struct DockerRegistry {
    server: Server,
}

impl DockerRegistry {
    pub(crate) fn start() -> Self {
        Self::start_for(PASSWORD_LINE)
    }

    /// That of another account.
    pub(crate) fn start_for_other_account() -> Self {
        Self::start_for(OTHER_PASSWORD_LINE)
    }

    fn start_for(password: &str) -> Self {
        Self::start_with(|directory| {
            let passwords = directory.join("htpasswd");
            std::fs::write(&passwords, password).expect("a password file");
            json!({ "htpasswd": { "realm": "test", "path": passwords } })
        })
    }

    /// One that believes the tokens of a token server instead.
    pub(crate) fn start_with_tokens(tokens: &TokenServer) -> Self {
        Self::start_with(|_| {
            json!({ "token": {
                "realm": tokens.url(),
                "service": token_server::SERVICE,
                "issuer": token_server::ISSUER,
                "rootcertbundle": tokens.certificate(),
            }})
        })
    }

    /// One that is told by `auth`, which may put files into its directory, whom to let in.
    fn start_with(auth: impl FnOnce(&Path) -> Value) -> Self {
        let server = Server::start("docker-registry", |address, directory| {
            let config = directory.join("config.yml");
            let text = json!({
                "version": "0.1",
                "storage": {
                    "filesystem": { "rootdirectory": directory.join("storage") },
                    "delete": { "enabled": true },
                },
                "auth": auth(directory),
                "http": { "addr": address.to_string() },
            });
            std::fs::write(&config, text.to_string()).expect("a configuration file");
            let mut command = Command::new("docker-registry");
            command.arg("serve").arg(config);
            command
        });
        Self { server }
    }

    /// Its origin, such as `http://127.0.0.1:5000`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// Every request so far, one line each.
    pub(crate) fn log(&self) -> String {
        self.server.log()
    }

    /// Its host and port.
    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// How `skopeo` names a repository or tag here.
    pub(crate) fn skopeo_name(&self, name: &str) -> String {
        format!("docker://{}/{name}", self.server.address())
    }

    /// Removes what is under a tag, with all its tags. What is not there is removed already.
    pub(crate) async fn delete(&self, repository: &str, tag: &str) {
        let url = |key: &str| format!("{}/v2/{repository}/manifests/{key}", self.url());
        let client = reqwest::Client::new();
        let authorized = |request: reqwest::RequestBuilder| {
            request
                .header(ACCEPT, MANIFESTS)
                .basic_auth("AWS", Some(PASSWORD))
        };
        let found = authorized(client.head(url(tag))).send().await;
        let found = found.expect("an answer of the registry");
        if found.status() == reqwest::StatusCode::NOT_FOUND {
            return;
        }
        let digest = found.headers()["docker-content-digest"].to_str();
        let removed = authorized(client.delete(url(digest.expect("a digest"))));
        let removed = removed.send().await.expect("an answer of the registry");
        assert!(removed.status().is_success(), "{}", removed.status());
    }

    /// The manifest under a tag or digest, as the registry serves it; `None` where there is none.
    pub(crate) async fn manifest(&self, repository: &str, key: &str) -> Option<Value> {
        self.manifest_with(PASSWORD, repository, key).await
    }

    /// The same with another password.
    pub(crate) async fn manifest_with(
        &self,
        password: &str,
        repository: &str,
        key: &str,
    ) -> Option<Value> {
        let url = format!("{}/v2/{repository}/manifests/{key}", self.url());
        let response = reqwest::Client::new()
            .get(url)
            .header(ACCEPT, MANIFESTS)
            .basic_auth("AWS", Some(password))
            .send()
            .await
            .expect("an answer of the registry");
        if response.status() == reqwest::StatusCode::NOT_FOUND {
            return None;
        }
        let body = response
            .error_for_status()
            .expect("a manifest")
            .bytes()
            .await;
        Some(serde_json::from_slice(&body.expect("a manifest")).expect("a manifest"))
    }
}
