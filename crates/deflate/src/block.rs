//! A block: what it is made of, and how it is written.

use crate::bits::BitWriter;
use crate::lengths::Lengths;
use crate::prefix::{Code, set_codes};
use crate::symbols::{
    DISTANCE_RANGES, DISTANCES, END_OF_BLOCK, LENGTH_RANGES, LITERALS, MAX_LENGTH, Range,
    distance_symbol, length_symbol,
};

/// Bytes that a block stands for, and up to a match more. Files of an image differ: with larger
/// blocks, their codes fit worse; with smaller ones, more time goes into codes.
pub(crate) const PLAIN: usize = 1 << 15;
/// Bytes by which a block is at most longer than what it stands for, and more than what ends a
/// stretch takes, with the room that writing a word needs.
pub(crate) const MOST_MORE: usize = 16;
/// Literals that are written at once: as many as fit into a word, however long their codes.
const AT_ONCE: usize = 4;

/// A match, and how many literals stand before it.
#[derive(Clone, Copy)]
struct Sequence {
    literals: u16,
    length: u16,
    distance: u16,
    distance_symbol: u8,
}

/// A block: sequences, then literals up to its end.
pub(crate) struct Block {
    sequences: Vec<Sequence>,
    literals: [u32; LITERALS],
    distances: [u32; DISTANCES + 2],
    codes: Codes,
}

impl Block {
    pub(crate) fn new() -> Self {
        Self {
            sequences: Vec::with_capacity(PLAIN / 4 + 1),
            literals: [0; LITERALS],
            distances: [0; DISTANCES + 2],
            codes: Codes::new(),
        }
    }

    pub(crate) fn clear(&mut self) {
        self.sequences.clear();
        self.literals.fill(0);
        self.distances.fill(0);
    }

    #[inline]
    pub(crate) fn count_literal(&mut self, byte: u8) {
        self.literals[usize::from(byte)] += 1;
    }

    #[inline]
    pub(crate) fn uncount_literal(&mut self, byte: u8) {
        self.literals[usize::from(byte)] -= 1;
    }

    /// Adds literals, which were counted, and a match.
    #[inline]
    pub(crate) fn push(&mut self, literals: usize, length: usize, distance: usize) {
        let (length, distance) = (length as u16, distance as u16);
        let symbol = distance_symbol(distance);
        self.literals[END_OF_BLOCK + 1 + length_symbol(length)] += 1;
        self.distances[usize::from(symbol) % 32] += 1;
        self.sequences.push(Sequence {
            literals: literals as u16,
            length,
            distance,
            distance_symbol: symbol,
        });
    }

    /// Counts the literals behind the last match.
    pub(crate) fn finish(&mut self, literals: &[u8]) {
        for byte in literals {
            self.count_literal(*byte);
        }
        self.literals[END_OF_BLOCK] = 1;
    }
}

/// The codes of a block.
struct Codes {
    literals: [Code; LITERALS],
    /// By the length of a match, with the bits behind the symbol.
    lengths: [LongCode; MAX_LENGTH + 1],
    distances: [Code; 32],
}

/// A code together with the bits that belong to it.
#[derive(Clone, Copy, Default)]
struct LongCode {
    bits: u32,
    length: u8,
}

impl Codes {
    fn new() -> Self {
        Self {
            literals: [Code::default(); LITERALS],
            lengths: [LongCode::default(); MAX_LENGTH + 1],
            distances: [Code::default(); 32],
        }
    }

    fn set(&mut self, lengths: &Lengths) {
        set_codes(&lengths.literals, &mut self.literals);
        set_codes(&lengths.distances, &mut self.distances);
        for length in 3..=MAX_LENGTH as u16 {
            let symbol = length_symbol(length);
            let range = LENGTH_RANGES[symbol];
            let code = self.literals[END_OF_BLOCK + 1 + symbol];
            let extra = u32::from(length - range.base);
            self.lengths[usize::from(length)] = LongCode {
                bits: u32::from(code.bits) | extra << code.length,
                length: code.length + range.extra,
            };
        }
    }

    #[inline]
    fn put_literal(&self, byte: u8, bits: &mut BitWriter<'_>) {
        let code = self.literals[usize::from(byte)];
        bits.put(u32::from(code.bits), u32::from(code.length));
    }

