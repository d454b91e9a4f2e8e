//! The fingerprint of one file's content: its size and SHA-256, line ends made the same.
//!
//! What is text and what is not is decided by the first 8 KiB, and text is decoded in pieces of
//! that size. A piece that ends in a carriage return waits for the next one; where it waits to
//! the end of the file, it is neither counted nor are its line ends changed. All that is CDK's
//! way, and decides about hashes.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::oci::{Algorithm, Digester};

/// The bytes that CDK reads at once.
const PIECE: usize = 8 * 1024;
/// The bytes that are read at once here, a multiple of that.
const BUFFER: usize = 16 * PIECE;

/// `<size>:<hex>` of a file. `buffer` is for use by one call after the other.
pub(super) fn fingerprint(path: &Path, buffer: &mut Vec<u8>) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut content = Content::new(file.try_clone()?);
    buffer.resize(BUFFER, 0);
    loop {
        let filled = fill(&mut file, buffer)?;
        for piece in buffer[..filled].chunks(PIECE) {
            content.take(piece)?;
        }
        if filled < buffer.len() {
            return content.finish();
        }
    }
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

struct Content {
    file: File,
    digester: Digester,
    /// Bytes hashed, those that wait at the end excluded.
    size: u64,
    /// Bytes read.
    offset: u64,
    is_binary: bool,
    /// The pieces that wait, by where they are in the file: they are read again.
    waiting: Range<u64>,
    /// The text so far ends in a carriage return, which is not hashed yet.
    carriage_return: bool,
}

impl Content {
    fn new(file: File) -> Self {
        Self {
            file,
            digester: Digester::new(Algorithm::Sha256),
            size: 0,
            offset: 0,
            is_binary: false,
            waiting: 0..0,
            carriage_return: false,
        }
    }

    fn take(&mut self, piece: &[u8]) -> io::Result<()> {
        let start = self.offset;
        self.offset += piece.len() as u64;
        if self.size == 0 {
            self.is_binary = piece.contains(&0);
        }
        if self.is_binary {
            self.update(piece);
            return Ok(());
        }
        let text = String::from_utf8_lossy(piece);
        if text.ends_with('\r') {
            if self.waiting.is_empty() {
                self.waiting.start = start;
            }
            self.waiting.end = self.offset;
            return Ok(());
        }
        for waiting in self.waiting_pieces() {
            let piece = self.read_again(waiting)?;
            self.update_text(&String::from_utf8_lossy(&piece));
        }
        self.waiting = 0..0;
        self.update_text(&text);
        Ok(())
    }

    fn update(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.digester.update(bytes);
    }

    /// Hashes text with line feeds for line ends.
    fn update_text(&mut self, text: &str) {
        if std::mem::take(&mut self.carriage_return) && !text.starts_with('\n') {
            self.update(b"\r");
        }
        let whole_lines = text.strip_suffix('\r');
        self.carriage_return = whole_lines.is_some();
        let text = whole_lines.unwrap_or(text);
        let text = if text.contains("\r\n") {
            Cow::Owned(text.replace("\r\n", "\n"))
        } else {
            Cow::Borrowed(text)
        };
        self.update(text.as_bytes());
    }

    fn waiting_pieces(&self) -> impl Iterator<Item = Range<u64>> + use<> {
        let Range { start, end } = self.waiting;
        (start..end)
            .step_by(PIECE)
            .map(move |piece| piece..end.min(piece + PIECE as u64))
    }

    fn read_again(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        let mut piece = vec![0; PIECE];
        let length = usize::try_from(range.end - range.start).unwrap_or(PIECE);
        piece.truncate(length);
        self.file.read_exact_at(&mut piece, range.start)?;
        Ok(piece)
    }

    fn finish(mut self) -> io::Result<String> {
        for waiting in self.waiting_pieces() {
            let piece = self.read_again(waiting)?;
            self.digester
                .update(String::from_utf8_lossy(&piece).as_bytes());
        }
        Ok(format!("{}:{}", self.size, self.digester.finish().hex()))
    }
}
