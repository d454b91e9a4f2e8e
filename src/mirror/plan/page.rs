//! A page of a plan: as many images as one invocation compares, and as one Map takes.

use std::collections::BTreeMap;
use std::pin::pin;

use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};

use super::{Compared, Planner, Position, Tags};
use crate::mirror::item::Item;
use crate::mirror::outcome::Outcome;

/// The most items of a page.
pub(crate) const MAX_ITEMS: usize = 5000;
/// The part of a group that may fail without ending its Map: an item that failed is one that the
/// report tells.
const TOLERATED: f64 = 100.0;

/// The place at which a plan goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Cursor {
    /// The page's number, from 0.
    pub page: usize,
    /// The next step.
    pub phase: Phase,
    /// The image that is compared next.
    #[serde(default)]
    pub position: Position,
}

/// A step of a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// It lists tags.
    #[default]
    Tags,
    /// It compares images with their destinations.
    Compare,
    /// It looks for tags that are not in the list.
    Drift,
}

/// The answer of an invocation that planned a page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Planned {
    /// The items to copy, one group for each source registry.
    pub groups: Vec<Group>,
    /// The place at which the plan goes on. `None`: it is done.
    pub next: Option<Cursor>,
}

/// Items of one source registry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Group {
    /// The registry.
    pub registry: String,
    /// The bucket of the items.
    pub bucket: String,
    /// The key of the items: a JSON array.
    pub key: String,
    /// The number of items.
    pub count: usize,
    /// The number of items that may be copied at once.
    pub max_concurrency: usize,
    /// The percentage of them that may fail.
    pub tolerated_failure_percentage: f64,
}

/// The findings of one page.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Page {
    /// Images that each destination has.
    pub current: usize,
    /// The items to copy.
    pub groups: Vec<Group>,
    /// Images that cannot be copied, and those that are left for a later run.
    pub settled: Vec<Outcome>,
}

/// A page, and the items of its groups.
pub struct Compiled {
    /// The page, whose groups are not stored yet.
    pub page: Page,
    /// The items of each registry.
    pub items: BTreeMap<String, Vec<Item>>,
    /// The image that comes next. `None`: there are no more.
    pub next: Option<Position>,
}

impl Planner {
    /// Compares images from `from` on until the page has `most` items, all are compared or the
    /// time is up. No request is under way when it returns.
    pub async fn compile(
        &self,
        tags: &Tags,
        from: Position,
        (number, most): (usize, usize),
        until: Instant,
    ) -> Compiled {
        let mut compiled = Compiled {
            page: Page::default(),
            items: BTreeMap::new(),
            next: Some(from),
        };
        let mut count = 0;
        let mut comparing = pin!(self.compare(tags, from));
        while let Ok(next) = timeout_at(until, comparing.next()).await {
            let Some((position, compared)) = next else {
                compiled.next = None;
                break;
            };
            if count == most {
                compiled.next = Some(position);
                break;
            }
            compiled.next = Some(Position {
                tag: position.tag + 1,
                ..position
            });
            let id = format!("{number:04}-{count:04}");
            match compared {
                Compared::Current => compiled.page.current += 1,
                Compared::Failed(outcome) => {
                    compiled.page.settled.push(Outcome { id, ..outcome });
                    count += 1;
                }
                Compared::Differs(item) => {
                    let of_registry = compiled.items.entry(item.registry.clone());
                    of_registry.or_default().push(Item { id, ..item });
                    count += 1;
                }
            }
        }
        self.defer(&mut compiled);
        compiled
    }

    /// Leaves items for a later run that their registry would not give any more.
    fn defer(&self, compiled: &mut Compiled) {
        for (registry, items) in &mut compiled.items {
            let Some(allowance) = self.survey.allowance(registry) else {
                continue;
            };
            let most = usize::try_from(allowance.remaining).unwrap_or(usize::MAX);
            if items.len() <= most {
                continue;
            }
            let reason = format!(
                "{registry} allows {most} more pulls at present, and {} are to be copied from it; \
                 give credentials that have a larger quota, or run again later",
                items.len()
            );
            let deferred = items.split_off(most);
            let deferred = deferred.iter();
            let deferred = deferred.map(|item| Outcome::deferred(item, reason.clone()));
            compiled.page.settled.extend(deferred);
        }
        compiled.items.retain(|_, items| !items.is_empty());
    }

    /// Returns the reason for leaving images for later if the registry allows no more pulls.
    pub fn quota_is_used_up(&self, registry: &str) -> Option<String> {
        let allowance = self.survey.allowance(registry)?;
        (allowance.remaining == 0).then(|| {
            format!(
                "{registry} allows no more pulls at present: give credentials that have a larger \
                 quota, or run again later"
            )
        })
    }

    /// The group of a registry's items, which are stored at `key` in `bucket`.
    pub fn group(&self, registry: &str, count: usize, bucket: &str, key: &str) -> Group {
        Group {
            registry: registry.to_owned(),
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            count,
            max_concurrency: self.items_at_once(registry),
            tolerated_failure_percentage: TOLERATED,
        }
    }
}
