//! Large buffers that are used again.
//!
//! What a layer is read into, and compressed into, comes and goes a thousand times a second, from
//! one thread to another. An allocator that gets such blocks back in no order keeps ever more of
//! them; buffers of one length, taken from where they were put back, are as many as are in use at
//! the same time, however long a run takes.

use std::fmt;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// As many buffers are kept when nobody has use for them.
const KEPT: usize = 128;

/// The place where buffers are put back.
static FREE: Mutex<Vec<Box<[u8]>>> = Mutex::new(Vec::new());

fn free() -> MutexGuard<'static, Vec<Box<[u8]>>> {
    FREE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A buffer that is put back when it, or the [`Bytes`] made of it, is dropped.
pub struct Buffer {
    bytes: Box<[u8]>,
    filled: usize,
}

impl Buffer {
    /// Bytes that are best put into one buffer. There is room for an eighth more and a bit: what
    /// an encoder may make of a block that cannot be compressed.
    pub const BLOCK: usize = 1 << 20;
    const LENGTH: usize = Self::BLOCK + Self::BLOCK / 8 + (16 << 10);

    /// Takes an empty buffer.
    pub fn take() -> Self {
        let used = free().pop();
        Self {
            bytes: used.unwrap_or_else(|| vec![0; Self::LENGTH].into()),
            filled: 0,
        }
    }

    /// Bytes that are in it.
    pub fn len(&self) -> usize {
        self.filled
    }

    /// Returns true if nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// Appends as much of `bytes` as there is room for; how much that was.
    pub fn extend(&mut self, bytes: &[u8]) -> usize {
        let room = &mut self.bytes[self.filled..];
        let length = bytes.len().min(room.len());
        room[..length].copy_from_slice(&bytes[..length]);
        self.filled += length;
        length
    }

    /// The room behind what is in it. What is written there counts after [`Buffer::advance`].
    pub fn room(&mut self) -> &mut [u8] {
        &mut self.bytes[self.filled..]
    }

    /// Counts the next `length` bytes of the room as filled, at most all of it.
    pub fn advance(&mut self, length: usize) {
        self.filled = self.bytes.len().min(self.filled + length);
    }

    /// What is in it, to be shared and cut without a copy.
    pub fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

/// Takes as much as there is room for.
impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(self.extend(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Buffer of {} bytes", self.filled)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        let mut free = free();
        if free.len() < KEPT {
            free.push(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_put_in_and_nothing_of_before() {
        let mut buffer = Buffer::take();
        assert_eq!(buffer.extend(&[7; 100]), 100);
        buffer.room()[..2].copy_from_slice(b"ab");
        buffer.advance(2);
        let bytes = buffer.freeze();
        assert_eq!(bytes[98..], [7, 7, b'a', b'b']);
        drop(bytes);

        let buffer = Buffer::take();
        assert!(buffer.is_empty());
        assert_eq!(buffer.freeze(), Bytes::new());
    }

    #[test]
    fn takes_no_more_than_it_has_room_for() {
        let mut buffer = Buffer::take();
        let bytes = vec![1; Buffer::LENGTH];
        assert_eq!(buffer.extend(&bytes[..10]), 10);
        assert_eq!(buffer.extend(&bytes), Buffer::LENGTH - 10);
        assert_eq!(buffer.extend(&bytes), 0);
        assert_eq!(buffer.as_ref(), bytes);
    }
}
