//! Looking at registries without moving anything: tags, and the digests behind them.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::reach::Reach;
use super::{Access, Attestations, Error, Image, Location};
use crate::aws;
use crate::content::{Destination, ManifestKey};
use crate::copy::{self, Selection, Side, select};
use crate::oci::{Digest, Repository, Tag};
use crate::registry::{Allowance, RemoteRepository};

/// Looks at registries. What it learns of tokens and connections is kept from one look to the
/// next. Cheap to clone.
#[derive(Clone)]
pub struct Survey {
    reach: Reach,
    known: Arc<Mutex<KnownRepositories>>,
}

/// The repositories that were looked at, as each identity sees them.
type KnownRepositories = HashMap<(Repository, Side), Vec<Known>>;

/// A repository as one identity sees it.
struct Known {
    access: Access,
    remote: Arc<RemoteRepository>,
}

/// The digests behind a source at present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// The digest of the manifest or index that the source names.
    pub root: Digest,
    /// The digest that a destination gets: another one where platforms are selected.
    pub wanted: Digest,
}

impl Survey {
    /// Looks at what `reach` reaches.
    pub fn new(reach: Reach) -> Self {
        Self {
            reach,
            known: Arc::default(),
        }
    }

    /// The tags of a repository that images are copied from.
    pub async fn tags(&self, repository: &Repository, access: &Access) -> Result<Vec<Tag>, Error> {
        let remote = self.remote(repository, access, Side::Source).await?;
        let tags = remote.tags().await;
        tags.map_err(|error| Error::untagged(repository, error))
    }

    /// The tags of a repository that images are copied to. None, where it does not exist.
    pub async fn tags_at(
        &self,
        repository: &Repository,
        access: &Access,
    ) -> Result<Vec<Tag>, Error> {
        let remote = self.remote(repository, access, Side::Destination).await?;
        match remote.tags().await {
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            tags => tags.map_err(|error| Error::untagged(repository, error)),
        }
    }

    /// The digests that the image's source means. Of one that is copied whole, no manifest is
    /// read where the registry tells its digest.
    pub async fn meaning(&self, image: &Image) -> Result<Meaning, Error> {
        let Location::Registry(reference) = &image.source else {
            return Err(Error::NoRegistry {
                location: image.source.clone(),
            });
        };
        let repository = reference.repository();
        let remote = self
            .remote(repository, &image.source_access, Side::Source)
            .await?;
        let missing = |error| Error::unresolved(reference, error);
        let is_whole = image.platforms.is_none() && image.attestations == Attestations::Keep;
        if is_whole {
            let root = remote.resolve_digest(reference).await.map_err(missing)?;
            return Ok(Meaning {
                wanted: root.clone(),
                root,
            });
        }
        let root = remote.resolve(reference).await.map_err(missing)?;
        let selection = Selection {
            platforms: image.platforms.clone(),
            of_index_only: image.platforms_of_index_only,
            drop_attestations: image.attestations == Attestations::Drop,
            single: false,
        };
        let selected = select(&*remote, &root, &selection).await;
        let selected = selected.map_err(|error| Error::copy(Some(repository), error))?;
        Ok(Meaning {
            root: root.digest().clone(),
            wanted: selected.digest().clone(),
        })
    }

    /// The digest that a destination's tag names, if it is there.
    pub async fn digest_at(
        &self,
        repository: &Repository,
        key: ManifestKey<'_>,
        access: &Access,
    ) -> Result<Option<Digest>, Error> {
        let remote = self.remote(repository, access, Side::Destination).await?;
        let found = remote.manifest_digest(key).await;
        found.map_err(|error| {
            let place = repository.to_string();
            let error = copy::Error::finding(&place, &key, error);
            Error::copy(Some(repository), error)
        })
    }

    /// Sees whether the role that `access` names can be assumed. Nothing else of it is asked.
    pub async fn assume(&self, access: &Access) -> Result<(), Box<aws::Error>> {
        if access.role.is_none() {
            return Ok(());
        }
        let clients = self.reach.clients(access).await;
        clients.account().await.map(drop).map_err(Box::new)
    }

    /// Spaces the requests to a registry, so that at most `per_second` are made in a second.
    pub fn limit_requests(&self, registry: &str, per_second: f64) {
        self.reach.registries().limit_requests(registry, per_second);
    }

    /// The pulls that a registry still allows, if its last answer said so.
    pub fn allowance(&self, registry: &str) -> Option<Allowance> {
        self.reach.registries().allowance(registry)
    }

    async fn remote(
        &self,
        repository: &Repository,
        access: &Access,
        side: Side,
    ) -> Result<Arc<RemoteRepository>, Error> {
        let mut known = self.known.lock().await;
        let of_it = known.entry((repository.clone(), side)).or_default();
        if let Some(known) = of_it.iter().find(|known| known.access == *access) {
            return Ok(Arc::clone(&known.remote));
        }
        let remote = match side {
            Side::Source => self.reach.source(repository, access).await?,
            Side::Destination => self.reach.destination(repository, access).await?,
        };
        of_it.push(Known {
            access: access.clone(),
            remote: Arc::clone(&remote),
        });
        Ok(remote)
    }
}
