//! Reading scattered small parts of an object with few requests.

use std::ops::Range;

use bytes::Bytes;

use crate::content::{self, RangeRead, collect};

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
    pub(super) fn at_hand(&self, range: Range<u64>) -> Bytes {
        let within = |at: u64| {
            let at = usize::try_from(at.saturating_sub(self.start)).unwrap_or(usize::MAX);
            at.min(self.bytes.len())
        };
        if range.start < self.start {
            return Bytes::new();
        }
        self.bytes.slice(within(range.start)..within(range.end))
    }

    /// The bytes of `range`, which lies within the object.
    pub(super) async fn read(&mut self, range: Range<u64>) -> content::Result<Bytes> {
        let length = range.end - range.start;
        let present = self.at_hand(range.clone());
        if present.len() as u64 == length {
            return Ok(present);
        }
        let end = self.start + self.bytes.len() as u64;
        let close = range.start <= end + self.ahead;
        self.ahead = if close {
            (self.ahead * 4).min(LONGEST)
        } else {
            AFTER_JUMP
        };
        let until = range.start.saturating_add(self.ahead.max(length));
        let window = range.start..until.min(self.object.size());
        let limit = window.end - window.start;
        self.bytes = Bytes::new();
        self.bytes = collect(self.object.read(window).await?, limit).await?;
        self.start = range.start;
        let read = self.at_hand(range);
        if (read.len() as u64) < length {
            return Err(content::Error::Size {
                expected: length,
                actual: read.len() as u64,
            });
        }
        Ok(read)
    }
}
