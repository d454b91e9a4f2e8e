//! Reaching both sides: which client, under which identity, with which credentials.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;

use tracing::{info, warn};

use super::{Access, AllowedRegistries, Credentials, Error, HttpsLocation, S3Location, Target};
use crate::aws::{
    self, Clients, EcrCredentials, EcrHost, EcrRepository, Ensured, PublicCredentials,
    RepositorySettings, SecretCredentials,
};
use crate::content::{RemoteObject, Tally};
use crate::oci::{Repository, Tag};
use crate::registry::{self, Anonymous, Client, CredentialProvider, RemoteRepository};
use crate::web;

/// Manifests that ECR takes in a second, of an account in a region: its quota is 10, and a stack
/// is rarely alone.
const ECR_MANIFEST_PUSHES: NonZeroU32 = NonZeroU32::new(8).unwrap();

/// Gives the provider of the credentials for a repository.
type Logins = Arc<dyn Fn(&Repository) -> Arc<dyn CredentialProvider> + Send + Sync>;

/// Clients of registries and of AWS: made once, shared by every deployment.
#[derive(Clone)]
pub struct Reach {
    registries: Client,
    aws: Clients,
    logins: Logins,
    web: web::Config,
    allowed: AllowedRegistries,
    pulls_only: bool,
}

/// The way in which registries are reached: as the environment, read by `lookup`, asks for
/// ([`registry::Config::from_env`]), and with the manners that ECR expects.
pub fn registry_config(lookup: impl Fn(&str) -> Option<String>) -> Result<registry::Config, Error> {
    let mut config = registry::Config::from_env(lookup).map_err(|e| Error::Setup(e.into()))?;
    config.manifest_pushes_per_second =
        |registry| EcrHost::parse(registry).map(|_| ECR_MANIFEST_PUSHES);
    Ok(config)
}

