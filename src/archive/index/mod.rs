//! Where the files of a tar are.

use std::collections::HashMap;
use std::ops::Range;

use bytes::Bytes;

use super::Error;
use super::compression::Format;
use super::header::BLOCK;
use super::walk::{Step, Walker, inside};
use super::window::Window;

/// Most files and links that an archive may have.
const MAX_ENTRIES: u64 = 1 << 16;
/// Bytes of names that are remembered, at most.
const MAX_NAMES: u64 = 16 << 20;
/// Largest document that is kept when it passes by, to save reading it again.
const KEEP_EACH: u64 = 128 << 10;
/// Bytes of documents that are kept, at most.
const KEEP_ALL: u64 = 4 << 20;
/// Longest chain of links.
const MAX_LINKS: usize = 8;

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
    /// Finds the files of a tar of `size` bytes, reading its headers but not its data.
    pub(super) async fn scan(window: &mut Window<'_>, size: u64) -> Result<Self, Error> {
        let mut index = Self {
            cut_off: true,
            ..Self::default()
        };
        let mut walker = Walker::new(size);
        while walker.position() < size {
            let at = walker.position();
            // With the header comes the first block of what it describes.
            let until = size.min(at + 2 * BLOCK as u64);
            let read = window.read(at..until).await.map_err(Error::Read)?;
            let (block, content) = read.split_first_chunk().ok_or_else(|| Error::Truncated {
                what: format!("the header at byte {at}"),
                expected: at + BLOCK as u64,
                actual: size,
            })?;
            match walker.header(block)? {
                Step::Extension(kind, data) => {
                    let data = window.read(data).await.map_err(Error::Read)?;
                    walker.extend(kind, &data)?;
                }
                Step::File(name, data) => {
                    let format = index.add_file(name, data.clone(), content)?;
                    if index.wants(format, &data) {
                        index.keep(&data, &window.at_hand(data.clone()));
                    }
                }
                Step::Link(name, target) => index.add(name, Node::Link(target))?,
                Step::Other => {}
                Step::End => {
                    index.cut_off = false;
                    break;
                }
            }
        }
        Ok(index)
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
