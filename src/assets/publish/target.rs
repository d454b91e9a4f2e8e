//! One destination of an asset, found: whether it has the asset, and how it gets it.

use std::path::Path;
use std::sync::Arc;

use super::material::Material;
use super::{PURPOSE, Publisher};
use crate::assets::stage::upload;
use crate::assets::{Destination, Error, Place};
use crate::aws::{self, Clients, EcrRepository, Partition, PrivateHost, Slot};
use crate::deploy::{self, Access, Deployer, FileLocation, Image, Location, Role};
use crate::oci::{Reference, Repository, Tag};

/// A destination, as it was found.
pub(super) enum Target {
    Repository {
        repository: Repository,
        tag: Tag,
        access: Access,
        has_it: bool,
    },
    Bucket {
        slot: Slot,
        has_it: bool,
    },
}

/// The size of a zip archive of nothing: a leftover of a failure, as the CDK has it.
const EMPTY_ZIP: u64 = 22;

impl Target {
    /// Looks for the asset where it goes.
    pub(super) async fn find(
        publisher: &Publisher,
        destination: &Destination,
        region: &str,
    ) -> Result<Self, Error> {
        let access = Access {
            credentials: None,
            role: destination.role_arn.clone().map(|arn| Role {
                arn,
                external_id: destination.external_id.clone(),
                purpose: PURPOSE.to_owned(),
            }),
        };
        let clients = publisher.reach.clients(&access).await;
        match &destination.place {
            Place::Bucket { name, key } => {
                let at = aws::Location {
                    bucket: name.clone(),
                    key: key.clone(),
                    version_id: None,
                    region: Some(region.to_owned()),
                };
                let slot = Slot::find(&clients, at).await?;
                let is_zip = Path::new(key)
                    .extension()
                    .is_some_and(|ending| ending == "zip");
                let is_whole = |size| size > EMPTY_ZIP || !is_zip;
                let has_it = slot.size().is_some_and(is_whole);
                Ok(Self::Bucket { slot, has_it })
            }
            Place::Repository { name, tag } => {
                let reference = publisher.reference(&clients, region, name, tag).await?;
                let repository = reference.repository().clone();
                let tag = reference.tag().cloned().unwrap_or_else(Tag::latest);
                let has_it = publisher.reach.has_tag(&repository, &tag, &access).await?;
                Ok(Self::Repository {
                    repository,
                    tag,
                    access,
                    has_it,
                })
            }
        }
    }

    pub(super) fn has_it(&self) -> bool {
        match self {
            Self::Repository { has_it, .. } | Self::Bucket { has_it, .. } => *has_it,
        }
    }

    /// The registry that still lacks the asset, and how it is reached.
    pub(super) fn lacking_registry(&self) -> Option<(String, Access)> {
        match self {
            Self::Repository {
                repository,
                access,
                has_it: false,
                ..
            } => Some((repository.registry().to_owned(), access.clone())),
            _ => None,
        }
    }

    /// Brings the asset there. An image gets its tag last, and an object is there at once.
    pub(super) async fn put(
        &self,
        publisher: &Publisher,
        material: &Material,
    ) -> Result<(), Error> {
        match self {
            Self::Bucket { slot, .. } => {
                upload(
                    slot,
                    &material.path,
                    &material.content_type,
                    &publisher.meter,
                )
                .await
            }
            Self::Repository {
                repository,
                tag,
                access,
                ..
            } => {
                let source = Location::File(FileLocation {
                    path: material.path.clone(),
                    selector: material.selector.clone(),
                });
                let target = deploy::Target {
                    repository: repository.clone(),
                    tags: vec![tag.clone()],
                    access: access.clone(),
                };
                let image = Image {
                    targets: vec![target],
                    ..Image::new(source, repository.clone())
                };
                let deployer = Deployer::new(publisher.reach.clone());
                deployer.run(&image, &Arc::clone(&publisher.meter)).await?;
                Ok(())
            }
        }
    }
}

impl Publisher {
    /// The image's name in the registry of the account that `clients` are of.
    async fn reference(
        &self,
        clients: &Clients,
        region: &str,
        name: &str,
        tag: &str,
    ) -> Result<Reference, Error> {
        let host = PrivateHost {
            account: None,
            region: region.to_owned(),
            fips: false,
            dual_stack: false,
        };
        let uri = match EcrRepository::new(clients, &host, name).uri().await? {
            Some(uri) => uri,
            None if self.options.makes_repositories => {
                let account = clients.account().await?.id;
                let suffix = Partition::of_region(region).dns_suffix;
                format!("{account}.dkr.ecr.{region}.{suffix}/{name}")
            }
            None => {
                return Err(Error::NoRepository {
                    name: name.to_owned(),
                    region: region.to_owned(),
                });
            }
        };
        let image = format!("{uri}:{tag}");
        image
            .parse()
            .map_err(|source| Error::ImageName { image, source })
    }
}
