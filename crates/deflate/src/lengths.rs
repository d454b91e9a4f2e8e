//! The lengths of a block's codes, and how they are stored
//! ([RFC 1951, 3.2.7](https://www.rfc-editor.org/rfc/rfc1951#section-3.2.7)).

use crate::bits::BitWriter;
use crate::prefix::{Code, set_codes, set_lengths};
use crate::symbols::{DISTANCES, END_OF_BLOCK, LITERALS};

/// The longest code of a literal or length: four of them fit into a word.
const LONGEST_LITERAL: usize = 14;
const LONGEST_DISTANCE: usize = 15;
/// The longest code of a length.
const LONGEST_LENGTH: usize = 7;
/// The symbols for lengths, of which 16 to 18 stand for several.
const SYMBOLS: usize = 19;
/// In this order the lengths of the code of the lengths are stored.
const ORDER: [usize; SYMBOLS] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];

/// The lengths of a block's codes.
pub(crate) struct Lengths {
    pub(crate) literals: [u8; LITERALS],
    pub(crate) distances: [u8; DISTANCES + 2],
    stored: Stored,
}

/// The way in which the lengths are stored.
struct Stored {
    literals: usize,
    distances: usize,
    runs: Vec<Run>,
    /// The lengths of the code of the lengths.
    lengths: [u8; SYMBOLS],
}

/// One symbol for lengths, and the bits behind it.
#[derive(Clone, Copy)]
struct Run {
    symbol: u8,
    extra: u8,
    extra_bits: u8,
}

impl Lengths {
    /// The best lengths for symbols that occur so often.
    pub(crate) fn of(literal_counts: &[u32], distance_counts: &[u32]) -> Self {
        let (mut literals, mut distances) = ([0; LITERALS], [0; DISTANCES + 2]);
        set_lengths(literal_counts, LONGEST_LITERAL, &mut literals);
        set_lengths(distance_counts, LONGEST_DISTANCE, &mut distances);
        Self {
            stored: Stored::of(&literals, &distances),
            literals,
            distances,
        }
    }

    /// Bits of a block's beginning, up to its first literal or match.
    pub(crate) fn bits(&self) -> usize {
        let stored = &self.stored;
        let runs = stored.runs.iter().map(|run| {
            usize::from(stored.lengths[usize::from(run.symbol)]) + usize::from(run.extra_bits)
        });
        3 + 5 + 5 + 4 + 3 * stored.code() + runs.sum::<usize>()
    }

    /// Writes the lengths.
    pub(crate) fn write(&self, bits: &mut BitWriter<'_>) {
        let stored = &self.stored;
        let code = stored.code();
        bits.put((stored.literals - END_OF_BLOCK - 1) as u32, 5);
        bits.put(stored.distances as u32 - 1, 5);
        bits.put(code as u32 - 4, 4);
        for symbol in &ORDER[..code] {
            bits.flush();
            bits.put(u32::from(stored.lengths[*symbol]), 3);
        }
        let mut codes = [Code::default(); SYMBOLS];
        set_codes(&stored.lengths, &mut codes);
        for run in &stored.runs {
            let code = codes[usize::from(run.symbol)];
            bits.flush();
            bits.put(u32::from(code.bits), u32::from(code.length));
            bits.put(u32::from(run.extra), u32::from(run.extra_bits));
        }
        bits.flush();
    }
}

impl Stored {
    fn of(literals: &[u8], distances: &[u8]) -> Self {
        let literals = &literals[..used(literals)];
        // There is one distance at least, even where it has no code.
        let distances = &distances[..used(distances).max(1)];
        // One run may go from the literals to the distances.
        let all = [literals, distances].concat();
        let mut runs = Vec::with_capacity(all.len());
        for same in all.chunk_by(|one, next| one == next) {
            push_runs(same[0], same.len(), &mut runs);
        }
        let mut counts = [0; SYMBOLS];
        for run in &runs {
            counts[usize::from(run.symbol)] += 1;
        }
        let mut lengths = [0; SYMBOLS];
        set_lengths(&counts, LONGEST_LENGTH, &mut lengths);
        Self {
            literals: literals.len(),
            distances: distances.len(),
            runs,
            lengths,
        }
    }

    /// How many lengths of the code of the lengths are stored.
    fn code(&self) -> usize {
        let last = ORDER.iter().rposition(|symbol| self.lengths[*symbol] > 0);
        last.map_or(4, |last| (last + 1).max(4))
    }
}

/// The number of symbols up to the last that has a code.
fn used(lengths: &[u8]) -> usize {
    let last = lengths.iter().rposition(|length| *length > 0);
    last.map_or(0, |last| last + 1)
}

/// Puts one length, so many times, into as few runs as it takes.
fn push_runs(length: u8, times: usize, runs: &mut Vec<Run>) {
    let single = Run {
        symbol: length,
        extra: 0,
        extra_bits: 0,
    };
    let mut left = times;
    if length > 0 {
        runs.push(single);
        left -= 1;
    }
    loop {
        let (symbol, least, extra_bits) = match left {
            0..=2 => break,
            _ if length > 0 => (16, 3, 2),
            3..=10 => (17, 3, 3),
            _ => (18, 11, 7),
        };
        let extra = (left - least).min((1 << extra_bits) - 1);
        runs.push(Run {
            symbol,
            extra: extra as u8,
            extra_bits,
        });
        left -= least + extra;
    }
    runs.extend(std::iter::repeat_n(single, left));
}
