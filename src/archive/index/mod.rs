//! The place where the files of a tar are.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;

use super::Error;
use super::file::File;
use super::scan::{End, Found, Reader, Scan};
use super::walk::inside;

/// Most files and links that an archive may have.
const MAX_ENTRIES: u64 = 1 << 16;
/// Bytes of names that are remembered, at most.
const MAX_NAMES: u64 = 16 << 20;
/// Bytes of documents that are kept, at most.
const KEEP_ALL: u64 = 8 << 20;
/// Longest chain of links.
const MAX_LINKS: usize = 8;

/// The files and links of an archive by name. Of several with one name, the last counts.
#[derive(Debug, Default)]
pub(super) struct Index {
    nodes: HashMap<String, Node>,
    /// Documents by size and start: where they become too many, the largest goes first. It is the
    /// least likely to be one that describes an image.
    kept: BTreeMap<(u64, u64), Bytes>,
    kept_bytes: u64,
    names: u64,
    entries: u64,
    end: Option<End>,
}

#[derive(Debug)]
enum Node {
    File(File),
    Link(String),
}

impl Index {
    /// Finds the files of a tar, reading its headers.
    pub(super) async fn scan(reader: &mut impl Reader) -> Result<Self, Error> {
        let mut index = Self::default();
        let mut scan = Scan::new(reader.length());
        while index.take(scan.next(reader).await?)? {}
        Ok(index)
    }

    /// Takes what a scan found; whether more may come.
    pub(super) fn take(&mut self, found: Found) -> Result<bool, Error> {
        match found {
            Found::File(name, file, document) => {
                self.add(name, Node::File(file))?;
                if let Some(document) = document {
                    self.keep(file, &document);
                }
            }
            Found::Link(name, target) => self.add(name, Node::Link(target))?,
            Found::End(end) => self.end = Some(end),
        }
        Ok(self.end.is_none())
    }

    /// Returns true if all files are known.
    pub(super) fn is_complete(&self) -> bool {
        self.end.is_some()
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

    fn keep(&mut self, file: File, document: &[u8]) {
        let document = Bytes::copy_from_slice(document);
        self.kept_bytes += file.size;
        if self
            .kept
            .insert((file.size, file.start), document)
            .is_some()
        {
            self.kept_bytes -= file.size;
        }
        while self.kept_bytes > KEEP_ALL
            && let Some(((size, _), _)) = self.kept.pop_last()
        {
            self.kept_bytes -= size;
        }
    }

    /// The content of a file, if it was kept.
    pub(super) fn kept(&self, file: File) -> Option<Bytes> {
        self.kept.get(&(file.size, file.start)).cloned()
    }

    /// Which of `names` is best read next: one that is at hand or is certainly not there, or else
    /// the first that stands at `position` or behind it, if one is known to.
    pub(super) fn next_of(&self, names: &[String], position: u64) -> Option<usize> {
        let mut next: Option<(u64, usize)> = None;
        for (place, name) in names.iter().enumerate() {
            match self.file(name, "") {
                Ok(file) if self.kept(file).is_some() => return Some(place),
                Ok(file) if file.start >= position => {
                    let found = (file.start, place);
                    next = Some(next.map_or(found, |next| next.min(found)));
                }
                Err(_) if self.is_complete() => return Some(place),
                Ok(_) | Err(_) => {}
            }
        }
        next.map(|(_, place)| place)
    }

    /// The file of this name, links followed. `named_by` says who asks.
    pub(super) fn file(&self, name: &str, named_by: &str) -> Result<File, Error> {
        let missing = |entry: &str| Error::Missing {
            entry: entry.to_owned(),
            named_by: named_by.to_owned(),
            hint: match self.end {
                Some(End::Unmarked) => ": its end is missing too, it may have been cut off",
                _ => "",
            },
        };
        let mut at = inside(name).ok_or_else(|| missing(name))?;
        let mut link = None;
        for _ in 0..MAX_LINKS {
            match self.nodes.get(&at) {
                Some(Node::File(file)) => return Ok(*file),
                Some(Node::Link(target)) => link = Some(std::mem::replace(&mut at, target.clone())),
                None => {
                    let at_root = link.take().and_then(|link| self.at_root(&link, &at));
                    at = at_root.ok_or_else(|| missing(&at))?;
                }
            }
        }
        Err(Error::LinkLoop {
            entry: name.to_owned(),
        })
    }

    /// The name that a link means whose target is written as from the archive's root, and not as
    /// from the link's folder, where nothing of that name is: some tools write such links. What is
    /// found is checked by its digest as any other file.
    fn at_root(&self, link: &str, target: &str) -> Option<String> {
        let (folder, _) = link.rsplit_once('/')?;
        let name = target.strip_prefix(folder)?.strip_prefix('/')?;
        let is_there = self.is_complete() && self.nodes.contains_key(name);
        is_there.then(|| name.to_owned())
    }

    /// Returns true if there is a file of this name.
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
