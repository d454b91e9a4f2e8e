//! How many blobs are copied at once.

use std::time::Duration;

use super::Concurrency;

/// The growth of throughput, in percent, that more blobs at once must bring.
const WORTHWHILE: u64 = 110;
/// Intervals after a throttle in which the number does not grow.
const REST: u32 = 40;

/// The number of blobs that are copied at once: more while that moves more bytes, fewer where a
/// registry asks for fewer requests.
#[derive(Debug)]
pub(super) struct Lanes {
    allowed: usize,
    most: usize,
    /// The most bytes that an interval moved.
    best: u64,
    moved: u64,
    throttles: u64,
    /// Intervals until the number may grow again.
    rest: u32,
}

impl Lanes {
    /// The time between two measurements.
    pub(super) const INTERVAL: Duration = Duration::from_millis(50);

    pub(super) fn new(concurrency: Concurrency, moved: u64, throttles: u64) -> Self {
        let most = concurrency.most.max(1);
        Self {
            allowed: concurrency.start.clamp(1, most),
            most,
            best: 0,
            moved,
            throttles,
            rest: 0,
        }
    }

    /// Blobs that may be under way now.
    pub(super) fn allowed(&self) -> usize {
        self.allowed
    }

    /// Adapts the number to an interval in which all of it was in use, or was not (`busy`). `moved`
    /// and `throttles` are the bytes and the answers that asked for fewer requests, since the
    /// beginning.
    pub(super) fn measure(&mut self, moved: u64, throttles: u64, busy: bool) {
        let bytes = moved - std::mem::replace(&mut self.moved, moved);
        let was_throttled = throttles > std::mem::replace(&mut self.throttles, throttles);
        if was_throttled {
            self.allowed = (self.allowed / 2).max(1);
            self.best = 0;
            self.rest = REST;
            return;
        }
        if self.rest > 0 {
            self.rest -= 1;
            return;
        }
        if busy && bytes * 100 > self.best * WORTHWHILE {
            self.allowed = (self.allowed * 2).min(self.most);
        }
        self.best = self.best.max(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn lanes() -> Lanes {
        Lanes::new(Concurrency { start: 4, most: 16 }, 0, 0)
    }

    #[test]
    fn the_number_grows_while_throughput_grows() {
        let mut lanes = lanes();
        let mut moved = 0;
        let mut seen = Vec::new();
        for bytes in [10, 20, 21, 40, 80] {
            moved += bytes * MIB;
            lanes.measure(moved, 0, true);
            seen.push(lanes.allowed());
        }
        assert_eq!(seen, [8, 16, 16, 16, 16]);
    }

    #[test]
    fn more_at_once_that_moves_no_more_is_the_end_of_growth() {
        let mut lanes = lanes();
        for interval in 1..=20 {
            lanes.measure(interval * 10 * MIB, 0, true);
        }
        assert_eq!(lanes.allowed(), 8);
    }

    #[test]
    fn what_is_not_in_use_does_not_grow() {
        let mut lanes = lanes();
        lanes.measure(10 * MIB, 0, false);
        assert_eq!(lanes.allowed(), 4);
    }

    #[test]
    fn throttles_halve_the_number_and_let_it_rest() {
        let mut lanes = lanes();
        lanes.measure(10 * MIB, 0, true);
        for throttles in 1..=5 {
            lanes.measure(10 * MIB, throttles, true);
        }
        assert_eq!(lanes.allowed(), 1);
        for interval in 1..=u64::from(REST) {
            lanes.measure((10 + interval) * MIB, 5, true);
            assert_eq!(lanes.allowed(), 1);
        }
        lanes.measure(100 * MIB, 5, true);
        assert_eq!(lanes.allowed(), 2);
    }

    #[test]
    fn a_number_that_is_set_stays() {
        let mut lanes = Lanes::new(Concurrency::fixed(8), 0, 0);
        lanes.measure(10 * MIB, 0, true);
        assert_eq!(lanes.allowed(), 8);
    }
}
