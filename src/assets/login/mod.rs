//! Logging builders in to the registries that they pull from.
//!
//! A builder pulls the images that a Dockerfile names itself. For the time of one build it gets a
//! configuration of its own: the user's, with tokens for the registries of ECR that the image goes
//! to, as `cdk-assets` logs Docker in to them, and for those that the Dockerfile names. The
//! configuration is a folder that only the user can read. It is gone when the build ends, and the
//! user's own stays as it is.
//!
//! A login that the user has for a registry that is only named in the Dockerfile is kept while it
//! lasts, since it may be another identity's. The file of [`cdk`] goes before both.

mod cdk;
mod docker;
mod document;
mod expand;
mod helper;
mod images;
mod podman;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as StdError;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::{fs, io};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;
use tokio::sync::{Mutex, OnceCell};

use super::Error;
use super::Report;
use crate::aws::{EcrCredentials, EcrHost, PrivateHost};
use crate::content::BoxError;
use crate::deploy::{Access, Reach, Role};
use crate::redact::Secret;
use crate::registry::{CredentialProvider, Credentials};
use cdk::{CdkCredentials, Domain, NoLogin};
use docker::DockerConfig;
use document::Unreadable;
pub(super) use images::{ImageName, images};
use podman::AuthFile;

/// The name of the file with Podman's logins: one that the user's folder does not have.
const AUTH_FILE: &str = "longshore-auth.json";

/// Logs builders in. One value serves all builds of a command: a secret is fetched once, and what is
/// refused is asked for and told once.
pub struct Logins {
    reach: Reach,
    /// The reason for which a role was assumed, as an auditor sees it.
    purpose: &'static str,
    cdk: OnceCell<CdkCredentials>,
    /// The logins that were found, by registry. `None`: it was refused. Tokens that are not asked
    /// for by the CDK's file are not here: they are kept elsewhere, and renewed.
    known: Mutex<BTreeMap<String, Option<Secret>>>,
    told: std::sync::Mutex<BTreeSet<String>>,
}

/// The logins of one build.
pub struct BuildLogins<'a> {
    logins: &'a Logins,
    /// The registries that the image goes to, by their hosts.
    destinations: Vec<(String, Origin)>,
    warn: Report<'a>,
}

/// Which files a builder reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// Docker's `config.json`.
    Docker,
    /// Podman's `auth.json`.
    Podman,
    /// Whichever: nobody knows which builder a command runs.
    Any,
}

/// A configuration for one build. Gone when dropped.
pub(super) struct Configuration {
    _folder: TempDir,
    /// The variables that lead a builder to it.
    pub(super) variables: Vec<(&'static str, PathBuf)>,
}

/// The place where the login of a registry comes from.
#[derive(Clone)]
enum Origin {
    Cdk(Result<Domain, NoLogin>),
    Ecr { host: PrivateHost, access: Access },
}

impl Origin {
    /// ECR itself, where the registry is a private one there.
    fn ecr(registry: &str, access: Access) -> Option<Self> {
        match EcrHost::parse(registry)? {
            EcrHost::Private(host) => Some(Self::Ecr { host, access }),
            EcrHost::Public => None,
        }
    }
}

impl Logins {
    /// Logs in by what `reach` reaches, for a purpose that an auditor sees.
    pub fn new(reach: Reach, purpose: &'static str) -> Self {
        Self {
            reach,
            purpose,
            cdk: OnceCell::new(),
            known: Mutex::default(),
            told: std::sync::Mutex::default(),
        }
    }

    /// The logins of a build whose image goes to these registries. `warn` takes what is refused.
    pub fn of_build<'a>(
        &'a self,
        destinations: impl IntoIterator<Item = (String, Access)>,
        warn: Report<'a>,
    ) -> BuildLogins<'a> {
        let destinations = destinations.into_iter().filter_map(|(registry, access)| {
            let origin = Origin::ecr(&registry, access)?;
            Some((registry, origin))
        });
        BuildLogins {
            logins: self,
            destinations: destinations.collect(),
            warn,
        }
    }

    async fn credentials(&self, registry: &str, origin: Origin) -> Result<Credentials, BoxError> {
        let credentials = match origin {
            Origin::Cdk(domain) => {
                let domain = domain?;
                let role = domain.assume_role_arn.clone().map(|arn| Role {
                    arn,
                    external_id: None,
                    purpose: self.purpose.to_owned(),
                });
                let access = Access {
                    credentials: None,
                    role,
                };
                let clients = self.reach.clients(&access).await;
                domain.login(registry, &clients).credentials(registry).await
            }
            Origin::Ecr { host, access } => {
                let clients = self.reach.clients(&access).await;
                EcrCredentials::new(&clients, &host)
                    .credentials(registry)
                    .await
            }
        };
        credentials?.ok_or_else(|| "there are no credentials".into())
    }
}

