//! Writing bits.

/// The bits of a stream, the lowest of each byte first.
pub(crate) struct BitWriter<'a> {
    out: &'a mut [u8],
    /// Bytes of `out` that are complete.
    at: usize,
    buffer: u64,
    /// How many bits of the buffer count. Those above are zero.
    count: u32,
}

impl<'a> BitWriter<'a> {
    pub(crate) fn new(out: &'a mut [u8]) -> Self {
        Self {
            out,
            at: 0,
            buffer: 0,
            count: 0,
        }
    }

    /// Adds bits to the buffer. Up to 56 fit in between two calls of [`flush`](Self::flush).
    #[inline]
    pub(crate) fn put(&mut self, bits: u32, count: u32) {
        self.buffer |= u64::from(bits) << self.count;
        self.count += count;
    }

    /// Writes out all bits of the buffer but the last seven or fewer.
    #[inline]
    pub(crate) fn flush(&mut self) {
        self.out[self.at..][..8].copy_from_slice(&self.buffer.to_le_bytes());
        self.at += (self.count / 8) as usize;
        self.buffer >>= self.count & !7;
        self.count &= 7;
    }

    /// Fills the byte up with zeros.
    pub(crate) fn align(&mut self) {
        self.count = self.count.next_multiple_of(8);
        self.flush();
    }

    /// Appends bytes, behind [`align`](Self::align).
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.out[self.at..][..bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    /// Bytes that are complete.
    pub(crate) fn len(&self) -> usize {
        self.at
    }
}
