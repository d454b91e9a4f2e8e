//! Deployments that failed: a sentence that names the image and says what to do.

use std::error::Error as StdError;

use super::{Advice, Image, Location};
use crate::content::{self, BoxError};
use crate::oci::{Reference, Repository};
use crate::{archive, aws, copy, policy, registry, web};

/// Why an image was not deployed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The object in S3 cannot be read.
    #[error(transparent)]
    Object(Box<aws::Error>),
    /// The object of a web server cannot be read.
    #[error(transparent)]
    Web(Box<web::Error>),
    /// The file cannot be read.
    #[error("cannot read {location}")]
    File {
        /// The source.
        location: Location,
        /// What the operating system says.
        source: content::FileError,
    },
    /// The object or file gives no image.
    #[error("cannot read the image in {location}")]
    Archive {
        /// The source.
        location: Location,
        /// The fault.
        source: Box<archive::Error>,
    },
    /// What stands after `#` selects nothing.
    #[error("cannot select an image of {location}")]
    Selector {
        /// The source.
        location: Location,
        /// The fault.
        source: archive::InvalidSelector,
    },
    /// The function's operator does not let images come from there.
    #[error(
        "images may not come from {repository}: its registry is not among those of the template's \
         parameter SourceRegistries (LONGSHORE_SOURCE_REGISTRIES)"
    )]
    ForbiddenSource {
        /// The source.
        repository: Repository,
    },
    /// The function's operator does not let images go there.
    #[error(
        "images may not go to {repository}: its registry is not among those of the template's \
         parameter DestinationRegistries (LONGSHORE_DESTINATION_REGISTRIES)"
    )]
    ForbiddenDestination {
        /// The destination.
        repository: Repository,
    },
    /// The lists of registries are malformed.
    #[error("cannot read which registries are allowed")]
    AllowedSetup(#[source] BoxError),
    /// The registry cannot be reached by that name.
    #[error("cannot use the registry of {repository}")]
    Repository {
        /// The repository.
        repository: Repository,
        /// The fault.
        source: registry::Error,
    },
    /// The source names no image that is there.
    #[error("there is no image {reference}: see that its name and tag are right")]
    NoImage {
        /// The source.
        reference: Reference,
        /// What else it may be.
        #[source]
        advice: Option<Advice>,
    },
    /// The source's registry does not give its manifest.
    #[error("cannot find the image {reference}")]
    Resolve {
        /// The source.
        reference: Reference,
        /// What the registry says.
        source: registry::Error,
    },
    /// There is no repository to list the tags of.
    #[error("there is no repository {repository}: see that its name is right")]
    NoTags {
        /// The repository.
        repository: Repository,
        /// What else it may be.
        #[source]
        advice: Option<Advice>,
    },
    /// The registry does not list the tags of a repository.
    #[error("cannot list the tags of {repository}")]
    Tags {
        /// The repository.
        repository: Repository,
        /// What the registry says.
        source: registry::Error,
    },
    /// The source is an archive, where an image of a registry is needed.
    #[error("{location} is no image of a registry")]
    NoRegistry {
        /// The source.
        location: Location,
    },
    /// The archive's image is for another platform.
    #[error("{location} has no image for {wanted}; it has one for {available}")]
    Platform {
        /// The source.
        location: Location,
        /// The image that was asked for.
        wanted: String,
        /// The images that there are.
        available: String,
    },
    /// The archive's image has a config that is no image config.
    #[error("the image in {location} has a malformed config")]
    Config {
        /// The source.
        location: Location,
        /// The parser's error.
        source: serde_json::Error,
    },
    /// The destination repository does not exist.
    #[error(
        "the repository {repository} does not exist: create it before the image is deployed and \
         let the resource depend on it, or set CreateRepository"
    )]
    NoRepository {
        /// The destination.
        repository: Repository,
        /// What failed.
        source: Box<copy::Error>,
    },
    /// A registry refused, or was not reached.
    #[error("{advice}")]
    Advised {
        /// What to do.
        advice: Advice,
        /// What failed.
        source: Box<Self>,
    },
    /// Copying failed.
    #[error(transparent)]
    Copy(Box<copy::Error>),
    /// Some of several repositories and files do not have the image.
    #[error("the image is {}not at {}", done_at(done), listed(missing))]
    Partly {
        /// The repositories and files that have it, with its tags.
        done: Vec<String>,
        /// Those that do not.
        missing: Vec<String>,
        /// Why the first of them does not.
        source: Box<Self>,
    },
    /// The image cannot be written to a file.
    #[error(transparent)]
    Write(archive::WriteError),
    /// The destination repository cannot be created.
    #[error(transparent)]
    Create(Box<aws::Error>),
    /// What the resource pushed could not be removed.
    #[error("cannot remove {what} from {repository}")]
    Remove {
        /// The repository.
        repository: Repository,
        /// A tag or a digest.
        what: String,
        /// What the registry says.
        source: BoxError,
    },
    /// The registry does not remove such a thing.
    #[error("the registry of {repository} removes {what}")]
    NoDeletion {
        /// The repository.
        repository: Repository,
        /// What it does not remove, and what to do instead.
        what: String,
        /// What the registry says.
        source: BoxError,
    },
    /// What a rollback may need is not noted, or not removed.
    #[error("cannot keep {memo}")]
    Memo {
        /// The memo, as a reference.
        memo: String,
        /// What the registry says.
        source: BoxError,
    },
    /// The repository is in no private registry of ECR, so nobody can be let in by its policy.
    #[error(
        "{repository} has no policy that can be written: it is in no private ECR registry, or \
         its registry's name does not tell the account"
    )]
    NoPolicy {
        /// The repository.
        repository: Repository,
    },
    /// What is granted cannot be granted on this repository.
    #[error("cannot grant access to {repository}")]
    Grants {
        /// The repository.
        repository: Repository,
        /// The error.
        source: policy::InvalidGrant,
    },
    /// The repository's policy does not say what it should.
    #[error(transparent)]
    Policy(policy::Error),
    /// The registry client cannot be set up.
    #[error("cannot set up the registry client")]
    Setup(#[source] BoxError),
    /// The list of web servers to read from is malformed.
    #[error("cannot read the list of hosts in LONGSHORE_HTTPS_SOURCES")]
    WebSetup(#[source] BoxError),
}

impl Error {
    /// Says what a failed copy to `destination` means.
    pub(super) fn copy(destination: Option<&Repository>, error: copy::Error) -> Self {
        let registry = error.downcast_ref::<registry::Error>();
        let no_repository =
            registry.is_some_and(|error| error.has_code(&registry::ErrorCode::NAME_UNKNOWN));
        let source = Box::new(error);
        if no_repository
            && source.side == copy::Side::Destination
            && let Some(destination) = destination
        {
            return Self::NoRepository {
                repository: destination.clone(),
                source,
            };
        }
        let place: Option<Reference> = source.place.parse().ok();
        let pulls = source.side == copy::Side::Source;
        let advice = source
            .downcast_ref()
            .zip(place)
            .and_then(|(error, place)| Advice::on(error, place.repository(), pulls));
        Self::Copy(source).with(advice)
    }

    /// Says what it means that the manifest of a source was not read.
    pub(super) fn unresolved(reference: &Reference, error: registry::Error) -> Self {
        let advice = Advice::on(&error, reference.repository(), true);
        let reference = reference.clone();
        if error.is_not_found() {
            return Self::NoImage { reference, advice };
        }
        let failed = Self::Resolve {
            reference,
            source: error,
        };
        failed.with(advice)
    }

    /// Says what it means that the tags of a repository were not listed.
    pub(super) fn untagged(repository: &Repository, source: registry::Error) -> Self {
        let advice = Advice::on(&source, repository, true);
        let repository = repository.clone();
        if source.is_not_found() {
            return Self::NoTags { repository, advice };
        }
        Self::Tags { repository, source }.with(advice)
    }

    /// The same, after what to do about it.
    pub(super) fn with(self, advice: Option<Advice>) -> Self {
        match advice {
            Some(advice) => Self::Advised {
                advice,
                source: Box::new(self),
            },
            None => self,
        }
    }
}

/// The failure of those of an image's targets that do not have it, for `errors`, of which there is
/// at least one. With a single target it is that one's own.
pub(super) fn partly(
    image: &Image,
    is_done: impl Fn(usize) -> bool,
    mut errors: Vec<Error>,
) -> Error {
    let others = errors.split_off(1);
    let first = errors.remove(0);
    if image.places() == 1 {
        return first;
    }
    for error in &others {
        tracing::error!(error = chain(error), "failed at another repository");
    }
    let places = |wanted: bool| {
        let repositories = image.targets.iter();
        let repositories = repositories.map(|target| target.repository.to_string());
        let files = image.files.iter().map(ToString::to_string);
        let all = repositories.chain(files).enumerate();
        all.filter(|(position, _)| is_done(*position) == wanted)
            .map(|(_, name)| name)
            .collect()
    };
    Error::Partly {
        done: places(true),
        missing: places(false),
        source: Box::new(first),
    }
}

/// An error and its causes on one line.
fn chain(error: &Error) -> String {
    let causes = std::iter::successors(Some(error as &dyn StdError), |error| (*error).source());
    let mut texts: Vec<_> = causes.map(ToString::to_string).collect();
    texts.dedup();
    texts.join(": ")
}

/// What is done, before what is not.
fn done_at(done: &[String]) -> String {
    match done {
        [] => String::new(),
        done => format!("at {}, and ", listed(done)),
    }
}

fn listed(places: &[String]) -> String {
    places.join(", ")
}
