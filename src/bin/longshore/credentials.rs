//! Credentials from where `docker login` and `podman login` keep them, and from Docker's helpers.

use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use longshore::content;
use longshore::oci::Repository;
use longshore::redact::Secret;
use longshore::registry::{CredentialProvider, Credentials};

use crate::docker_config::{AuthFile, LoginFile, auth_files, key};
use crate::output;

/// What the helpers of Docker print for a registry that they know nothing of.
const NOT_FOUND: &str = "credentials not found in native keychain";

/// Reads the configuration of Docker and podman whenever the registry of a repository asks for
/// credentials.
pub(crate) struct DockerConfig {
    repository: Repository,
}

impl DockerConfig {
    /// For one repository.
    pub(crate) fn of(repository: &Repository) -> Self {
        Self {
            repository: repository.clone(),
        }
    }
}

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

impl CredentialProvider for DockerConfig {
    fn credentials<'a>(
        &'a self,
        registry: &'a str,
    ) -> BoxFuture<'a, content::Result<Option<Credentials>>> {
        let registry = registry.to_owned();
        async move {
            let repository = self.repository.name().to_owned();
            let unreadable = Error::Unreadable {
                registry: registry.clone(),
            };
            let reading = tokio::task::spawn_blocking(move || read(&registry, &repository));
            let read = reading.await.unwrap_or(Err(unreadable));
            // Many images are for everyone. If this one is not, the registry says so.
            Ok(read.unwrap_or_else(|error| {
                output::warn(&format!("longshore: {error}; going on without a login"));
                None
            }))
        }
        .boxed()
    }
}

/// The first login that is kept for a repository: in `DOCKER_AUTH_CONFIG`, in Docker's
/// configuration or in podman's.
fn read(registry: &str, repository: &str) -> Result<Option<Credentials>, Error> {
    let malformed = |_| Error::Malformed {
        registry: registry.to_owned(),
    };
    if let Ok(text) = std::env::var("DOCKER_AUTH_CONFIG")
        && let Some(login) = parse(&text, registry)?.login(registry).map_err(malformed)?
    {
        return Ok(Some(login));
    }
    for auth_file in auth_files() {
        let text = match std::fs::read_to_string(auth_file.path()) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(_) => {
                return Err(Error::Unreadable {
                    registry: registry.to_owned(),
                });
            }
        };
        let file = parse(&text, registry)?;
        let login = match auth_file {
            AuthFile::Docker(_) if file.helper(registry).is_some() => ask_helper(registry)?,
            AuthFile::Docker(_) => file.login(registry).map_err(malformed)?,
            AuthFile::Podman(_) => file
                .login_of_repository(registry, repository)
                .map_err(malformed)?,
        };
        if login.is_some() {
            return Ok(login);
        }
    }
    Ok(None)
}

fn parse(text: &str, registry: &str) -> Result<LoginFile, Error> {
    LoginFile::parse(text).map_err(|_| Error::Unreadable {
        registry: registry.to_owned(),
    })
}

/// Asks the helper that Docker's configuration names for a registry.
fn ask_helper(registry: &str) -> Result<Option<Credentials>, Error> {
    use CredentialRetrievalError as Failure;
    let owned = || registry.to_owned();
    match get_credential(key(registry)) {
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
        Err(Failure::ConfigReadError) => Err(Error::Unreadable { registry: owned() }),
        Err(_) => Err(Error::Malformed { registry: owned() }),
    }
}
