//! Comparing each image of a list with its destinations.

use futures_util::future::join_all;
use futures_util::{FutureExt, Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};

use super::{Planner, Tags};
use crate::cloudformation::{Properties, image_of};
use crate::content::ManifestKey;
use crate::deploy::{Error, Image, Kind, Target};
use crate::mirror::item::{Item, Reason};
use crate::mirror::list::Entry;
use crate::mirror::outcome::Outcome;
use crate::mirror::shown;
use crate::oci::{Digest, Tag};

/// Images that are compared at once, over all registries.
const CONCURRENCY: usize = 64;

/// An image of a list: an entry and one of its tags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Position {
    /// The position of the entry in the list, from 0.
    pub entry: usize,
    /// The position of the tag among those that the entry selects, from 0.
    pub tag: usize,
}

/// The result of comparing an image with its destinations.
#[derive(Clone, Debug, PartialEq)]
pub enum Compared {
    /// Each destination has it.
    Current,
    /// A destination lacks it, or has it otherwise.
    Differs(Item),
    /// It cannot be had, or a destination cannot be looked at.
    Failed(Outcome),
}

impl Planner {
    /// Compares the images from `from` on with their destinations, in order and many at once.
    pub fn compare<'a>(
        &'a self,
        tags: &'a Tags,
        from: Position,
    ) -> impl Stream<Item = (Position, Compared)> + 'a {
        let entries = self.list.entries.iter().zip(&tags.0).enumerate();
        let images = entries
            .skip(from.entry)
            .flat_map(move |(entry, (of, selected))| {
                let first = if entry == from.entry { from.tag } else { 0 };
                let tags = selected.each().enumerate().skip(first);
                tags.map(move |(tag, named)| (Position { entry, tag }, of, named))
            });
        stream::iter(images)
            .map(move |(position, entry, tag)| {
                async move { (position, self.compare_one(position, entry, tag).await) }.boxed()
            })
            .buffered(CONCURRENCY)
    }

    async fn compare_one(&self, position: Position, entry: &Entry, tag: Option<&Tag>) -> Compared {
        let registry = entry.source().repository().registry();
        let mut item = Item {
            id: String::new(),
            entry: position.entry,
            registry: registry.to_owned(),
            source: entry.image(tag),
            digest: None,
            reason: Reason::Unknown,
            requests_per_second: self.requests_per_item(registry),
            properties: Properties::new(),
        };
        let image = match image(entry, tag) {
            Ok((properties, image)) => {
                item.properties = properties;
                image
            }
            Err(problem) => {
                return Compared::Failed(Outcome::failed(
                    &item,
                    &Kind::Invalid.to_string(),
                    problem,
                ));
            }
        };
        let meaning = {
            let _turn = self.turn(&item.registry).await;
            self.survey.meaning(&image).await
        };
        let meaning = match meaning {
            Ok(meaning) => meaning,
            Err(error) => return differs_or_failed(item, &error),
        };
        // What is compared is what is copied, although the tag may move meanwhile.
        if let Ok(pinned) = entry.properties(tag, Some(&meaning.root)) {
            item.properties = pinned;
        }
        item.digest = Some(meaning.wanted.clone());
        let asking = image.targets.iter();
        let asking = asking.map(|target| self.lacks(target, &meaning.wanted).boxed());
        let mut reason = None;
        for answer in join_all(asking).await {
            match answer {
                Ok(lack) => reason = reason.max(lack),
                Err(error) => return differs_or_failed(item, &error),
            }
        }
        let Some(reason) = reason else {
            return Compared::Current;
        };
        item.reason = reason;
        Compared::Differs(item)
    }

    /// Returns the difference between the target and the wanted image, if there is one.
    async fn lacks(&self, target: &Target, wanted: &Digest) -> Result<Option<Reason>, Error> {
        let by_digest = [ManifestKey::Digest(wanted)];
        let by_tag: Vec<_> = target.tags.iter().map(ManifestKey::Tag).collect();
        let keys = if by_tag.is_empty() {
            &by_digest[..]
        } else {
            &by_tag
        };
        let mut lack = None;
        for key in keys {
            let (repository, access) = (&target.repository, &target.access);
            let found = self.survey.digest_at(repository, *key, access).await?;
            match found {
                None => return Ok(Some(Reason::Missing)),
                Some(found) if found != *wanted => lack = Some(Reason::Moved),
                Some(_) => {}
            }
        }
        Ok(lack)
    }
}

/// The image of a tag, and the properties that mean it.
fn image(entry: &Entry, tag: Option<&Tag>) -> Result<(Properties, Image), String> {
    let properties = entry.properties(tag, None);
    let properties = properties.map_err(|problem| problem.to_string())?;
    let (image, _) = image_of(&properties).map_err(|problems| problems.to_string())?;
    Ok((properties, image))
}

/// A failure that passes leaves the image to be copied: that is tried again, with patience.
fn differs_or_failed(item: Item, error: &Error) -> Compared {
    let kind = Kind::of(error);
    if kind.is_passing() {
        return Compared::Differs(item);
    }
    Compared::Failed(Outcome::failed(&item, &kind.to_string(), shown(error)))
}
