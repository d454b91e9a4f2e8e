//! What a deployment asks for and what it ends in.

use std::num::NonZeroUsize;

use super::Location;
use crate::archive::{Compression, Form, ImageFile};
use crate::aws::{EcrHost, RepositorySettings};
use crate::copy::Checkpoint;
use crate::oci::{Digest, MediaType, Platform, Reference, Repository, Tag};
use crate::registry;

/// One image and where it is to be: the properties of `Custom::ECRImage`, read and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The place where the image comes from.
    pub source: Location,
    /// The repositories that it goes to: each once, and at least one but for `files`. The first is the one that the
    /// image is called by.
    pub targets: Vec<Target>,
    /// Files and directories that it goes to, too. With any, there may be no repository.
    pub files: Vec<ImageFile>,
    /// The way in which a repository that is missing is created, if it is.
    pub create_repository: Option<RepositorySettings>,
    /// The platforms to copy. `None`: everything, exactly as it is.
    pub platforms: Option<Vec<Platform>>,
    /// Tags for single platforms of an index.
    pub platform_tags: Vec<(Platform, Tag)>,
    /// True if platforms select from an index only: a source that is one image is then taken as it
    /// is, whatever its platform.
    pub platforms_of_index_only: bool,
    /// What becomes of BuildKit's attestation manifests.
    pub attestations: Attestations,
    /// What becomes of signatures, SBOMs and other manifests about the image.
    pub referrers: Referrers,
    /// The way in which layers that an archive holds uncompressed are compressed.
    pub compression: Compression,
    /// The way in which the source is reached.
    pub source_access: Access,
    /// What becomes of the image when the resource goes.
    pub removal: RemovalPolicy,
    /// Blobs copied at once. `None`: a default that fits a Lambda.
    pub max_concurrency: Option<NonZeroUsize>,
    /// Attempts of one request. `None`: a default.
    pub retry: Option<NonZeroUsize>,
    /// The digest that these very properties ended in before. Where the source cannot be read any
    /// more and the destination still has this manifest, it is what is deployed: a rollback must
    /// not need an archive that is gone.
    pub known: Option<Digest>,
    /// The image that the resource was before, whatever its properties: what a redeploy shares
    /// layers with.
    pub previous: Option<Digest>,
    /// Images that are likely to share layers with this one, reached as the first target is. A
    /// layer that one of them has is not read from the source.
    pub reuse_from: Vec<Reference>,
    /// What a deployment that was stopped has done of this one.
    pub resume: Checkpoint,
}

impl Image {
    /// All of the image, to one repository, by its digest only, with nothing else asked for.
    pub fn new(source: Location, destination: Repository) -> Self {
        Self {
            targets: vec![Target::new(destination)],
            ..Self::of(source)
        }
    }

    /// All of the image, to no place yet.
    pub fn of(source: Location) -> Self {
        Self {
            source,
            targets: Vec::new(),
            files: Vec::new(),
            create_repository: None,
            platforms: None,
            platform_tags: Vec::new(),
            platforms_of_index_only: false,
            attestations: Attestations::default(),
            referrers: Referrers::default(),
            compression: Compression::default(),
            source_access: Access::default(),
            removal: RemovalPolicy::default(),
            max_concurrency: None,
            retry: None,
            known: None,
            previous: None,
            reuse_from: Vec::new(),
            resume: Checkpoint::default(),
        }
    }

    /// Returns true if it goes where there is room for one platform only.
    pub(super) fn is_single(&self) -> bool {
        let mut files = self.files.iter();
        files.any(|file| file.form == Form::DockerArchive)
    }

    /// Returns true if it goes into a layout of OCI.
    pub(super) fn has_layout(&self) -> bool {
        let mut files = self.files.iter();
        files.any(|file| file.form != Form::DockerArchive)
    }

    /// The number of places that it goes to.
    pub(super) fn places(&self) -> usize {
        self.targets.len() + self.files.len()
    }

    /// The digest that the source is named by, where that is what the destination gets.
    pub(super) fn named_digest(&self) -> Option<&Digest> {
        let whole = self.platforms.is_none() && self.attestations == Attestations::Keep;
        match &self.source {
            Location::Registry(reference) if whole => reference.digest(),
            _ => None,
        }
    }

    /// The source, by digest where a deployment that was stopped has resolved its tag.
    pub(super) fn pinned_source(&self) -> Location {
        match (&self.source, &self.resume.root) {
            (Location::Registry(reference), Some(root)) => {
                Location::Registry(reference.repository().at(root))
            }
            _ => self.source.clone(),
        }
    }
}

