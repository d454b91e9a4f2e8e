//! Drift: tags of the destinations that are not in the list.

use futures_util::{FutureExt, StreamExt, stream};
use serde::{Deserialize, Serialize};

use super::wanted::Place;
use super::{Planner, Wanted};
use crate::deploy::{Error, is_own_tag};
use crate::mirror::shown;
use crate::oci::{Repository, Tag};

/// Destination repositories whose tags are listed at once.
const CONCURRENCY: usize = 16;
/// The most tags that are named of one repository.
const MAX_NAMED: usize = 100;

/// Tags that destinations have beside the list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Drift {
    /// The repositories that have more tags than the list wants.
    pub extra: Vec<Extra>,
    /// Repositories that could not be looked at, and why.
    pub unseen: Vec<(String, String)>,
}

/// The tags of a destination repository that are not in the list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Extra {
    /// The repository.
    pub repository: String,
    /// The first of the tags.
    pub tags: Vec<Tag>,
    /// The number of tags, named here or not.
    pub count: usize,
}

impl Drift {
    /// Tags in all repositories that are not in the list.
    pub fn count(&self) -> usize {
        self.extra.iter().map(|extra| extra.count).sum()
    }

    /// Adds another part.
    pub fn extend(&mut self, other: Self) {
        self.extra.extend(other.extra);
        self.unseen.extend(other.unseen);
    }
}

impl Planner {
    /// Looks for tags of the destinations that are not in the list.
    pub async fn drift(&self, wanted: &Wanted) -> Drift {
        let mut drift = Drift::default();
        let places = wanted.places();
        let mut looking = stream::iter(places)
            .map(|(repository, place)| {
                async move { (repository, self.extra(repository, place).await) }.boxed()
            })
            .buffered(CONCURRENCY);
        while let Some((repository, found)) = looking.next().await {
            match found {
                Ok(Some(extra)) => drift.extra.push(extra),
                Ok(None) => {}
                Err(error) => drift.unseen.push((repository.to_string(), shown(&error))),
            }
        }
        drift
    }

    async fn extra(&self, repository: &Repository, place: &Place) -> Result<Option<Extra>, Error> {
        let mut tags = self.survey.tags_at(repository, &place.access).await?;
        tags.retain(|tag| !place.tags.contains(tag) && !is_own_tag(tag));
        if tags.is_empty() {
            return Ok(None);
        }
        let count = tags.len();
        tags.truncate(MAX_NAMED);
        Ok(Some(Extra {
            repository: repository.to_string(),
            tags,
            count,
        }))
    }
}
