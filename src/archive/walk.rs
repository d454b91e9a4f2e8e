//! From header to header through a tar, without reading: the caller brings the bytes.

use std::ops::Range;

use tar::EntryType;

use super::Error;
use super::header::{BLOCK, Header};
use super::pax::Extended;

/// Longest extension (PAX records, GNU long name) that is read.
const MAX_EXTENSION: u64 = 1 << 20;
/// Longest name of an entry, or target of a link.
const MAX_NAME: usize = 4096;

/// Finds the entries of a tar. Give it the block at [`Walker::position`] again and again.
#[derive(Clone, Debug)]
pub(super) struct Walker {
    next: u64,
    length: Length,
    pending: Pending,
}

/// How long a tar is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Length {
    Known(u64),
    /// Not known yet, but no more is taken.
    AtMost(u64),
}

/// The members of extensions, which are about the entry to come.
#[derive(Clone, Debug, Default)]
struct Pending {
    any: bool,
    pax: Extended,
    gnu_name: Option<Vec<u8>>,
    gnu_link: Option<Vec<u8>>,
}

/// The meaning of a header.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Describes the entry to come: hand its data to [`Walker::extend`].
    Extension(Extension, Range<u64>),
    /// A file with its data.
    File(String, Range<u64>),
    /// A link, symbolic or hard, with the name that it leads to.
    Link(String, String),
    /// Nothing that an image is made of.
    Other,
    /// The end of the archive.
    End,
}

/// The kinds of extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extension {
    Pax,
    PaxGlobal,
    GnuName,
    GnuLink,
}

impl Walker {
    /// Walks a tar from its beginning.
    pub(super) fn new(length: Length) -> Self {
        Self {
            next: 0,
            length,
            pending: Pending::default(),
        }
    }

    /// The place where the next header is.
    pub(super) fn position(&self) -> u64 {
        self.next
    }

    /// Takes the header at [`Walker::position`] and moves on behind its data.
    pub(super) fn header(&mut self, block: &[u8; BLOCK]) -> Result<Step, Error> {
        let offset = self.next;
        let malformed = |problem| Error::Header { offset, problem };
        if block.iter().all(|byte| *byte == 0) {
            if self.pending.any {
                return Err(malformed("an extension describes no entry"));
            }
            return Ok(Step::End);
        }
        let header = Header::parse(block).map_err(malformed)?;
        if let Some(kind) = extension(header.kind) {
            let data = self.skip(header.size, || format!("the extension at byte {offset}"))?;
            check_length("the length of a tar extension", MAX_EXTENSION, header.size)?;
            return Ok(Step::Extension(kind, data));
        }
        self.entry(header)
    }

    fn entry(&mut self, header: Header) -> Result<Step, Error> {
        let pending = std::mem::take(&mut self.pending);
        let name = pending.gnu_name.or(pending.pax.path);
        let name = name_of(&name.unwrap_or(header.name))?;
        let size = match header.kind {
            kind if has_no_data(kind) => 0,
            _ => pending.pax.size.unwrap_or(header.size),
        };
        let sparse = pending.pax.sparse || header.kind == EntryType::GNUSparse;
        if sparse {
            return Err(Error::Sparse { entry: name });
        }
        let data = self.skip(size, || format!("{name:?}"))?;
        Ok(match header.kind {
            EntryType::Regular | EntryType::Continuous => match inside(&name) {
                Some(name) => Step::File(name, data),
                None => Step::Other,
            },
            kind @ (EntryType::Symlink | EntryType::Link) => {
                let target = pending.gnu_link.or(pending.pax.link);
                let target = name_of(&target.unwrap_or(header.link))?;
                link(&name, &target, kind)
            }
            _ => Step::Other,
        })
    }

    /// Takes the data of an extension.
    pub(super) fn extend(&mut self, kind: Extension, data: &[u8]) -> Result<(), Error> {
        let offset = self.next;
        let malformed = |problem| Error::Header { offset, problem };
        self.pending.any |= kind != Extension::PaxGlobal;
        match kind {
            Extension::Pax => self.pending.pax = Extended::parse(data).map_err(malformed)?,
            Extension::PaxGlobal => {
                // These would change every entry behind them, differently in every reader.
                if Extended::parse(data).map_err(malformed)? != Extended::default() {
                    return Err(malformed("names or sizes in a global PAX header"));
                }
            }
            Extension::GnuName => self.pending.gnu_name = Some(until_zero(data)),
            Extension::GnuLink => self.pending.gnu_link = Some(until_zero(data)),
        }
        Ok(())
    }

    /// Moves on behind the current header and `size` bytes of padded data; where these are.
    fn skip(&mut self, size: u64, what: impl Fn() -> String) -> Result<Range<u64>, Error> {
        let start = self.next.saturating_add(BLOCK as u64);
        let end = start.saturating_add(size);
        let length = match self.length {
            Length::Known(actual) if end > actual => {
                return Err(Error::Truncated {
                    what: what(),
                    expected: end,
                    actual,
                });
            }
            Length::AtMost(limit) if end > limit => {
                return Err(Error::TooLarge {
                    what: "the decompressed archive".to_owned(),
                    limit,
                    actual: end,
                });
            }
            Length::Known(length) | Length::AtMost(length) => length,
        };
        // Some writers leave out the padding of the last file.
        let padded = end.checked_next_multiple_of(BLOCK as u64);
        self.next = padded.map_or(length, |next| next.min(length));
        Ok(start..end)
    }
}

fn extension(kind: EntryType) -> Option<Extension> {
    match kind {
        EntryType::XHeader => Some(Extension::Pax),
        EntryType::XGlobalHeader => Some(Extension::PaxGlobal),
        EntryType::GNULongName => Some(Extension::GnuName),
        EntryType::GNULongLink => Some(Extension::GnuLink),
        _ => None,
    }
}

/// These never have data, whatever size their header says.
fn has_no_data(kind: EntryType) -> bool {
    matches!(
        kind,
        EntryType::Link
            | EntryType::Symlink
            | EntryType::Char
            | EntryType::Block
            | EntryType::Directory
            | EntryType::Fifo
    )
}

fn link(name: &str, target: &str, kind: EntryType) -> Step {
    let directory = match kind {
        EntryType::Symlink => name.rsplit_once('/').map_or("", |(directory, _)| directory),
        _ => "",
    };
    let target = if target.starts_with('/') {
        inside(target)
    } else {
        inside(&format!("{directory}/{target}"))
    };
    match (inside(name), target) {
        (Some(name), Some(target)) => Step::Link(name, target),
        _ => Step::Other,
    }
}

/// The name without `.`, `..` and doubled or leading slashes; `None` where it leads outside.
pub(super) fn inside(name: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

fn name_of(bytes: &[u8]) -> Result<String, Error> {
    check_length(
        "the length of a name in the archive",
        MAX_NAME as u64,
        bytes.len() as u64,
    )?;
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

fn check_length(what: &str, limit: u64, actual: u64) -> Result<(), Error> {
    if actual <= limit {
        return Ok(());
    }
    Err(Error::TooLarge {
        what: what.to_owned(),
        limit,
        actual,
    })
}

fn until_zero(data: &[u8]) -> Vec<u8> {
    data.split(|byte| *byte == 0)
        .next()
        .unwrap_or_default()
        .to_vec()
}