    /// Writes literals, and reads [`AT_ONCE`] bytes in any case.
    #[inline]
    fn write_literals(&self, plain: &[u8], count: usize, bits: &mut BitWriter<'_>) {
        let (mut plain, mut left) = (plain, count);
        while left > AT_ONCE {
            for byte in &plain[..AT_ONCE] {
                self.put_literal(*byte, bits);
            }
            bits.flush();
            plain = &plain[AT_ONCE..];
            left -= AT_ONCE;
        }
        if left == 0 {
            return;
        }
        // How many are left cannot be predicted, so there is no branch for it.
        for (at, byte) in plain[..AT_ONCE].iter().enumerate() {
            let code = self.literals[usize::from(*byte)];
            let code = if at < left { code } else { Code::default() };
            bits.put(u32::from(code.bits), u32::from(code.length));
        }
        bits.flush();
    }

    #[inline]
    fn write_match(&self, sequence: Sequence, bits: &mut BitWriter<'_>) {
        let length = self.lengths[usize::from(sequence.length)];
        bits.put(length.bits, u32::from(length.length));
        let symbol = usize::from(sequence.distance_symbol);
        let code = self.distances[symbol];
        let range = DISTANCE_RANGES[symbol];
        bits.put(u32::from(code.bits), u32::from(code.length));
        let extra = sequence.distance - range.base;
        bits.put(u32::from(extra), u32::from(range.extra));
        bits.flush();
    }
}

impl Block {
    /// Writes the block, which stands for `plain`.
    pub(crate) fn write<'a>(&mut self, plain: &[u8], mut bits: BitWriter<'a>) -> BitWriter<'a> {
        let lengths = Lengths::of(&self.literals, &self.distances);
        if self.bits(&lengths) >= 8 * plain.len() {
            write_stored(plain, &mut bits);
            return bits;
        }
        bits.put(2 << 1, 3);
        lengths.write(&mut bits);
        self.codes.set(&lengths);
        self.write_symbols(plain, bits)
    }

    /// Writes sequences, literals and the end. The writer comes and goes by value: behind a
    /// reference it would not be kept in registers.
    #[inline(never)]
    fn write_symbols<'a>(&self, plain: &[u8], mut bits: BitWriter<'a>) -> BitWriter<'a> {
        let mut at = 0;
        for sequence in &self.sequences {
            let literals = usize::from(sequence.literals);
            self.codes.write_literals(&plain[at..], literals, &mut bits);
            self.codes.write_match(*sequence, &mut bits);
            at += literals + usize::from(sequence.length);
        }
        for byte in &plain[at..] {
            self.codes.put_literal(*byte, &mut bits);
            bits.flush();
        }
        let end = self.codes.literals[END_OF_BLOCK];
        bits.put(u32::from(end.bits), u32::from(end.length));
        bits.flush();
        bits
    }

    /// The length of what is written, in bits.
    fn bits(&self, lengths: &Lengths) -> usize {
        let of = |counts: &[u32], code: &[u8]| -> usize {
            let each = counts.iter().zip(code);
            each.map(|(count, length)| *count as usize * usize::from(*length))
                .sum()
        };
        let extra = |counts: &[u32], ranges: &[Range]| -> usize {
            let each = counts.iter().zip(ranges);
            each.map(|(count, range)| *count as usize * usize::from(range.extra))
                .sum()
        };
        lengths.bits()
            + of(&self.literals, &lengths.literals)
            + extra(&self.literals[END_OF_BLOCK + 1..], &LENGTH_RANGES)
            + of(&self.distances, &lengths.distances)
            + extra(&self.distances, &DISTANCE_RANGES)
    }
}

/// Writes bytes as they are.
fn write_stored(plain: &[u8], bits: &mut BitWriter<'_>) {
    bits.put(0, 3);
    bits.align();
    let length = plain.len() as u16;
    bits.put(u32::from(length), 16);
    bits.put(u32::from(!length), 16);
    bits.flush();
    bits.extend(plain);
}

/// Ends a stretch on a byte boundary: by the last block of the stream, which is empty, or by an
/// empty block of bytes as they are.
pub(crate) fn write_end(last: bool, bits: &mut BitWriter<'_>) {
    if last {
        // The code of the end is seven zeros where no codes are stored.
        bits.put(1 | 1 << 1, 3 + 7);
        bits.align();
    } else {
        write_stored(&[], bits);
    }
}
