//! Reading scattered small parts of an object with few requests.

use std::ops::Range;

use bytes::Bytes;

use super::scan::Reader;
use super::walk::Length;
use crate::content::{self, RangeRead, collect_exactly};

/// Bytes read ahead at the beginning.
const FIRST: u64 = 64 << 10;
/// Bytes read ahead after a jump over much data: the next header and what small entries follow it.
const AFTER_JUMP: u64 = 16 << 10;
/// Bytes read ahead at most, where entry follows upon small entry.
const LONGEST: u64 = 1 << 20;

/// A window of bytes that moves forward through an object. Where the next part lies close behind,
/// the window grows; where it lies far, what is between is not read.
pub(super) struct Window<'a> {
    object: &'a dyn RangeRead,
    start: u64,
    bytes: Bytes,
    ahead: u64,
}

impl<'a> Window<'a> {
    pub(super) fn new(object: &'a dyn RangeRead) -> Self {
        Self {
            object,
            start: 0,
            bytes: Bytes::new(),
            ahead: FIRST / 4,
        }
    }

    /// The part of `range` that is at hand, as far as it is from its start on.
    fn at_hand(&self, range: Range<u64>) -> Bytes {
        let within = |at: u64| {
            let at = usize::try_from(at.saturating_sub(self.start)).unwrap_or(usize::MAX);
            at.min(self.bytes.len())
        };
        if range.start < self.start {
            return Bytes::new();
        }
        self.bytes.slice(within(range.start)..within(range.end))
    }

    /// Moves the window to begin at `start`, with at least `length` bytes in it.
    async fn move_to(&mut self, start: u64, length: u64) -> content::Result<()> {
        let end = self.start + self.bytes.len() as u64;
        let close = start <= end + self.ahead;
        self.ahead = if close {
            (self.ahead * 4).min(LONGEST)
        } else {
            AFTER_JUMP
        };
        let until = start.saturating_add(self.ahead.max(length));
        let window = start..until.min(self.object.size());
        let length = window.end - window.start;
        self.bytes = Bytes::new();
        self.bytes = collect_exactly(self.object.read(window).await?, length).await?;
        self.start = start;
        Ok(())
    }
}

impl Reader for Window<'_> {
    fn length(&self) -> Length {
        Length::Known(self.object.size())
    }

    async fn read(&mut self, range: Range<u64>) -> content::Result<Bytes> {
        let size = self.object.size();
        let range = range.start.min(size)..range.end.min(size);
        let length = range.end - range.start;
        if (self.at_hand(range.clone()).len() as u64) < length {
            self.move_to(range.start, length).await?;
        }
        Ok(self.at_hand(range))
    }

    async fn pass(&mut self, range: Range<u64>) -> content::Result<Bytes> {
        Ok(self.at_hand(range))
    }
}
