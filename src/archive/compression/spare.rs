//! Things that are costly to make, kept for the next use.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// As many as were ever in use at the same time.
pub(super) struct Spare<T> {
    make: fn() -> T,
    idle: Mutex<Vec<T>>,
}

impl<T> Spare<T> {
    pub(super) fn new(make: fn() -> T) -> Self {
        Self {
            make,
            idle: Mutex::default(),
        }
    }

    /// Gives `work` one of its own. One whose work panicked is not used again.
    pub(super) fn lend<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        let idle = self.idle().pop();
        let mut thing = idle.unwrap_or_else(self.make);
        let done = work(&mut thing);
        self.idle().push(thing);
        done
    }

    fn idle(&self) -> MutexGuard<'_, Vec<T>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
