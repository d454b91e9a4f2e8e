//! Finding what came before.

use crate::block::{self, Block};
use crate::symbols::{MAX_DISTANCE, MAX_LENGTH};

/// Bytes by which matches are looked up. There are shorter ones, which save little.
const LOOKED_UP: u32 = 5;
/// Bits of a place in the table.
const TABLE_BITS: u32 = 15;
/// The more literals in a row, the more bytes are skipped: one after so many.
const PATIENCE: usize = 128;
/// Bytes that are read at once.
const WORD: usize = size_of::<u64>();

/// Finds matches in one pass: at each place, the last place with the same next bytes is looked at,
/// and the match taken if there is one.
pub(crate) struct Matches {
    /// By the hash of the bytes at a place: the place, modulo 2^16. It may be out of reach or one
    /// of other bytes: what is there is compared.
    table: Box<[u16; 1 << TABLE_BITS]>,
}

impl Matches {
    pub(crate) fn new() -> Self {
        let table = vec![0; 1 << TABLE_BITS].try_into();
        Self {
            table: table.expect("as many entries as a table has"),
        }
    }

    /// Forgets what came before.
    pub(crate) fn forget(&mut self) {
        self.table.fill(0);
    }

    /// Puts into `block` what begins at `start`, and gives its end.
    // Apart from its caller, its loop gets more registers.
    #[inline(never)]
    pub(crate) fn find(&mut self, plain: &[u8], start: usize, block: &mut Block) -> usize {
        block.clear();
        let stop = plain.len().min(start + block::PLAIN);
        // From there on, fewer bytes are left than are read at once.
        let limit = stop.min(plain.len().saturating_sub(2 * WORD));
        let mut literals = start;
        while let Some(found) = self.next(plain, literals, limit, block) {
            block.push(found.at - literals, found.length, found.distance);
            literals = found.at + found.length;
            if literals < limit {
                self.insert_around(plain, found.at, literals);
            }
        }
        let end = stop.max(literals);
        block.finish(&plain[literals.max(limit)..end]);
        end
    }

    /// The next match before `limit`. The literals before it, or up to there, are counted.
    #[inline]
    fn next(
        &mut self,
        plain: &[u8],
        literals: usize,
        limit: usize,
        block: &mut Block,
    ) -> Option<Match> {
        let mut at = literals;
        while at < limit {
            let bytes = word(plain, at);
            let before = self.swap(bytes, at);
            let distance = usize::from((at as u16).wrapping_sub(before));
            // Where the table is empty, this is the first place.
            let differing = word(plain, at - distance) ^ bytes;
            // Out of reach is as if other: one branch, which is sooner predicted than two.
            let is_near = distance.wrapping_sub(1) < MAX_DISTANCE;
            let differing = if is_near { differing } else { 1 };
            if differing as u32 == 0 {
                let found = Match::of(plain, at, distance, differing);
                return Some(found.extended_back(plain, literals, block));
            }
            block.count_literal(bytes as u8);
            let skipped = (at - literals) / PATIENCE;
            at += 1;
            if skipped > 0 {
                let next = limit.min(at + skipped);
                for byte in &plain[at..next] {
                    block.count_literal(*byte);
                }
                at = next;
            }
        }
        None
    }

    /// Enters some places of a match, so that those behind it find it.
    #[inline]
    fn insert_around(&mut self, plain: &[u8], start: usize, end: usize) {
        for at in [
            start + 1,
            start + 2,
            start + 3,
            start + 4,
            end - 3,
            end - 2,
            end - 1,
        ] {
            self.swap(word(plain, at), at);
        }
    }

    /// Enters a place by its bytes, and gives the one that was there.
    #[inline]
    fn swap(&mut self, bytes: u64, at: usize) -> u16 {
        let hash = (bytes << (64 - 8 * LOOKED_UP)).wrapping_mul(0x9e37_79b1_85eb_ca87);
        let entry = &mut self.table[(hash >> (64 - TABLE_BITS)) as usize];
        std::mem::replace(entry, at as u16)
    }
}

struct Match {
    at: usize,
    length: usize,
    distance: usize,
}

impl Match {
    /// The match of which `differing` says where it ends, if within a word.
    #[inline]
    fn of(plain: &[u8], at: usize, distance: usize, differing: u64) -> Self {
        let length = if differing == 0 {
            WORD + common(&plain[at - distance + WORD..], &plain[at + WORD..])
        } else {
            differing.trailing_zeros() as usize / 8
        };
        Self {
            at,
            length,
            distance,
        }
    }

    /// Takes in the literals before that match too.
    #[inline]
    fn extended_back(mut self, plain: &[u8], literals: usize, block: &mut Block) -> Self {
        while self.at > literals && self.at > self.distance && self.length < MAX_LENGTH {
            let byte = plain[self.at - 1];
            if byte != plain[self.at - 1 - self.distance] {
                break;
            }
            block.uncount_literal(byte);
            self.at -= 1;
            self.length += 1;
        }
        self
    }
}

/// The number of bytes that are the same, beside those of a word that are known to be.
#[inline]
fn common(before: &[u8], here: &[u8]) -> usize {
    let here = &here[..here.len().min(MAX_LENGTH - WORD)];
    let (before_words, _) = before.as_chunks::<WORD>();
    let (here_words, rest) = here.as_chunks::<WORD>();
    let mut length = 0;
    for (before, here) in before_words.iter().zip(here_words) {
        let differing = u64::from_le_bytes(*before) ^ u64::from_le_bytes(*here);
        if differing != 0 {
            return length + differing.trailing_zeros() as usize / 8;
        }
        length += WORD;
    }
    let rest = before[length..].iter().zip(rest);
    length + rest.take_while(|(before, here)| before == here).count()
}

#[inline]
fn word(plain: &[u8], at: usize) -> u64 {
    let mut bytes = [0; WORD];
    bytes.copy_from_slice(&plain[at..][..WORD]);
    u64::from_le_bytes(bytes)
}
