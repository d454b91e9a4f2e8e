//! The number of blobs that are copied at once, adapted to the network.

use std::time::Duration;

use super::Concurrency;

/// The growth of throughput, in percent, that more blobs at once must bring.
const WORTHWHILE: u64 = 110;
/// The size in bytes up to which a blob takes round trips rather than the network.
const SMALL: u64 = 2 << 20;
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

    /// Returns true if a blob of `size` bytes may be under way beside `under_way` others. Small ones
    /// need not wait for the number to grow.
    pub(super) fn have_room(&self, under_way: usize, size: u64) -> bool {
        let is_small = size <= SMALL && self.rest == 0;
        under_way < if is_small { self.most } else { self.allowed }
    }

    /// Adapts the number to an interval at whose end so many blobs are under way. `moved` and
    /// `throttles` are the bytes and the answers that asked for fewer requests, since the beginning.
    pub(super) fn measure(&mut self, moved: u64, throttles: u64, under_way: usize) {
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
        if under_way >= self.allowed && bytes * 100 > self.best * WORTHWHILE {
            self.allowed = (self.allowed * 2).min(self.most);
        }
        self.best = self.best.max(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;
    const ALL: usize = 16;

    fn lanes() -> Lanes {
        Lanes::new(Concurrency { start: 4, most: 16 }, 0, 0)
    }

    /// Large blobs that may be under way at once.
    fn allowed(lanes: &Lanes) -> usize {
        let large = MIB << 10;
        (0..ALL)
            .filter(|&count| lanes.have_room(count, large))
            .count()
    }

    #[test]
    fn the_number_grows_while_throughput_grows() {
        let mut lanes = lanes();
        let mut moved = 0;
        let mut seen = vec![allowed(&lanes)];
        for bytes in [10, 20, 21, 40, 80] {
            moved += bytes * MIB;
            lanes.measure(moved, 0, ALL);
            seen.push(allowed(&lanes));
        }
        assert_eq!(seen, [4, 8, 16, 16, 16, 16]);
    }

    #[test]
    fn more_at_once_that_moves_no_more_is_the_end_of_growth() {
        let mut lanes = lanes();
        for interval in 1..=20 {
            lanes.measure(interval * 10 * MIB, 0, ALL);
        }
        assert_eq!(allowed(&lanes), 8);
    }

    #[test]
    fn what_is_not_in_use_does_not_grow() {
        let mut lanes = lanes();
        lanes.measure(10 * MIB, 0, 3);
        assert_eq!(allowed(&lanes), 4);
    }

    #[test]
    fn small_blobs_do_not_wait_for_growth() {
        let lanes = lanes();
        assert!(lanes.have_room(15, MIB));
        assert!(!lanes.have_room(16, MIB));
    }

    #[test]
    fn throttles_halve_the_number_and_let_it_rest() {
        let mut lanes = lanes();
        lanes.measure(10 * MIB, 0, ALL);
        for throttles in 1..=5 {
            lanes.measure(10 * MIB, throttles, ALL);
        }
        assert_eq!(allowed(&lanes), 1);
        assert!(!lanes.have_room(1, MIB), "small ones wait as well");
        for interval in 1..=u64::from(REST) {
            lanes.measure((10 + interval) * MIB, 5, ALL);
            assert_eq!(allowed(&lanes), 1);
        }
        lanes.measure(100 * MIB, 5, ALL);
        assert_eq!(allowed(&lanes), 2);
    }

    #[test]
    fn a_number_that_is_set_stays() {
        let mut lanes = Lanes::new(Concurrency::fixed(8), 0, 0);
        lanes.measure(10 * MIB, 0, ALL);
        assert_eq!(allowed(&lanes), 8);
    }
}
