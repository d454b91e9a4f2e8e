//! A DEFLATE encoder ([RFC 1951](https://www.rfc-editor.org/rfc/rfc1951)) for data that is cut into
//! stretches, which are compressed apart, on several processors, and put one behind the other.
//!
//! Each stretch becomes a run of deflate blocks that ends on a byte boundary. The bytes depend on
//! the stretch alone: they are the same on every machine.

mod bits;
mod block;
mod lengths;
mod matches;
mod prefix;
mod symbols;

use bits::BitWriter;
use block::Block;
use matches::Matches;

/// Compresses stretches of data. Making one costs more than using it again.
pub struct Encoder {
    matches: Matches,
    block: Block,
}

impl Encoder {
    /// Makes an encoder.
    #[must_use]
    pub fn new() -> Self {
        Self {
            matches: Matches::new(),
            block: Block::new(),
        }
    }

    /// The room that [`encode`](Self::encode) needs for so many bytes.
    #[must_use]
    pub fn bound(length: usize) -> usize {
        length + (length / block::PLAIN + 2) * block::MOST_MORE
    }

    /// Compresses a stretch into `out`, and gives the length of what it became: a run of deflate
    /// blocks that another may follow, or that ends the stream. Where `out` is shorter than
    /// [`bound`](Self::bound), there is none.
    pub fn encode(&mut self, plain: &[u8], last: bool, out: &mut [u8]) -> Option<usize> {
        if out.len() < Self::bound(plain.len()) {
            return None;
        }
        let mut bits = BitWriter::new(out);
        self.matches.forget();
        let mut start = 0;
        while start < plain.len() {
            let end = self.matches.find(plain, start, &mut self.block);
            bits = self.block.write(&plain[start..end], bits);
            start = end;
        }
        block::write_end(last, &mut bits);
        Some(bits.len())
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}
