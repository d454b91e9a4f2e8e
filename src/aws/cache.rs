//! A bounded number of values that are made once a key.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many are kept. A warm function may see many stacks, roles and buckets.
const MAX_ENTRIES: usize = 32;

/// Values that are made when they are first needed. All go when there are too many: they are
/// cheap to make again.
pub(super) struct Cache<K, V>(Mutex<HashMap<K, V>>);

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    pub(super) fn get<Q>(&self, key: &Q, make: impl FnOnce() -> V) -> V
    where
        Q: ?Sized + Hash + Eq + ToOwned<Owned = K>,
        K: Borrow<Q>,
    {
        let mut map = self.lock();
        if let Some(value) = map.get(key) {
            return value.clone();
        }
        let value = make();
        insert(&mut map, key.to_owned(), value.clone());
        value
    }

    pub(super) fn set(&self, key: K, value: V) {
        insert(&mut self.lock(), key, value);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn insert<K: Eq + Hash, V>(map: &mut HashMap<K, V>, key: K, value: V) {
    if map.len() >= MAX_ENTRIES {
        map.clear();
    }
    map.insert(key, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_a_value_once() {
        let cache: Cache<String, u32> = Cache::default();
        assert_eq!(cache.get("a", || 1), 1);
        assert_eq!(cache.get("a", || 2), 1);
        cache.set("a".to_owned(), 3);
        assert_eq!(cache.get("a", || 4), 3);
    }

    #[test]
    fn does_not_grow_without_end() {
        let cache: Cache<usize, usize> = Cache::default();
        for key in 0..1000 {
            cache.get(&key, || key);
        }
        assert!(cache.lock().len() <= MAX_ENTRIES);
    }
}
