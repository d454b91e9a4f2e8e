//! Prefix codes, by tables that tell how many bits to skip.

use super::{Bits, Malformed, Result};

/// Longest code.
const MAX_CODE: usize = 15;
/// Bits by which codes are looked up. Few are longer.
const LOOKUP: u32 = 11;

/// What stands behind a code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Then {
    /// Another literal, length or end.
    #[default]
    Symbol,
    /// The distance that belongs to a length.
    Distance,
    /// Another block.
    Block,
    /// Unknown: the code is longer, or there is none.
    Longer,
}

/// Bits to skip, of one or several codes and what belongs to the last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Entry {
    /// Bits of the code, or of all codes.
    pub(super) code: u8,
    /// Bits behind the code that belong to it.
    pub(super) extra: u8,
    pub(super) then: Then,
}

impl Entry {
    pub(super) const LONGER: Self = Self {
        code: 0,
        extra: 0,
        then: Then::Longer,
    };

    #[inline]
    pub(super) fn bits(self) -> u32 {
        u32::from(self.code + self.extra)
    }
}

/// An [`Entry`] for the fast path: the bits to skip in the lowest byte, then a mark.
pub(super) type Packed = u16;

/// A distance follows.
pub(super) const DISTANCE: Packed = 1 << 8;
/// Not for the fast path: the end of a block, a code that is too long, or none.
pub(super) const RARE: Packed = 1 << 9;

impl Entry {
    fn pack(self) -> Packed {
        let mark = match self.then {
            Then::Symbol => 0,
            Then::Distance => DISTANCE,
            Then::Block | Then::Longer => RARE,
        };
        Packed::from(self.code + self.extra) | mark
    }
}

/// A prefix code.
pub(super) struct Code {
    /// By the next bits: the code that they begin with.
    entries: Box<[Entry; 1 << LOOKUP]>,
    pub(super) packed: Box<[Packed; 1 << LOOKUP]>,
    /// The number of codes of each length.
    counts: [u16; MAX_CODE + 1],
    /// The symbols, by the length of their code.
    symbols: Vec<u16>,
    meaning: fn(usize) -> Entry,
}

impl Code {
    pub(super) fn new(meaning: fn(usize) -> Entry) -> Self {
        Self {
            entries: Box::new([Entry::LONGER; 1 << LOOKUP]),
            packed: Box::new([RARE; 1 << LOOKUP]),
            counts: [0; MAX_CODE + 1],
            symbols: Vec::new(),
            meaning,
        }
    }

    /// Makes this the code whose symbols have codes of these lengths
    /// ([RFC 1951, 3.2.2](https://www.rfc-editor.org/rfc/rfc1951#section-3.2.2)).
    pub(super) fn set(&mut self, lengths: &[u8]) {
        self.counts = [0; MAX_CODE + 1];
        for length in lengths {
            self.counts[usize::from(*length)] += 1;
        }
        self.counts[0] = 0;
        self.entries.fill(Entry::LONGER);
        self.symbols.clear();
        let mut next = 0_usize;
        for length in 1..=MAX_CODE {
            next <<= 1;
            let of_length = lengths.iter().enumerate();
            for (symbol, _) in of_length.filter(|(_, other)| usize::from(**other) == length) {
                self.symbols.push(u16::try_from(symbol).unwrap_or_default());
                self.enter(next, length, symbol);
                next += 1;
            }
        }
    }

    /// Enters a code wherever the next bits begin with it. Codes are stored highest bit first.
    fn enter(&mut self, code: usize, length: usize, symbol: usize) {
        if length > LOOKUP as usize {
            return;
        }
        let first = code.reverse_bits() >> (usize::BITS as usize - length);
        let entry = Entry {
            code: u8::try_from(length).unwrap_or_default(),
            ..(self.meaning)(symbol)
        };
        for at in (first..1 << LOOKUP).step_by(1 << length) {
            self.entries[at] = entry;
        }
    }

    /// Lets one entry skip as many codes as its bits hold. From the last entry on, those that
    /// begin with fewer bits are still single.
    pub(super) fn join(&mut self) {
        for at in (0..1 << LOOKUP).rev() {
            let mut joined = self.entries[at];
            while joined.then == Then::Symbol {
                let next = self.entries[at >> joined.code];
                if next.then == Then::Longer || u32::from(joined.code + next.code) > LOOKUP {
                    break;
                }
                joined = Entry {
                    code: joined.code + next.code,
                    ..next
                };
            }
            self.entries[at] = joined;
        }
    }

    pub(super) fn pack(&mut self) {
        for (packed, entry) in self.packed.iter_mut().zip(self.entries.iter()) {
            *packed = entry.pack();
        }
    }

    /// Looks up the next code. The buffer has been filled.
    pub(super) fn entry(&self, bits: &Bits<'_>) -> Result<Entry> {
        let entry = self.entries[low(bits.buffer)];
        if entry.then == Then::Longer {
            return self.long_entry(bits);
        }
        Ok(entry)
    }

    /// Looks up a code bit by bit.
    #[cold]
    fn long_entry(&self, bits: &Bits<'_>) -> Result<Entry> {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for length in 1..=MAX_CODE {
            code |= bits.buffer >> (length - 1) & 1;
            let count = u64::from(self.counts[length]);
            if code < first + count {
                let symbol = usize::try_from(index + code - first).map_err(|_| Malformed)?;
                let symbol = self.symbols.get(symbol).ok_or(Malformed)?;
                let entry = Entry {
                    code: u8::try_from(length).unwrap_or_default(),
                    ..(self.meaning)(usize::from(*symbol))
                };
                return if entry.then == Then::Longer {
                    Err(Malformed)
                } else {
                    Ok(entry)
                };
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        Err(Malformed)
    }
}

/// The bits by which a code is looked up.
#[inline]
pub(super) fn low(buffer: u64) -> usize {
    usize::try_from(buffer & ((1 << LOOKUP) - 1)).unwrap_or_default()
}
