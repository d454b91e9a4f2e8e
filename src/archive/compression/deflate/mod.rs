//! Putting one deflate stream behind another ([RFC 1951](https://www.rfc-editor.org/rfc/rfc1951)).
//!
//! libdeflate, the fastest compressor for what it saves, ends every stream for good: the last
//! block is marked as such and may end within a byte. For another stream to follow, the mark must
//! go and the byte be filled up, and for that one must know where the last block begins and ends.
//! Only the codes before it tell. They are skipped, not decoded: it does not matter what they
//! stand for, but how long they are. That takes a tenth of the time of compressing.

mod block;
mod code;
#[cfg(test)]
mod tests;

use self::block::Codes;

/// A stream that is not deflate, or does not end where its bytes end.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed deflate stream")]
pub(super) struct Malformed;

type Result<T> = std::result::Result<T, Malformed>;

/// Makes a complete stream one that another may follow, behind the bytes that this gives.
pub(super) fn unfinish(stream: &mut [u8]) -> Result<&'static [u8]> {
    /// An empty stored block: three zero bits, zeros up to the next byte, then its length and the
    /// complement of that.
    const STORED: [u8; 5] = [0, 0, 0, 0xff, 0xff];
    let last = last_block(stream)?;
    stream[last.mark / 8] &= !(1 << (last.mark % 8));
    let header = (last.end + 3).div_ceil(8);
    match header.checked_sub(stream.len()) {
        Some(0) => Ok(&STORED[1..]),
        Some(1) => Ok(&STORED),
        _ => Err(Malformed),
    }
}

/// Where the last block of a stream is, in bits.
struct LastBlock {
    /// The bit that says that it is the last.
    mark: usize,
    end: usize,
}

fn last_block(stream: &[u8]) -> Result<LastBlock> {
    let mut bits = Bits::new(stream);
    let mut codes = Codes::new();
    loop {
        let mark = bits.position();
        let is_last = bits.take(1)? == 1;
        match bits.take(2)? {
            0 => bits.skip_stored()?,
            1 => {
                codes.fix();
                codes.skip(&mut bits)?;
            }
            2 => {
                codes.read(&mut bits)?;
                codes.skip(&mut bits)?;
            }
            _ => return Err(Malformed),
        }
        let end = bits.position();
        if end > stream.len() * 8 {
            return Err(Malformed);
        }
        if is_last {
            return Ok(LastBlock { mark, end });
        }
    }
}

/// The bits of a stream, the lowest of each byte first, and zeros behind its end.
struct Bits<'a> {
    stream: &'a [u8],
    /// The byte that enters the buffer next.
    next: usize,
    buffer: u64,
    /// How many bits of the buffer count. Those above are bits of the stream or zero.
    count: u32,
}

impl<'a> Bits<'a> {
    fn new(stream: &'a [u8]) -> Self {
        Self {
            stream,
            next: 0,
            buffer: 0,
            count: 0,
        }
    }

    fn position(&self) -> usize {
        self.next * 8 - self.count as usize
    }

    /// Fills the buffer with at least 56 bits.
    #[inline]
    fn fill(&mut self) -> Result<()> {
        let rest = self.stream.get(self.next..).unwrap_or_default();
        let bytes = match rest.first_chunk() {
            Some(bytes) => *bytes,
            None => self.fill_from_tail(rest)?,
        };
        self.buffer |= u64::from_le_bytes(bytes) << self.count;
        self.next += (63 - self.count as usize) / 8;
        self.count |= 0b11_1000;
        Ok(())
    }

    #[cold]
    fn fill_from_tail(&self, tail: &[u8]) -> Result<[u8; 8]> {
        if self.next > self.stream.len() + 8 {
            return Err(Malformed);
        }
        let mut bytes = [0; 8];
        bytes[..tail.len()].copy_from_slice(tail);
        Ok(bytes)
    }

    #[inline]
    fn skip(&mut self, count: u32) {
        self.buffer >>= count;
        self.count -= count;
    }

    fn take(&mut self, count: u32) -> Result<usize> {
        self.fill()?;
        let bits = self.buffer & ((1 << count) - 1);
        self.skip(count);
        usize::try_from(bits).map_err(|_| Malformed)
    }

    fn skip_stored(&mut self) -> Result<()> {
        let at = self.position().div_ceil(8);
        let header = self.stream.get(at..).and_then(|rest| rest.first_chunk());
        let [low, high, _, _] = header.ok_or(Malformed)?;
        self.next = at + 4 + usize::from(u16::from_le_bytes([*low, *high]));
        (self.buffer, self.count) = (0, 0);
        Ok(())
    }
}