/// A repository that an image goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The repository.
    pub repository: Repository,
    /// The tags to write there, without duplicates. Empty: by digest only.
    pub tags: Vec<Tag>,
    /// The way in which it is reached.
    pub access: Access,
}

impl Target {
    /// A repository that the function reaches by itself, and where the image has no tag.
    pub fn new(repository: Repository) -> Self {
        Self {
            repository,
            tags: Vec::new(),
            access: Access::default(),
        }
    }

    /// The repository of a reference, where the image has the reference's tag, if there is one.
    pub fn of(reference: &Reference) -> Self {
        Self {
            tags: reference.tag().cloned().into_iter().collect(),
            ..Self::new(reference.repository().clone())
        }
    }
}

/// The way in which one side is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// The registry's credentials, if it needs others than ECR's own.
    pub credentials: Option<Credentials>,
    /// The role to assume for this side.
    pub role: Option<Role>,
}

impl Access {
    /// The same way, with the name under which an auditor sees who took on its role.
    #[must_use]
    pub fn for_purpose(mut self, purpose: &str) -> Self {
        if let Some(role) = &mut self.role {
            purpose.clone_into(&mut role.purpose);
        }
        self
    }
}

/// The place where the credentials of a registry are. `Debug` shows no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// In the secret of Secrets Manager that has this ARN or name.
    Stored(String),
    /// Here.
    Given(registry::Credentials),
}

impl Credentials {
    /// A name and a password.
    pub fn basic(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self::Given(registry::Credentials::basic(username, password))
    }
}

/// A role to assume.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Role {
    /// The role's ARN.
    pub arn: String,
    /// The external ID that its trust policy asks for.
    pub external_id: Option<String>,
    /// Who takes it on, such as `stack/LogicalId`: what an auditor sees as the session's name.
    pub purpose: String,
}

/// What becomes of BuildKit's attestation manifests inside an index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Attestations {
    /// They are copied.
    #[default]
    Keep,
    /// They are left out.
    Drop,
}

/// What becomes of manifests whose `subject` is the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Referrers {
    /// They stay where they are.
    #[default]
    None,
    /// They are copied with the image.
    Copy,
}

/// What becomes of the image on Delete or replacement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RemovalPolicy {
    /// It stays.
    #[default]
    Retain,
    /// It is removed where no foreign tag points to it.
    Delete,
}

/// What is known of a deployed image. It depends on the image alone, not on how it got there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployed {
    /// The repositories where it is, in the order asked for. Files are not among them.
    pub places: Vec<Place>,
    /// Digest of its manifest or index.
    pub digest: Digest,
    /// Media type of its manifest or index.
    pub media_type: MediaType,
    /// Bytes of its distinct configs and layers, as stored.
    pub size: u64,
    /// Digest of its config, for a single image.
    pub config: Option<Digest>,
    /// Its platforms, in the order of the index.
    pub platforms: Vec<Platform>,
}

/// A repository that has a deployed image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The repository.
    pub repository: Repository,
    /// The account of the registry, for ECR; else empty.
    pub registry_id: String,
    /// The region of the registry, for ECR; else empty.
    pub region: String,
    /// The tags that the image has there, in the order asked for.
    pub tags: Vec<Tag>,
}

impl Deployed {
    /// The place that the image is called by.
    ///
    /// # Panics
    ///
    /// If it is in no repository, as where it goes to files only.
    pub fn first(&self) -> &Place {
        self.places.first().expect("an image is in a repository")
    }

    /// The immutable URI: `<registry>/<repository>@<digest>`.
    pub fn uri(&self) -> String {
        self.uri_at(self.first())
    }

    /// The immutable URI at one of its places.
    pub fn uri_at(&self, place: &Place) -> String {
        place.repository.at(&self.digest).to_string()
    }
}

impl Place {
    /// The place where `target` is.
    pub(super) fn of(target: &Target) -> Self {
        let host = EcrHost::parse(target.repository.registry());
        let private = host.as_ref().filter(|host| **host != EcrHost::Public);
        let account = private.and_then(EcrHost::account).unwrap_or_default();
        let region = private.map(EcrHost::region).unwrap_or_default();
        Self {
            repository: target.repository.clone(),
            registry_id: account.to_owned(),
            region: region.to_owned(),
            tags: target.tags.clone(),
        }
    }
}
