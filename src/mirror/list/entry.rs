//! An entry: a source, a filter of its tags, and destinations.

use std::sync::Arc;

use serde_json::{Value, json};

use super::destination::{Destination, Name};
use super::filter::TagFilter;
use super::problem::{Place, Problem};
use super::template::{Template, Values};
use crate::cloudformation::Properties;
use crate::deploy::{Access, Target};
use crate::oci::{Digest, Reference, Repository, Tag};

/// One entry of a list, read and checked.
#[derive(Clone, Debug)]
pub struct Entry {
    pub(super) place: Place,
    pub(super) source: Source,
    pub(super) destinations: Arc<[Destination]>,
    /// The name of a destination that gives its registry only.
    pub(super) template: Arc<Template>,
    /// The entry's own properties of `Custom::ECRImage`, and those that it has of the defaults.
    pub(super) own: Properties,
    pub(super) common: Arc<Properties>,
    pub(super) source_access: Access,
}

/// The source of an entry's images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// One image, with its tag, its digest or both.
    Image(Reference),
    /// A repository, with a filter of its tags.
    Repository {
        /// The repository.
        repository: Repository,
        /// The filter.
        tags: Arc<TagFilter>,
    },
}

impl Source {
    /// The repository.
    pub fn repository(&self) -> &Repository {
        match self {
            Self::Image(image) => image.repository(),
            Self::Repository { repository, .. } => repository,
        }
    }
}

impl Entry {
    /// The entry's position in the list, from 0.
    pub fn index(&self) -> usize {
        self.place.entry.unwrap_or_default()
    }

    /// The line at which the entry begins, where the document has lines.
    pub fn line(&self) -> Option<u32> {
        self.place.line
    }

    /// The source of the images.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The access to the source.
    pub fn source_access(&self) -> &Access {
        &self.source_access
    }

    /// A problem of this entry, such as one that shows when its tags are listed.
    pub fn problem(&self, text: impl std::fmt::Display) -> Problem {
        Problem::new(&self.place, text)
    }

