//! One tar header: 512 bytes.

use tar::EntryType;

/// Length of a header, and the unit in which data is padded.
pub(super) const BLOCK: usize = 512;

/// The content of one header.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) kind: EntryType,
    pub(super) size: u64,
    pub(super) name: Vec<u8>,
    pub(super) link: Vec<u8>,
}

impl Header {
    /// Parses a header of any format: old (V7), ustar, GNU. On failure, says what is wrong.
    pub(super) fn parse(block: &[u8; BLOCK]) -> Result<Self, &'static str> {
        let raw = tar::Header::from_byte_slice(block);
        let old = raw.as_old();
        let stored = octal(&old.cksum).ok_or("the checksum is no number")?;
        if !checksum_matches(block, stored) {
            return Err("the checksum does not match");
        }
        let name = raw.path_bytes().into_owned();
        let kind = match raw.entry_type() {
            EntryType::Regular | EntryType::Continuous if name.ends_with(b"/") => {
                EntryType::Directory
            }
            kind => kind,
        };
        Ok(Self {
            kind,
            size: number(&old.size)?,
            name,
            link: raw.link_name_bytes().unwrap_or_default().into_owned(),
        })
    }
}

/// Old programs summed signed bytes.
fn checksum_matches(block: &[u8; BLOCK], stored: u64) -> bool {
    const FIELD: std::ops::Range<usize> = 148..156;
    let bytes = || {
        block
            .iter()
            .enumerate()
            .map(|(at, byte)| if FIELD.contains(&at) { b' ' } else { *byte })
    };
    let unsigned: i64 = bytes().map(i64::from).sum();
    let signed: i64 = bytes().map(|byte| i64::from(byte.cast_signed())).sum();
    i64::try_from(stored).is_ok_and(|stored| stored == unsigned || stored == signed)
}

/// A number in octal digits or, where the first bit is set, in base 256.
fn number(field: &[u8; 12]) -> Result<u64, &'static str> {
    if field[0] & 0x80 == 0 {
        return octal(field).ok_or("the size is no number");
    }
    if field[0] & 0x40 != 0 {
        return Err("the size is negative");
    }
    let high = field[..4].iter().any(|byte| byte & 0x7f != 0);
    let mut low = [0; 8];
    low.copy_from_slice(&field[4..]);
    let value = u64::from_be_bytes(low);
    if high || i64::try_from(value).is_err() {
        return Err("the size is beyond any file's");
    }
    Ok(value)
}

/// Octal digits between spaces and zero bytes; nothing at all is zero, as Go's tar reads it.
fn octal(field: &[u8]) -> Option<u64> {
    let end = field.iter().position(|b| *b == 0).unwrap_or(field.len());
    let text = std::str::from_utf8(&field[..end]).ok()?.trim_matches(' ');
    if text.is_empty() {
        return Some(0);
    }
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    u64::from_str_radix(text, 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn block(fill: impl FnOnce(&mut tar::Header)) -> [u8; BLOCK] {
        let mut header = tar::Header::new_gnu();
        fill(&mut header);
        header.set_cksum();
        *header.as_bytes()
    }

    fn sized(field: [u8; 12]) -> Result<u64, &'static str> {
        let block = block(|header| header.as_old_mut().size = field);
        Header::parse(&block).map(|header| header.size)
    }

    #[test]
    fn reads_every_way_to_write_a_size() {
        assert_eq!(sized(*b"00000000017\0"), Ok(15));
        assert_eq!(sized(*b"         17 "), Ok(15));
        assert_eq!(sized(*b"777777777777"), Ok(0o777_777_777_777));
        assert_eq!(sized([0; 12]), Ok(0));
        assert_eq!(sized(*b"\x80\0\0\0\0\0\0\x02\0\0\0\0"), Ok(8 << 30));
    }

    #[test]
    fn refuses_sizes_that_no_file_has() {
        for field in [
            *b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            *b"\x80\0\0\x01\0\0\0\0\0\0\0\0",
            *b"\x81\0\0\0\0\0\0\0\0\0\0\0",
            *b"\x80\0\0\0\x80\0\0\0\0\0\0\0",
            *b"00000000018\0",
            *b"-0000000001\0",
        ] {
            assert!(sized(field).is_err(), "{field:?}");
        }
    }

    #[test]
    fn takes_the_checksum_of_signed_bytes() {
        let mut block = block(|header| header.as_old_mut().name[0] = 0xe9);
        let sum: i64 = block
            .iter()
            .enumerate()
            .map(|(at, byte)| {
                if (148..156).contains(&at) {
                    32
                } else {
                    i64::from(byte.cast_signed())
                }
            })
            .sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        assert!(Header::parse(&block).is_ok());
        block[0] ^= 1;
        assert!(Header::parse(&block).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), BLOCK)) {
            let mut header = *tar::Header::new_old().as_bytes();
            header.copy_from_slice(&bytes);
            let _ = Header::parse(&header);
            let mut header = tar::Header::from_byte_slice(&header).clone();
            header.set_cksum();
            let _ = Header::parse(header.as_bytes());
        }
    }
}