/// Which registries may be read from and written to: as the environment, read by `lookup`, says
/// ([`AllowedRegistries::from_env`]).
pub fn allowed_registries(
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<AllowedRegistries, Error> {
    AllowedRegistries::from_env(lookup).map_err(|e| Error::AllowedSetup(e.into()))
}

/// The way in which web servers are read from: as the environment, read by `lookup`, asks for
/// ([`web::Config::from_env`]).
pub fn web_config(lookup: impl Fn(&str) -> Option<String>) -> Result<web::Config, Error> {
    web::Config::from_env(lookup).map_err(|e| Error::WebSetup(e.into()))
}

impl Reach {
    /// Reaches registries by `registries` and AWS by `aws`, and no web server.
    pub fn new(registries: Client, aws: Clients) -> Self {
        Self {
            registries,
            aws,
            logins: Arc::new(|_| Arc::new(Anonymous)),
            web: web::Config::default(),
            allowed: AllowedRegistries::any(),
            pulls_only: false,
        }
    }

    /// Reads archives from the web servers that `web` allows.
    #[must_use]
    pub fn with_web(mut self, web: web::Config) -> Self {
        self.web = web;
        self
    }

    /// Reads from and writes to registries that `allowed` names, and no others.
    #[must_use]
    pub fn with_allowed(mut self, allowed: AllowedRegistries) -> Self {
        self.allowed = allowed;
        self
    }

    /// Grants nothing on repositories but pulling from them.
    #[must_use]
    pub fn granting_pulls_only(mut self, pulls_only: bool) -> Self {
        self.pulls_only = pulls_only;
        self
    }

    /// The client of registries.
    pub(super) fn registries(&self) -> &Client {
        &self.registries
    }

    pub(super) fn grants_pulls_only(&self) -> bool {
        self.pulls_only
    }

    /// Returns true if nothing can be at a destination because it may not be written to. What was
    /// pushed before it was forbidden is left there.
    pub(super) fn is_forbidden(&self, repository: &Repository) -> bool {
        let is_forbidden = !self.allowed.allow_destination(repository);
        if is_forbidden {
            warn!(%repository, "the destination is not allowed, so nothing is removed from it");
        }
        is_forbidden
    }

    /// Takes the credentials for a repository from `logins` where its registry is not ECR and no
    /// secret is named.
    #[must_use]
    pub fn with_logins(
        mut self,
        logins: impl Fn(&Repository) -> Arc<dyn CredentialProvider> + Send + Sync + 'static,
    ) -> Self {
        self.logins = Arc::new(logins);
        self
    }

    /// A repository to copy from, under the identity and with the credentials that `access` names.
    pub(super) async fn source(
        &self,
        repository: &Repository,
        access: &Access,
    ) -> Result<Arc<RemoteRepository>, Error> {
        if !self.allowed.allow_source(repository) {
            return Err(Error::ForbiddenSource {
                repository: repository.clone(),
            });
        }
        self.repository(repository, access, PublicCredentials::for_pull)
            .await
    }

    /// A repository to copy to, or to remove from.
    pub(super) async fn destination(
        &self,
        repository: &Repository,
        access: &Access,
    ) -> Result<Arc<RemoteRepository>, Error> {
        if !self.allowed.allow_destination(repository) {
            return Err(Error::ForbiddenDestination {
                repository: repository.clone(),
            });
        }
        self.repository(repository, access, PublicCredentials::for_push)
            .await
    }

    async fn repository(
        &self,
        repository: &Repository,
        access: &Access,
        public: fn(&Clients) -> PublicCredentials,
    ) -> Result<Arc<RemoteRepository>, Error> {
        let credentials = self.credentials(repository, access, public).await;
        let remote = self.registries.repository(repository.clone(), credentials);
        remote.map(Arc::new).map_err(|source| Error::Repository {
            repository: repository.clone(),
            source,
        })
    }

    /// The repository as ECR's API has it, where it is a private one of ECR.
    pub(super) async fn ecr(
        &self,
        repository: &Repository,
        access: &Access,
    ) -> Option<EcrRepository> {
        let EcrHost::Private(host) = EcrHost::parse(repository.registry())? else {
            return None;
        };
        let clients = self.clients(access).await;
        Some(EcrRepository::new(&clients, &host, repository.name()))
    }

    /// Sees to it that a repository of ECR is there. One that is there stays as it is, and what
    /// differs from `settings` is logged. Other registries are left to themselves.
    pub(super) async fn ensure(
        &self,
        target: &Target,
        settings: &RepositorySettings,
    ) -> Result<(), Error> {
        let Some(ecr) = self.ecr(&target.repository, &target.access).await else {
            return Ok(());
        };
        let repository = &target.repository;
        let ensured = ecr.ensure(settings).await;
        match ensured.map_err(|error| Error::Create(Box::new(error)))? {
            Ensured::Created => info!(%repository, "the repository was created"),
            Ensured::Present(differences) => {
                for difference in differences {
                    warn!(%repository, %difference, "the repository is left as it is");
                }
            }
        }
        Ok(())
    }

    /// The object that holds an archive.
    pub(super) async fn object(
        &self,
        at: &S3Location,
        access: &Access,
    ) -> Result<RemoteObject, Error> {
        let location = aws::Location {
            bucket: at.bucket.clone(),
            key: at.key.clone(),
            version_id: at.version_id.clone(),
            region: None,
        };
        let clients = self.clients(access).await;
        let opened = aws::open_object(&clients, location).await;
        opened.map_err(|error| Error::Object(Box::new(error)))
    }

    /// The object of a web server that holds an archive. Its client is made for it: few
    /// deployments need one.
    pub(super) async fn web_object(&self, at: &HttpsLocation) -> Result<RemoteObject, Error> {
        let opened = web::open_object(self.web.clone(), at.url.clone()).await;
        opened.map_err(|error| Error::Web(Box::new(error)))
    }

    /// The same, with so many attempts of one request to a registry or web server at the most.
    pub(super) fn with_attempts(&self, attempts: Option<NonZeroUsize>) -> Self {
        let Some(attempts) = attempts.and_then(|attempts| NonZeroU32::try_from(attempts).ok())
        else {
            return self.clone();
        };
        Self {
            registries: self.registries.clone().with_attempts(attempts.get()),
            web: web::Config {
                attempts,
                ..self.web.clone()
            },
            ..self.clone()
        }
    }

    /// The same, which counts in `tally` what it has to ask a registry or web server again.
    pub(super) fn with_tally(&self, tally: &Arc<Tally>) -> Self {
        Self {
            registries: self.registries.clone().with_tally(Arc::clone(tally)),
            web: web::Config {
                tally: Arc::clone(tally),
                ..self.web.clone()
            },
            ..self.clone()
        }
    }

    async fn credentials(
        &self,
        repository: &Repository,
        access: &Access,
        public: fn(&Clients) -> PublicCredentials,
    ) -> Arc<dyn CredentialProvider> {
        match &access.credentials {
            Some(Credentials::Given(credentials)) => return Arc::new(credentials.clone()),
            Some(Credentials::Stored(secret)) => {
                let stored = SecretCredentials::new(&self.clients(access).await, secret);
                return Arc::new(stored.only_for(self.allowed.secrets()));
            }
            None => {}
        }
        match EcrHost::parse(repository.registry()) {
            Some(EcrHost::Private(host)) => {
                Arc::new(EcrCredentials::new(&self.clients(access).await, &host))
            }
            Some(EcrHost::Public) => Arc::new(public(&self.clients(access).await)),
            None => (self.logins)(repository),
        }
    }

    /// Returns true if the repository has an image under this tag.
    pub async fn has_tag(
        &self,
        repository: &Repository,
        tag: &Tag,
        access: &Access,
    ) -> Result<bool, Error> {
        let reference = repository.tagged(tag);
        let remote = self.destination(repository, access).await?;
        match remote.resolve(&reference).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(source) => Err(Error::Resolve { reference, source }),
        }
    }

    /// The tags of a repository, as its registry lists them.
    pub async fn tags(&self, repository: &Repository, access: &Access) -> Result<Vec<Tag>, Error> {
        let remote = self.source(repository, access).await?;
        let tags = remote.tags().await;
        tags.map_err(|error| Error::untagged(repository, error))
    }

    /// AWS under the identity that `access` names.
    pub async fn clients(&self, access: &Access) -> Clients {
        match &access.role {
            None => self.aws.clone(),
            Some(role) => {
                let id = role.external_id.clone();
                let role = aws::Role::new(&role.arn, id, &role.purpose);
                self.aws.assume(&role).await
            }
        }
    }
}
