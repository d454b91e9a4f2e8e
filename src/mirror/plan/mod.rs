//! The plan of a run: what the list means at present, and what its destinations lack of it.

mod compare;
mod drift;
mod page;
mod problems;
mod tags;
mod wanted;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use compare::{Compared, Position};
pub use drift::{Drift, Extra};
pub(super) use page::{Compiled, MAX_ITEMS};
pub use page::{Cursor, Group, Page, Phase, Planned};
pub use tags::{Selected, Tags};
pub use wanted::Wanted;

use super::list::List;
use crate::deploy::Survey;

/// Requests to one registry at once, where the list sets no bound.
const PER_REGISTRY: usize = 16;

/// Items copied at once from one registry, where the list sets no bound.
const ITEMS_AT_ONCE: usize = 20;

/// Finds out what the destinations of a list lack.
pub struct Planner {
    list: Arc<List>,
    survey: Survey,
    turns: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Planner {
    /// Plans `list`, and looks at registries by `survey`, at the rates that the list sets.
    pub fn new(list: Arc<List>, survey: Survey) -> Self {
        for (registry, rules) in &list.registries {
            if let Some(rate) = rules.requests_per_second {
                survey.limit_requests(registry, rate);
            }
        }
        Self {
            list,
            survey,
            turns: Mutex::default(),
        }
    }

    /// The list.
    pub fn list(&self) -> &Arc<List> {
        &self.list
    }

    /// Waits for a turn at a registry: as many are given at once as the list allows.
    pub async fn turn(&self, registry: &str) -> Option<OwnedSemaphorePermit> {
        // Turns are never closed, so there is always one to come.
        self.turns_of(registry).acquire_owned().await.ok()
    }

    /// The number of items that are copied at once from a registry.
    fn items_at_once(&self, registry: &str) -> usize {
        self.max_concurrency(registry).unwrap_or(ITEMS_AT_ONCE)
    }

    /// The rate of requests to a registry that is left for each of the items copied at once.
    fn requests_per_item(&self, registry: &str) -> Option<f64> {
        let rate = self.list.registries.get(registry)?.requests_per_second?;
        Some(rate / self.items_at_once(registry) as f64)
    }

    fn max_concurrency(&self, registry: &str) -> Option<usize> {
        let most = self.list.registries.get(registry)?.max_concurrency?;
        Some(most.get())
    }

    fn turns_of(&self, registry: &str) -> Arc<Semaphore> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let of_it = turns.entry(registry.to_owned());
        let most = self.max_concurrency(registry).unwrap_or(PER_REGISTRY);
        Arc::clone(of_it.or_insert_with(|| Arc::new(Semaphore::new(most))))
    }
}
