//! Headers of a tar's entries: always the same for the same entry.

use std::io;

use tar::{EntryType, Header};

/// Bytes of a header, and what contents are padded to.
pub(super) const SIZE: usize = 512;
pub(super) const BLOCK: u64 = SIZE as u64;
/// As many bytes of a name fit into a header.
const SHORT: usize = 100;
/// The name of an entry whose content is the name of the next.
const LONG_NAME: &[u8] = b"././@LongLink";

/// The length of a content with what it is padded by.
pub(super) fn padded(size: u64) -> u64 {
    size.next_multiple_of(BLOCK)
}

/// The bytes before the content of a file.
pub(super) fn file(name: &str, size: u64) -> io::Result<Vec<u8>> {
    entry(name, EntryType::Regular, size, None)
}

/// A link to another entry.
pub(super) fn link(name: &str, kind: EntryType, target: &str) -> io::Result<Vec<u8>> {
    entry(name, kind, 0, Some(target))
}

fn entry(name: &str, kind: EntryType, size: u64, link: Option<&str>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(SIZE);
    if name.len() > SHORT {
        let length = name.len() as u64 + 1;
        let header = header(LONG_NAME, EntryType::GNULongName, length, None)?;
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(name.as_bytes());
        let whole = usize::try_from(BLOCK + padded(length)).unwrap_or(bytes.len());
        bytes.resize(whole, 0);
    }
    let short = &name.as_bytes()[..name.len().min(SHORT)];
    let header = header(short, kind, size, link)?;
    bytes.extend_from_slice(header.as_bytes());
    Ok(bytes)
}

fn header(name: &[u8], kind: EntryType, size: u64, link: Option<&str>) -> io::Result<Header> {
    let mut header = Header::new_gnu();
    if let Some(gnu) = header.as_gnu_mut() {
        gnu.name[..name.len()].copy_from_slice(name);
    }
    if let Some(link) = link {
        header.set_link_name_literal(link)?;
    }
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_and_large_files_are_read_back() {
        let long = format!("blobs/sha512/{}", "a".repeat(128));
        for name in ["oci-layout", &long] {
            let mut bytes = file(name, 3).unwrap();
            bytes.extend_from_slice(b"abc");
            bytes.resize(bytes.len().next_multiple_of(SIZE) + 2 * SIZE, 0);
            let mut archive = tar::Archive::new(bytes.as_slice());
            let entry = archive.entries().unwrap().next().unwrap().unwrap();
            assert_eq!(entry.path().unwrap().to_str(), Some(name));
            assert_eq!(entry.size(), 3);
        }
        let large = file("a", 20 << 30).unwrap();
        let header = Header::from_byte_slice(&large);
        assert_eq!(header.size().unwrap(), 20 << 30);
    }
}