    /// The tags of the source that the entry takes: none where it is an image.
    pub fn select<'a>(&self, tags: &'a [Tag]) -> Vec<&'a Tag> {
        match &self.source {
            Source::Image(_) => Vec::new(),
            Source::Repository { tags: filter, .. } => filter.select(tags),
        }
    }

    /// The repositories that the image of `tag` goes to, each once, with its tags there. `tag` is
    /// one of the repository's; an image has its own.
    pub fn destinations(&self, tag: Option<&Tag>) -> Result<Vec<Target>, Problem> {
        let groups = self.groups(tag)?;
        Ok(groups.into_iter().map(|group| group.target).collect())
    }

    /// The properties of one deployment: those of the `Custom::ECRImage` that brings the image of
    /// `tag`, which is `digest` now if that is known, to all its destinations.
    pub fn properties(
        &self,
        tag: Option<&Tag>,
        digest: Option<&Digest>,
    ) -> Result<Properties, Problem> {
        let groups = self.groups(tag)?;
        let mut properties = (*self.common).clone();
        properties.extend(self.own.clone());
        let source = self.named(tag, digest);
        properties.insert("Source".to_owned(), Value::from(source));
        let destinations: Vec<Value> = groups.iter().map(Group::properties).collect();
        properties.insert("Destinations".to_owned(), Value::from(destinations));
        Ok(properties)
    }

    /// The place where each of the destinations that [`Self::properties`] gives stands in the
    /// document.
    pub(super) fn places(&self, tag: Option<&Tag>) -> Vec<Place> {
        let groups = self.groups(tag).unwrap_or_default();
        let places = groups.into_iter().map(|group| &group.first.place);
        places.cloned().collect()
    }

    /// The image of `tag`, as the list names it.
    pub fn image(&self, tag: Option<&Tag>) -> String {
        self.named(tag, None)
    }

    /// The access to the source, then that to each destination.
    pub fn accesses(&self) -> impl Iterator<Item = &Access> {
        let destinations = self.destinations.iter();
        let destinations = destinations.map(|destination| &destination.access);
        std::iter::once(&self.source_access).chain(destinations)
    }

    fn named(&self, tag: Option<&Tag>, digest: Option<&Digest>) -> String {
        let repository = self.source.repository();
        let own = match &self.source {
            Source::Image(image) => image.digest(),
            Source::Repository { .. } => None,
        };
        match (self.tag(tag), digest.or(own)) {
            (Some(tag), Some(digest)) => format!("{repository}:{tag}@{digest}"),
            (Some(tag), None) => format!("{repository}:{tag}"),
            (None, Some(digest)) => format!("{repository}@{digest}"),
            (None, None) => repository.to_string(),
        }
    }

    fn tag<'a>(&'a self, tag: Option<&'a Tag>) -> Option<&'a Tag> {
        match &self.source {
            Source::Image(image) => image.tag(),
            Source::Repository { .. } => tag,
        }
    }

    /// The destinations, put together by their repositories.
    fn groups(&self, tag: Option<&Tag>) -> Result<Vec<Group<'_>>, Problem> {
        let tag = self.tag(tag);
        let mut groups: Vec<Group<'_>> = Vec::new();
        for destination in &*self.destinations {
            let reference = self.name(destination, tag)?;
            let repository = reference.repository();
            let known = groups
                .iter_mut()
                .find(|group| group.target.repository == *repository);
            let Some(known) = known else {
                groups.push(Group {
                    target: Target {
                        access: destination.access.clone(),
                        ..Target::of(&reference)
                    },
                    first: destination,
                });
                continue;
            };
            if known.target.access != destination.access {
                return Err(self.at(
                    destination,
                    format_args!(
                        "{repository} is a destination already, and is reached in another way there"
                    ),
                ));
            }
            let tag = reference.tag();
            let is_new = tag.is_some_and(|tag| !known.target.tags.contains(tag));
            known.target.tags.extend(tag.filter(|_| is_new).cloned());
        }
        Ok(groups)
    }

    fn name(&self, destination: &Destination, tag: Option<&Tag>) -> Result<Reference, Problem> {
        let (template, registry) = self.template_of(destination);
        let name = template.expand(Values {
            registry,
            source: self.source.repository(),
            tag,
        });
        // A reference with credentials is not shown.
        let reference: Reference = name.parse().map_err(|error| {
            self.at(
                destination,
                format_args!("the name that the template makes is no destination: {error}"),
            )
        })?;
        if !names_registry(&name) {
            return Err(self.at(
                destination,
                format_args!(
                    "{name:?} names no registry: expected \
                     <account>.dkr.ecr.<region>.amazonaws.com/<repository>[:tag]"
                ),
            ));
        }
        match reference.digest() {
            None => Ok(reference),
            Some(_) => Err(self.at(destination, "a destination has no digest")),
        }
    }

    /// The template of a destination, with the registry that it stands for.
    pub(super) fn template_of<'a>(
        &'a self,
        destination: &'a Destination,
    ) -> (&'a Template, &'a str) {
        match &destination.name {
            Name::Full(template) => (template, ""),
            Name::Registry { registry, template } => {
                (template.as_ref().unwrap_or(&self.template), registry)
            }
        }
    }

    /// A problem of a destination of this entry, be it one of the defaults.
    pub(super) fn at(&self, destination: &Destination, text: impl std::fmt::Display) -> Problem {
        let place = Place {
            entry: self.place.entry,
            ..destination.place.clone()
        };
        Problem::new(&place, text)
    }
}

/// Returns true if a reference begins with a registry. Without one it is Docker Hub's.
fn names_registry(name: &str) -> bool {
    let name = name.strip_prefix("docker://").unwrap_or(name);
    let host = name.split_once('/').map(|(host, _)| host);
    host.is_some_and(|host| host.contains(['.', ':']) || host == "localhost")
}

/// The destinations of an entry that are one repository.
struct Group<'a> {
    target: Target,
    first: &'a Destination,
}

impl Group<'_> {
    fn properties(&self) -> Value {
        let mut properties = self.first.properties.clone();
        let repository = self.target.repository.to_string();
        properties.insert("Destination".to_owned(), Value::from(repository));
        if !self.target.tags.is_empty() {
            properties.insert("Tags".to_owned(), json!(self.target.tags));
        }
        Value::Object(properties)
    }
}
