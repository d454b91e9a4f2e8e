//! The file by which a pipeline of CDK says whose logins a build uses: `cdk-docker-creds.json`, as
//! `cdk-assets` reads it.

use std::env;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::document::{Document, Unreadable, is_of};
use crate::aws::{
    Clients, EcrCredentials, EcrHost, PrivateHost, PublicCredentials, SecretCredentials,
};
use crate::registry::CredentialProvider;

/// The file's path, in place of `.cdk/cdk-docker-creds.json` in the user's folder.
const VARIABLE: &str = "CDK_DOCKER_CREDS_FILE";

/// Which registries have logins of their own.
#[derive(Default)]
pub(super) struct CdkCredentials(Document);

/// The place where the login of a registry is.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(super) struct Domain {
    #[serde(default)]
    secrets_manager_secret_id: Option<String>,
    #[serde(default)]
    secrets_username_field: Option<String>,
    #[serde(default)]
    secrets_password_field: Option<String>,
    /// CDK writes `true`.
    #[serde(default)]
    ecr_repository: Value,
    /// The role that may have the login.
    #[serde(default)]
    pub(super) assume_role_arn: Option<String>,
}

/// An entry that names no login.
#[derive(Clone, Debug, thiserror::Error)]
#[error("its entry in the file of {VARIABLE} has neither secretsManagerSecretId nor ecrRepository")]
pub(super) struct NoLogin;

impl CdkCredentials {
    /// The user's. Without a file, there are none.
    pub(super) fn of_user(unreadable: impl Fn(&Path, &Unreadable)) -> Self {
        let path = match env::var_os(VARIABLE) {
            Some(path) => Some(PathBuf::from(path)),
            None => env::home_dir().map(|home| home.join(".cdk/cdk-docker-creds.json")),
        };
        let Some(path) = path.filter(|path| !path.as_os_str().is_empty()) else {
            return Self::default();
        };
        let document = Document::read(&path).unwrap_or_else(|error| {
            unreadable(&path, &error);
            Document::default()
        });
        Self(document)
    }

    /// The entry of a registry: its host, or a URL of it.
    pub(super) fn of(&self, registry: &str) -> Option<Result<Domain, NoLogin>> {
        let domains = self.0.0.get("domainCredentials")?.as_object()?;
        let mut by_url = domains.iter().filter(|(key, _)| is_of(key, registry));
        let by_url = || by_url.next().map(|(_, entry)| entry);
        let entry = domains.get(registry).or_else(by_url)?;
        let domain = Domain::deserialize(entry).ok().filter(Domain::has_login);
        Some(domain.ok_or(NoLogin))
    }
}

impl Domain {
    fn has_login(&self) -> bool {
        self.secret().is_some() || self.is_ecr()
    }

    fn secret(&self) -> Option<&str> {
        let id = self.secrets_manager_secret_id.as_deref();
        id.filter(|id| !id.is_empty())
    }

    fn is_ecr(&self) -> bool {
        match &self.ecr_repository {
            Value::Bool(is_ecr) => *is_ecr,
            Value::String(repository) => !repository.is_empty(),
            _ => false,
        }
    }

    /// The login of a registry, under an identity that may have it.
    pub(super) fn login(&self, registry: &str, clients: &Clients) -> Box<dyn CredentialProvider> {
        if let Some(secret) = self.secret() {
            let username = self.secrets_username_field.as_deref();
            let password = self.secrets_password_field.as_deref();
            let secret = SecretCredentials::new(clients, secret)
                .in_fields(username.unwrap_or("username"), password.unwrap_or("secret"));
            return Box::new(secret);
        }
        match EcrHost::parse(registry) {
            Some(EcrHost::Public) => Box::new(PublicCredentials::for_push(clients)),
            Some(EcrHost::Private(host)) => Box::new(EcrCredentials::new(clients, &host)),
            // A name of someone's own before ECR.
            None => Box::new(EcrCredentials::new(
                clients,
                &PrivateHost {
                    account: None,
                    region: clients.region().to_owned(),
                    fips: false,
                    dual_stack: false,
                },
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn file(domains: &Value) -> CdkCredentials {
        let file = json!({"version": "0.1", "domainCredentials": domains});
        CdkCredentials(Document(file.as_object().unwrap().clone()))
    }

    #[test]
    fn entries_are_those_of_pipelines() {
        let ecr = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
        let file = file(&json!({
            "https://index.docker.io/v1/": {"secretsManagerSecretId": "hub"},
            ecr: {"ecrRepository": true, "assumeRoleArn": "role"},
            "named.example": {"ecrRepository": "base"},
            "https://url.example:5000": {
                "secretsManagerSecretId": "id",
                "secretsUsernameField": "u",
                "secretsPasswordField": "p",
            },
            "nothing.example": {"ecrRepository": false, "secretsManagerSecretId": ""},
            "wrong.example": 1,
        }));
        let found = |registry: &str| file.of(registry).unwrap().unwrap();
        assert_eq!(found("docker.io").secret(), Some("hub"));
        assert_eq!(found(ecr).assume_role_arn.as_deref(), Some("role"));
        assert!(found(ecr).is_ecr() && found("named.example").is_ecr());
        let url = found("url.example:5000");
        assert_eq!(url.secrets_username_field.as_deref(), Some("u"));
        assert_eq!(url.secrets_password_field.as_deref(), Some("p"));
        for registry in ["nothing.example", "wrong.example"] {
            assert!(file.of(registry).unwrap().is_err(), "{registry}");
        }
        assert!(file.of("other.example").is_none());
        assert!(CdkCredentials::default().of("docker.io").is_none());
    }
}
