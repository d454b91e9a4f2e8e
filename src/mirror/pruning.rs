//! Pruning: the removal of tags that the mirror wrote and that its list does not want any more.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{FutureExt, StreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};

use super::ledger::Ledger;
use super::list::Prune;
use super::plan::Wanted;
use super::shown;
use crate::deploy::{Deploy, PushedImage};
use crate::oci::{Digest, Reference, Repository, Tag};

/// Images that are removed at once.
const CONCURRENCY: usize = 8;

/// The result of pruning.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Pruned {
    /// The tags that were removed.
    pub removed: Vec<String>,
    /// The tags that were not, and why.
    pub failed: Vec<(String, String)>,
    /// The reason for removing nothing, or not everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withheld: Option<String>,
}

impl Pruned {
    /// Nothing was removed, for this reason.
    pub fn withheld(reason: String) -> Self {
        Self {
            withheld: Some(reason),
            ..Self::default()
        }
    }
}

/// The tags that `ledger` has and `wanted` has not.
pub(super) fn unwanted(ledger: &Ledger, wanted: &Wanted) -> Vec<String> {
    let tags = ledger.tags.keys();
    let is_wanted = |text: &str| {
        let reference: Option<Reference> = text.parse().ok();
        reference.is_some_and(|reference| {
            let tag = reference.tag();
            tag.is_some_and(|tag| wanted.has(reference.repository(), tag))
        })
    };
    tags.filter(|tag| !is_wanted(tag)).cloned().collect()
}

/// Returns the reason for keeping all tags if more than `prune` allows would go.
pub(super) fn withheld(prune: Prune, unwanted: usize, ledger: &Ledger) -> Option<String> {
    let written = ledger.tags.len();
    let share = unwanted as f64 * 100.0 / written.max(1) as f64;
    (share > f64::from(prune.max_share)).then(|| {
        format!(
            "{unwanted} of the {written} tags that the mirror wrote are not in the list any more, \
             which is more than the {} percent that prune.maxShare allows at once: nothing was \
             removed; see that the list is right, or raise it",
            prune.max_share
        )
    })
}

/// Removes tags, each only where it still names the image that the mirror wrote. What was removed
/// leaves the ledger.
pub(super) async fn prune(
    deploy: &Arc<dyn Deploy>,
    ledger: &mut Ledger,
    tags: &[String],
    until: Instant,
) -> Pruned {
    let mut pruned = Pruned::default();
    let mut removing = stream::iter(groups(ledger, tags))
        .map(|pushed| {
            async move {
                let removed = deploy.remove(&pushed).await;
                (pushed, removed)
            }
            .boxed()
        })
        .buffer_unordered(CONCURRENCY);
    while let Ok(Some((pushed, removed))) = timeout_at(until, removing.next()).await {
        let tags = pushed.tags.iter();
        let names = tags.map(|tag| pushed.repository.tagged(tag).to_string());
        for name in names {
            match &removed {
                Ok(()) => {
                    ledger.tags.remove(&name);
                    pruned.removed.push(name);
                }
                Err(error) => pruned.failed.push((name, shown(&**error))),
            }
        }
    }
    let settled = pruned.removed.len() + pruned.failed.len();
    if settled < tags.len() {
        pruned.withheld = Some(format!(
            "no time was left for {} tags: the next run removes them",
            tags.len() - settled
        ));
    }
    pruned
}

/// The images behind tags: one a digest and repository.
fn groups(ledger: &Ledger, tags: &[String]) -> Vec<PushedImage> {
    let mut groups: BTreeMap<(Repository, Digest), Vec<Tag>> = BTreeMap::new();
    for name in tags {
        let reference: Option<Reference> = name.parse().ok();
        let Some((reference, digest)) = reference.zip(ledger.tags.get(name)) else {
            continue;
        };
        let of_image = (reference.repository().clone(), digest.clone());
        let tags = groups.entry(of_image).or_default();
        tags.extend(reference.tag().cloned());
    }
    let groups = groups.into_iter();
    groups
        .map(|((repository, digest), tags)| PushedImage {
            access: ledger.access(&repository),
            repository,
            digest,
            tags,
            kept: Vec::new(),
        })
        .collect()
}
