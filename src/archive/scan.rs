//! From file to file through a tar that is read ever further on.

use std::ops::Range;

use bytes::Bytes;

use super::Error;
use super::compression::Format;
use super::file::File;
use super::file::MAX_DOCUMENT;
use super::header::BLOCK;
use super::walk::{Length, Step, Walker};
use crate::content;

/// The place where a tar is read from, ever further on.
pub(super) trait Reader: Send {
    /// How long the tar is, as far as is known.
    fn length(&self) -> Length;

    /// The bytes of `range`, as far as there are any.
    fn read(&mut self, range: Range<u64>) -> impl Future<Output = content::Result<Bytes>> + Send;

    /// The bytes of `range`, as far as they cost nothing to read.
    fn pass(&mut self, range: Range<u64>) -> impl Future<Output = content::Result<Bytes>> + Send;
}

/// The bytes of `range`, all of them.
async fn whole(
    reader: &mut impl Reader,
    range: Range<u64>,
    what: impl Fn() -> String,
) -> Result<Bytes, Error> {
    let bytes = reader.read(range.clone()).await.map_err(Error::Read)?;
    let end = range.start + bytes.len() as u64;
    if end < range.end {
        return Err(truncated(what(), range.end, end));
    }
    Ok(bytes)
}

fn truncated(what: String, expected: u64, actual: u64) -> Error {
    Error::Truncated {
        what,
        expected,
        actual,
    }
}

/// A thing that is found on the way.
pub(super) enum Found {
    /// A file by its name, with its content where that is a document which came by.
    File(String, File, Option<Bytes>),
    /// A link, with the name that it leads to.
    Link(String, String),
    /// The end of the tar.
    End(End),
}

/// The way in which a tar ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Marked,
    /// Without the mark that tells that there is no more.
    Unmarked,
}

/// A way through a tar, and how far it is gone.
#[derive(Clone, Debug)]
pub(super) struct Scan {
    walker: Walker,
    /// The last file, and where it ends.
    last: (String, u64),
}

impl Scan {
    pub(super) fn new(length: Length) -> Self {
        Self {
            walker: Walker::new(length),
            last: (String::new(), 0),
        }
    }

    /// How far it is gone: it reads on from here.
    pub(super) fn position(&self) -> u64 {
        self.walker.position()
    }

    /// Returns the next thing. A scan that fails here or is stopped is not gone on with.
    pub(super) async fn next(&mut self, reader: &mut impl Reader) -> Result<Found, Error> {
        loop {
            let at = self.walker.position();
            // With the header comes the first block of what it describes.
            let until = at.saturating_add(2 * BLOCK as u64);
            let read = reader.read(at..until).await.map_err(Error::Read)?;
            let Some((block, begin)) = read.split_first_chunk() else {
                self.check_end(reader, at..at + read.len() as u64)?;
                return Ok(Found::End(End::Unmarked));
            };
            match self.walker.header(block)? {
                Step::Extension(kind, data) => {
                    let what = || format!("the extension at byte {at}");
                    let data = whole(reader, data, what).await?;
                    self.walker.extend(kind, &data)?;
                }
                Step::File(name, data) => {
                    self.last = (name.clone(), data.end);
                    let file = File::new(data, begin);
                    let document = document(reader, file).await?;
                    return Ok(Found::File(name, file, document));
                }
                Step::Link(name, target) => return Ok(Found::Link(name, target)),
                Step::Other => {}
                Step::End => return Ok(Found::End(End::Marked)),
            }
        }
    }

    /// Checks that a tar which ends at the end of `header` has no more to it: all of its last
    /// file, and no part of a header.
    fn check_end(&self, reader: &impl Reader, header: Range<u64>) -> Result<(), Error> {
        let (name, expected) = &self.last;
        let actual = match reader.length() {
            Length::Known(length) => length,
            Length::AtMost(_) => header.end,
        };
        if actual < *expected {
            return Err(truncated(format!("{name:?}"), *expected, actual));
        }
        if header.is_empty() {
            return Ok(());
        }
        let what = format!("the header at byte {}", header.start);
        Err(truncated(what, header.start + BLOCK as u64, actual))
    }
}

/// The content of a file that may describe an image, if it costs nothing.
async fn document(reader: &mut impl Reader, file: File) -> Result<Option<Bytes>, Error> {
    if file.format != Format::Json || file.size > MAX_DOCUMENT {
        return Ok(None);
    }
    let bytes = reader.pass(file.range()).await.map_err(Error::Read)?;
    Ok((bytes.len() as u64 == file.size).then_some(bytes))
}
