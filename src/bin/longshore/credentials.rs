//! Credentials from where `docker login` keeps them: `~/.docker/config.json` and its helpers.

use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use longshore::content::{self, Retryable};
use longshore::redact::Secret;
use longshore::registry::{CredentialProvider, Credentials};

/// The key under which Docker keeps what Docker Hub is told.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";
/// What the helpers of Docker print for a registry that they know nothing of.
const NOT_FOUND: &str = "credentials not found in native keychain";

/// Reads Docker's configuration whenever a registry asks for credentials.
pub(crate) struct DockerConfig;

/// Docker's configuration could not be read. Shows nothing that a helper printed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(
        "docker's credential helper {helper:?} failed for {registry}; try `docker login {registry}`"
    )]
    Helper { helper: String, registry: String },
    #[error(
        "docker's credential helper for {registry} cannot be run; see credsStore and credHelpers \
         in docker's config.json"
    )]
    NoHelper { registry: String },
    #[error("malformed credentials for {registry} in docker's config.json; log in again")]
    Malformed { registry: String },
    #[error("docker's config.json cannot be read; check it with `docker login {registry}`")]
    Unreadable { registry: String },
}

impl Retryable for Error {
    fn is_retryable(&self) -> bool {
        false
    }
}

impl CredentialProvider for DockerConfig {
    fn credentials<'a>(
        &'a self,
        registry: &'a str,
    ) -> BoxFuture<'a, content::Result<Option<Credentials>>> {
        let registry = registry.to_owned();
        async move {
            let unreadable = Error::Unreadable {
                registry: registry.clone(),
            };
            let reading = tokio::task::spawn_blocking(move || read(&registry));
            let read = reading.await.unwrap_or(Err(unreadable));
            read.map_err(content::Error::backend)
        }
        .boxed()
    }
}

/// Runs a helper where the configuration names one.
fn read(registry: &str) -> Result<Option<Credentials>, Error> {
    use CredentialRetrievalError as Failure;
    let key = if registry == "docker.io" {
        DOCKER_HUB_KEY
    } else {
        registry
    };
    let owned = || registry.to_owned();
    match get_credential(key) {
        Ok(DockerCredential::UsernamePassword(username, password)) => {
            Ok(Some(Credentials::basic(username, password)))
        }
        Ok(DockerCredential::IdentityToken(token)) => {
            Ok(Some(Credentials::IdentityToken(Secret::new(token))))
        }
        Err(Failure::NoCredentialConfigured | Failure::ConfigNotFound) => Ok(None),
        Err(Failure::HelperFailure { stdout, .. }) if stdout.trim() == NOT_FOUND => Ok(None),
        Err(Failure::HelperFailure { helper, .. }) => Err(Error::Helper {
            helper,
            registry: owned(),
        }),
        Err(Failure::HelperCommunicationError) => Err(Error::NoHelper { registry: owned() }),
        Err(Failure::ConfigReadError) if !config_exists() => Ok(None),
        Err(Failure::ConfigReadError) => Err(Error::Unreadable { registry: owned() }),
        Err(_) => Err(Error::Malformed { registry: owned() }),
    }
}

fn config_exists() -> bool {
    let folder = std::env::var_os("DOCKER_CONFIG").map(std::path::PathBuf::from);
    let home = || Some(std::env::home_dir()?.join(".docker"));
    folder
        .or_else(home)
        .is_some_and(|folder| folder.join("config.json").exists())
}
