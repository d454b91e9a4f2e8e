//! PAX extended headers: records of `<length> <key>=<value>\n`
//! ([POSIX, pax Extended Header](https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html#tag_20_92_13_03)).

/// The members of an extended header, which are about the entry that follows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Extended {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) sparse: bool,
}

impl Extended {
    /// Reads all records. On failure, says what is wrong.
    ///
    /// A value may hold anything, newlines too, so records are told apart by their length alone.
    pub(super) fn parse(mut bytes: &[u8]) -> Result<Self, &'static str> {
        let mut extended = Self::default();
        // Some writers pad the last record with zero bytes.
        while bytes.first().is_some_and(|byte| *byte != 0) {
            let (record, rest) = split(bytes).ok_or("malformed PAX record")?;
            extended.apply(record)?;
            bytes = rest;
        }
        Ok(extended)
    }

    fn apply(&mut self, record: &[u8]) -> Result<(), &'static str> {
        let equals = record.iter().position(|byte| *byte == b'=');
        let (key, value) = record.split_at(equals.ok_or("a PAX record has no =")?);
        let value = &value[1..];
        match key {
            b"path" => self.path = not_empty(value),
            b"linkpath" => self.link = not_empty(value),
            b"size" if value.is_empty() => self.size = None,
            b"size" => {
                let size = decimal(value).filter(|size| i64::try_from(*size).is_ok());
                self.size = Some(size.ok_or("the PAX size is no number")?);
            }
            key if key.starts_with(b"GNU.sparse.") => self.sparse = true,
            _ => {}
        }
        Ok(())
    }
}

/// An empty value withdraws the record.
fn not_empty(value: &[u8]) -> Option<Vec<u8>> {
    (!value.is_empty()).then(|| value.to_vec())
}

/// Splits off the first record: its `<key>=<value>` and what follows it.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = bytes.iter().position(|byte| *byte == b' ')?;
    let length = usize::try_from(decimal(&bytes[..space])?).ok()?;
    let (record, rest) = bytes.split_at_checked(length)?;
    let record = record.get(space + 1..)?.strip_suffix(b"\n")?;
    Some((record, rest))
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A record with its own length in front, which counts itself.
    pub(crate) fn record(key: &str, value: &[u8]) -> Vec<u8> {
        let rest = key.len() + value.len() + 3;
        let mut length = rest + rest.to_string().len();
        if rest + length.to_string().len() > length {
            length += 1;
        }
        let mut record = format!("{length} {key}=").into_bytes();
        record.extend_from_slice(value);
        record.push(b'\n');
        assert_eq!(record.len(), length);
        record
    }

    #[test]
    fn refuses_malformed_records() {
        for bytes in [
            &b"x"[..],
            b"5 a=b",
            b"99 a=b\n",
            b"2 a=b\n",
            b"0 \n",
            b"6 size\n",
            b"+6 a=b\n",
            b"99999999999999999999 a=b\n",
            b"11 size=12x\n",
            b"12 size=-12\n",
            b"28 size=9999999999999999999\n",
        ] {
            assert!(Extended::parse(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn sees_that_a_file_is_sparse() {
        let bytes = record("GNU.sparse.major", b"1");
        assert!(Extended::parse(&bytes).unwrap().sparse);
    }

    proptest! {
        #[test]
        fn reads_any_value(path in prop::collection::vec(any::<u8>(), 1..300), link in "[\n= a-z0-9]{1,20}", size in 0..i64::MAX as u64) {
            let mut bytes = record("path", &path);
            bytes.extend(record("mtime", b"1.5"));
            bytes.extend(record("linkpath", link.as_bytes()));
            bytes.extend(record("size", size.to_string().as_bytes()));
            let expected = Extended { path: Some(path), link: Some(link.into_bytes()), size: Some(size), sparse: false };
            prop_assert_eq!(Extended::parse(&bytes), Ok(expected));
        }

        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Extended::parse(&bytes);
        }

        #[test]
        fn never_panics_on_what_looks_like_records(text in "([0-9]{1,3} [a-z]{0,4}=?[a-z\n]{0,9}\n?){0,9}") {
            let _ = Extended::parse(text.as_bytes());
        }
    }
}
