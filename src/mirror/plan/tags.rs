//! The tags that the list's entries mean at present.

use std::collections::HashMap;

use futures_util::{FutureExt, StreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};

use super::Planner;
use crate::deploy::{Error, Kind};
use crate::mirror::list::{Entry, Source};
use crate::mirror::shown;
use crate::oci::Tag;

/// Repositories whose tags are listed at once.
const CONCURRENCY: usize = 16;

/// The tags of each entry of a list, in the order of the list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tags(pub Vec<Selected>);

/// The tags of one entry.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Selected {
    /// They are not known yet.
    #[default]
    Unknown,
    /// The entry is one image, with the tag or digest that it is written with.
    Image,
    /// Those that the entry's filter selects.
    Tags(Vec<Tag>),
    /// The source does not tell.
    Failed {
        /// The kind of the failure, such as `Longshore.Denied`.
        error: String,
        /// The failure in words.
        reason: String,
    },
}

impl Tags {
    /// Returns true if every entry's tags are known.
    pub fn is_complete(&self) -> bool {
        !self.0.contains(&Selected::Unknown)
    }

    /// Returns true if the tags of an entry could not be listed.
    pub fn has_failed(&self) -> bool {
        let mut entries = self.0.iter();
        entries.any(|selected| matches!(selected, Selected::Failed { .. }))
    }

    /// The number of images that the list means.
    pub fn images(&self) -> usize {
        self.0.iter().map(Selected::images).sum()
    }
}

impl Selected {
    /// The number of images that the entry means.
    pub fn images(&self) -> usize {
        match self {
            Self::Image => 1,
            Self::Tags(tags) => tags.len(),
            Self::Unknown | Self::Failed { .. } => 0,
        }
    }

    /// The tags of the entry's images, in order. `None` stands for an image's own.
    pub fn each(&self) -> impl Iterator<Item = Option<&Tag>> {
        let (one, tags) = match self {
            Self::Image => (Some(None), &[][..]),
            Self::Tags(tags) => (None, tags.as_slice()),
            Self::Unknown | Self::Failed { .. } => (None, &[][..]),
        };
        one.into_iter().chain(tags.iter().map(Some))
    }
}

impl Planner {
    /// Lists the tags that are not known yet, until all are or the time is up.
    pub async fn list_tags(&self, tags: &mut Tags, until: Instant) {
        let entries = self.list.entries.iter().enumerate();
        tags.0
            .resize_with(self.list.entries.len(), Selected::default);
        // Entries of the same repository, reached in the same way, share one list.
        let mut repositories: HashMap<_, Vec<Vec<usize>>> = HashMap::new();
        for (position, entry) in entries {
            if tags.0[position] != Selected::Unknown {
                continue;
            }
            if let Some(selected) = named(entry) {
                tags.0[position] = selected;
                continue;
            }
            let repository = entry.source().repository().clone();
            self.add(repositories.entry(repository).or_default(), position);
        }
        let mut listing = stream::iter(repositories.into_values().flatten())
            .map(|positions| {
                async move {
                    let listed = self.tags_of(positions[0]).await;
                    (positions, listed)
                }
                .boxed()
            })
            .buffer_unordered(CONCURRENCY);
        while let Ok(Some((positions, listed))) = timeout_at(until, listing.next()).await {
            for position in positions {
                tags.0[position] = self.selected(position, &listed);
            }
        }
    }

    /// Puts an entry beside those of its repository that are reached in the same way.
    fn add(&self, of_repository: &mut Vec<Vec<usize>>, position: usize) {
        let access = |position: usize| self.list.entries[position].source_access();
        let mut groups = of_repository.iter_mut();
        match groups.find(|group| access(group[0]) == access(position)) {
            Some(group) => group.push(position),
            None => of_repository.push(vec![position]),
        }
    }

    async fn tags_of(&self, position: usize) -> Result<Vec<Tag>, Error> {
        let entry = &self.list.entries[position];
        let _turn = self.turn(entry.source().repository().registry()).await;
        let repository = entry.source().repository();
        self.survey.tags(repository, entry.source_access()).await
    }

    fn selected(&self, position: usize, listed: &Result<Vec<Tag>, Error>) -> Selected {
        match listed {
            Ok(tags) => {
                let selected = self.list.entries[position].select(tags);
                Selected::Tags(selected.into_iter().cloned().collect())
            }
            Err(error) => Selected::Failed {
                error: Kind::of(error).to_string(),
                reason: shown(error),
            },
        }
    }
}

/// The tags of an entry that names them itself.
fn named(entry: &Entry) -> Option<Selected> {
    match entry.source() {
        Source::Image(_) => Some(Selected::Image),
        Source::Repository { tags, .. } => {
            let names = tags.names()?;
            Some(Selected::Tags(names.to_vec()))
        }
    }
}
