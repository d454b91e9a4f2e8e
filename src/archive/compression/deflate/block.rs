//! The codes of a block: how they are stored, and skipping what they encode.

use super::code::{Code, DISTANCE, Entry, RARE, Then, low};
use super::{Bits, Malformed, Result};

/// The literal/length symbol that ends a block: those below are literals, those above lengths.
const END_OF_BLOCK: usize = 256;
/// In this order the lengths of the code of the code lengths are stored.
const ORDER: [usize; 19] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];

/// The two codes of a block.
pub(super) struct Codes {
    literals: Code,
    distances: Code,
}

impl Codes {
    pub(super) fn new() -> Self {
        Self {
            literals: Code::new(literal),
            distances: Code::new(distance),
        }
    }

    fn set(&mut self, literals: &[u8], distances: &[u8]) {
        self.literals.set(literals);
        self.literals.join();
        self.literals.pack();
        self.distances.set(distances);
        self.distances.pack();
    }

    /// The codes that are not stored
    /// ([RFC 1951, 3.2.6](https://www.rfc-editor.org/rfc/rfc1951#section-3.2.6)).
    pub(super) fn fix(&mut self) {
        let mut lengths = [8; 288];
        lengths[144..256].fill(9);
        lengths[256..280].fill(7);
        self.set(&lengths, &[5; 30]);
    }

    /// Reads the lengths of the codes
    /// ([RFC 1951, 3.2.7](https://www.rfc-editor.org/rfc/rfc1951#section-3.2.7)).
    pub(super) fn read(&mut self, bits: &mut Bits<'_>) -> Result<()> {
        let literals = bits.take(5)? + 257;
        let distances = bits.take(5)? + 1;
        let stored = bits.take(4)? + 4;
        let mut lengths = [0; ORDER.len()];
        for symbol in &ORDER[..stored] {
            lengths[*symbol] = u8::try_from(bits.take(3)?).unwrap_or_default();
        }
        let mut code = Code::new(length_symbol);
        code.set(&lengths);
        let lengths = read_lengths(&code, literals + distances, bits)?;
        let (literals, distances) = lengths.split_at(literals);
        self.set(literals, distances);
        Ok(())
    }

    /// Skips to the end of the block.
    ///
    /// Whether a literal or a length comes next cannot be predicted, so there is no branch for it:
    /// the bits behind are looked up as a distance in any case, and that counts only behind a
    /// length.
    pub(super) fn skip(&self, bits: &mut Bits<'_>) -> Result<()> {
        loop {
            bits.fill()?;
            let codes = self.literals.packed[low(bits.buffer)];
            let behind = bits.buffer >> (codes & 0xff);
            let is_length = ((codes / DISTANCE) & 1).wrapping_neg();
            let distance = self.distances.packed[low(behind)] & is_length;
            if (codes | distance) & RARE == 0 {
                bits.skip(u32::from(codes & 0xff) + u32::from(distance));
            } else if self.skip_rare(bits)? == Then::Block {
                return Ok(());
            }
        }
    }

    /// Skips whatever comes next. The buffer has been filled, with enough for a distance too.
    #[cold]
    fn skip_rare(&self, bits: &mut Bits<'_>) -> Result<Then> {
        let entry = self.literals.entry(bits)?;
        bits.skip(entry.bits());
        if entry.then == Then::Distance {
            let distance = self.distances.entry(bits)?;
            bits.skip(distance.bits());
        }
        Ok(entry.then)
    }
}

/// The lengths of the codes of a block, which are themselves coded.
fn read_lengths(code: &Code, count: usize, bits: &mut Bits<'_>) -> Result<Vec<u8>> {
    let mut lengths = Vec::with_capacity(count);
    while lengths.len() < count {
        bits.fill()?;
        let entry = code.entry(bits)?;
        let symbol = entry.extra;
        bits.skip(u32::from(entry.code));
        let (length, times) = match symbol {
            0..=15 => (symbol, 1),
            16 => (*lengths.last().ok_or(Malformed)?, 3 + bits.take(2)?),
            17 => (0, 3 + bits.take(3)?),
            _ => (0, 11 + bits.take(7)?),
        };
        lengths.extend(std::iter::repeat_n(length, times));
    }
    if lengths.len() > count {
        return Err(Malformed);
    }
    Ok(lengths)
}

/// What follows the code of a literal, a length or the end.
fn literal(symbol: usize) -> Entry {
    let (extra, then) = match symbol {
        0..END_OF_BLOCK => (0, Then::Symbol),
        END_OF_BLOCK => (0, Then::Block),
        257..=264 | 285 => (0, Then::Distance),
        265..=284 => ((symbol - 261) / 4, Then::Distance),
        _ => return Entry::LONGER,
    };
    with_extra(extra, then)
}

/// What follows the code of a distance.
fn distance(symbol: usize) -> Entry {
    match symbol {
        0..=3 => with_extra(0, Then::Symbol),
        4..=29 => with_extra((symbol - 2) / 2, Then::Symbol),
        _ => Entry::LONGER,
    }
}

/// In the code of the code lengths, the symbol itself stands where otherwise the extra bits do.
fn length_symbol(symbol: usize) -> Entry {
    with_extra(symbol, Then::Symbol)
}

fn with_extra(extra: usize, then: Then) -> Entry {
    Entry {
        code: 0,
        extra: u8::try_from(extra).unwrap_or_default(),
        then,
    }
}
