//! Where the files of a tar are.

use std::collections::HashMap;
use std::ops::Range;

use bytes::Bytes;

use super::Error;
use super::compression::Format;
use super::header::BLOCK;
use super::walk::{Length, Step, Walker, inside};
use crate::content;

/// Most files and links that an archive may have.
const MAX_ENTRIES: u64 = 1 << 16;
/// Bytes of names that are remembered, at most.
const MAX_NAMES: u64 = 16 << 20;
/// Largest document that is kept when it passes by, to save reading it again.
const KEEP_EACH: u64 = 1 << 20;
/// Bytes of documents that are kept, at most.
const KEEP_ALL: u64 = 8 << 20;
/// Longest chain of links.
const MAX_LINKS: usize = 8;

/// Where a tar is read from, ever further on.
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

/// A file in an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct File {
    pub(super) start: u64,
    pub(super) size: u64,
    /// How the content begins.
    pub(super) format: Format,
}

impl File {
    pub(super) fn range(self) -> Range<u64> {
        self.start..self.start + self.size
    }
}

/// The files and links of an archive by name. Of several with one name, the last counts.
#[derive(Debug, Default)]
pub(super) struct Index {
    nodes: HashMap<String, Node>,
    kept: HashMap<u64, Bytes>,
    names: u64,
    entries: u64,
    kept_bytes: u64,
    /// Whether the tar ended without an end marker.
    cut_off: bool,
}

#[derive(Debug)]
enum Node {
    File(File),
    Link(String),
}

impl Index {
    /// Finds the files of a tar, reading its headers.
    pub(super) async fn scan(reader: &mut impl Reader) -> Result<Self, Error> {
        let mut index = Self {
            cut_off: true,
            ..Self::default()
        };
        let mut walker = Walker::new(reader.length());
        let mut last = (String::new(), 0);
        loop {
            let at = walker.position();
            // With the header comes the first block of what it describes.
            let until = at.saturating_add(2 * BLOCK as u64);
            let read = reader.read(at..until).await.map_err(Error::Read)?;
            let Some((block, content)) = read.split_first_chunk() else {
                Self::check_end(reader, last, at..at + read.len() as u64)?;
                return Ok(index);
            };
            match walker.header(block)? {
                Step::Extension(kind, data) => {
                    let what = || format!("the extension at byte {at}");
                    let data = whole(reader, data, what).await?;
                    walker.extend(kind, &data)?;
                }
                Step::File(name, data) => {
                    last = (name.clone(), data.end);
                    let format = index.add_file(name, data.clone(), content)?;
                    if index.wants(format, &data) {
                        let bytes = reader.pass(data.clone()).await.map_err(Error::Read)?;
                        index.keep(&data, &bytes);
                    }
                }
                Step::Link(name, target) => index.add(name, Node::Link(target))?,
                Step::Other => {}
                Step::End => {
                    index.cut_off = false;
                    return Ok(index);
                }
            }
        }
    }

    /// Checks that a tar which ends at `end` has no more to it: all of its last file, and no part
    /// of a header.
    fn check_end(
        reader: &impl Reader,
        (name, expected): (String, u64),
        header: Range<u64>,
    ) -> Result<(), Error> {
        let actual = match reader.length() {
            Length::Known(length) => length,
            Length::AtMost(_) => header.end,
        };
        if actual < expected {
            return Err(truncated(format!("{name:?}"), expected, actual));
        }
        if header.is_empty() {
            return Ok(());
        }
        let what = format!("the header at byte {}", header.start);
        Err(truncated(what, header.start + BLOCK as u64, actual))
    }

    /// Adds a file that begins with `content`; tells its format.
    pub(super) fn add_file(
        &mut self,
        name: String,
        data: Range<u64>,
        content: &[u8],
    ) -> Result<Format, Error> {
        let size = data.end - data.start;
        let begins =
            usize::try_from(size).map_or(content, |size| &content[..size.min(content.len())]);
        let format = Format::of(begins);
        let start = data.start;
        self.add(
            name,
            Node::File(File {
                start,
                size,
                format,
            }),
        )?;
        Ok(format)
    }

    fn add(&mut self, name: String, node: Node) -> Result<(), Error> {
        self.entries += 1;
        self.names += name.len() as u64;
        if let Node::Link(target) = &node {
            self.names += target.len() as u64;
        }
        for (what, limit, actual) in [
            (
                "the number of files in the archive",
                MAX_ENTRIES,
                self.entries,
            ),
            (
                "the length of all names in the archive",
                MAX_NAMES,
                self.names,
            ),
        ] {
            if actual > limit {
                let what = what.to_owned();
                return Err(Error::TooLarge {
                    what,
                    limit,
                    actual,
                });
            }
        }
        self.nodes.insert(name, node);
        Ok(())
    }

    /// Whether a file is a small document, worth keeping while it passes by.
    fn wants(&self, format: Format, data: &Range<u64>) -> bool {
        let size = data.end - data.start;
        format == Format::Json && size <= KEEP_EACH && self.kept_bytes + size <= KEEP_ALL
    }

    fn keep(&mut self, data: &Range<u64>, bytes: &[u8]) {
        let size = data.end - data.start;
        if bytes.len() as u64 == size {
            self.kept_bytes += size;
            self.kept.insert(data.start, Bytes::copy_from_slice(bytes));
        }
    }

    /// The content of a file, if it was kept.
    pub(super) fn kept(&self, file: File) -> Option<Bytes> {
        self.kept.get(&file.start).cloned()
    }

    /// The file of this name, links followed. `named_by` says who asks.
    pub(super) fn file(&self, name: &str, named_by: &str) -> Result<File, Error> {
        let missing = |entry: &str| Error::Missing {
            entry: entry.to_owned(),
            named_by: named_by.to_owned(),
            hint: if self.cut_off {
                ": its end is missing too, it may have been cut off"
            } else {
                ""
            },
        };
        let mut at = inside(name).ok_or_else(|| missing(name))?;
        for _ in 0..MAX_LINKS {
            match self.nodes.get(&at) {
                Some(Node::File(file)) => return Ok(*file),
                Some(Node::Link(target)) => at.clone_from(target),
                None => return Err(missing(&at)),
            }
        }
        Err(Error::LinkLoop {
            entry: name.to_owned(),
        })
    }

    /// Whether there is a file of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.file(name, "").is_ok()
    }

    /// The names of all files and links.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.nodes.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests;