impl BuildLogins<'_> {
    /// A configuration by which a builder can pull these images. `None`: the user's will do.
    pub(super) async fn configure(
        &self,
        images: &BTreeSet<ImageName>,
        reader: Reader,
    ) -> Result<Option<Configuration>, Error> {
        if images.is_empty() && self.destinations.is_empty() {
            return Ok(None);
        }
        let mut files = Files::new(reader, self);
        let mut found = Vec::new();
        for (registry, origin) in self.origins(images, &mut files).await {
            found.extend(self.login(registry, origin).await);
        }
        if found.is_empty() {
            return Ok(None);
        }
        for (registry, auth) in &found {
            files.add(registry, auth);
        }
        files.write().map(Some)
    }

    /// The place where the logins come from, each registry's once. Nothing is sent for it.
    async fn origins(
        &self,
        images: &BTreeSet<ImageName>,
        files: &mut Files<'_>,
    ) -> BTreeMap<String, Origin> {
        let read = || async { CdkCredentials::of_user(|path, why| self.unreadable(path, why)) };
        let cdk = self.logins.cdk.get_or_init(read).await;
        let mut origins = BTreeMap::new();
        for (registry, ecr) in &self.destinations {
            let origin = cdk.of(registry).map_or_else(|| ecr.clone(), Origin::Cdk);
            origins.entry(registry.clone()).or_insert(origin);
        }
        for image in images {
            let registry = &image.registry;
            if origins.contains_key(registry) {
                continue;
            }
            if let Some(domain) = cdk.of(registry) {
                origins.insert(registry.clone(), Origin::Cdk(domain));
            } else if let Some(ecr) = Origin::ecr(registry, Access::default())
                && !files.have_login(image).await
            {
                origins.insert(registry.clone(), ecr);
            }
        }
        origins
    }

    /// The login of a registry. One that is refused is told, and is no failure: the image may be
    /// for everyone, or not be needed.
    async fn login(&self, registry: String, origin: Origin) -> Option<(String, Secret)> {
        let mut known = self.logins.known.lock().await;
        if let Some(known) = known.get(&registry) {
            return known.clone().map(|auth| (registry, auth));
        }
        let is_kept_elsewhere = matches!(origin, Origin::Ecr { .. });
        let auth = match self.logins.credentials(&registry, origin).await {
            Ok(Credentials::Basic { username, password }) => {
                let pair = format!("{username}:{}", password.expose());
                Some(Secret::new(STANDARD.encode(pair)))
            }
            Ok(Credentials::IdentityToken(_)) => None,
            Err(error) => {
                self.warn(&format!(
                    "cannot log the builder in to {registry}, and goes on without: {}",
                    chain(&*error)
                ));
                None
            }
        };
        if auth.is_none() || !is_kept_elsewhere {
            known.insert(registry.clone(), auth.clone());
        }
        auth.map(|auth| (registry, auth))
    }

    fn unreadable(&self, path: &Path, why: &Unreadable) {
        self.warn(&format!(
            "cannot use the logins in {}, and goes on without: {}",
            path.display(),
            chain(why)
        ));
    }

    fn warn(&self, warning: &str) {
        let told = self.logins.told.lock();
        let mut told = told.unwrap_or_else(PoisonError::into_inner);
        if told.insert(warning.to_owned()) {
            (self.warn)(warning);
        }
    }
}

/// The files that a builder reads, as the user has them. They are read when they are needed.
struct Files<'a> {
    reader: Reader,
    docker: Option<DockerConfig>,
    podman: Option<AuthFile>,
    build: &'a BuildLogins<'a>,
}

impl<'a> Files<'a> {
    fn new(reader: Reader, build: &'a BuildLogins<'a>) -> Self {
        Self {
            reader,
            docker: None,
            podman: None,
            build,
        }
    }

    fn docker(&mut self) -> Option<&mut DockerConfig> {
        let build = self.build;
        let read = || DockerConfig::of_user(|path, why| build.unreadable(path, why));
        (self.reader != Reader::Podman).then(|| self.docker.get_or_insert_with(read))
    }

    fn podman(&mut self) -> Option<&mut AuthFile> {
        let build = self.build;
        let read = || AuthFile::of_user(|path, why| build.unreadable(path, why));
        (self.reader != Reader::Docker).then(|| self.podman.get_or_insert_with(read))
    }

    async fn have_login(&mut self, image: &ImageName) -> bool {
        if let Some(docker) = self.docker()
            && !docker.has_login(image).await
        {
            return false;
        }
        match self.podman() {
            Some(podman) => podman.has_login(image).await,
            None => true,
        }
    }

    fn add(&mut self, registry: &str, auth: &Secret) {
        if let Some(docker) = self.docker() {
            docker.add(registry, auth);
        }
        if let Some(podman) = self.podman() {
            podman.add(registry, auth);
        }
    }

    fn write(mut self) -> Result<Configuration, Error> {
        let place = std::env::temp_dir();
        let folder = tempfile::Builder::new()
            .prefix("longshore-logins-")
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir_in(&place)
            .map_err(|error| Error::write(&place, error))?;
        let failed = |error| Error::write(folder.path(), error);
        let mut variables = Vec::new();
        if let Some(docker) = self.docker() {
            let path = DockerConfig::file(folder.path());
            write_secret(&path, &docker.content()).map_err(failed)?;
            docker.link_rest(folder.path()).map_err(failed)?;
            variables.extend(docker.variables(folder.path()));
        }
        if let Some(podman) = self.podman() {
            let path = folder.path().join(AUTH_FILE);
            write_secret(&path, &podman.content()).map_err(failed)?;
            variables.push(("REGISTRY_AUTH_FILE", path));
        }
        Ok(Configuration {
            _folder: folder,
            variables,
        })
    }
}

/// Writes a file that only the user can read.
fn write_secret(path: &Path, content: &str) -> io::Result<()> {
    let mut options = fs::File::options();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(content.as_bytes())
}

/// An error with its causes.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}
