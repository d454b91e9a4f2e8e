//! The `Content-Range` header.

/// `bytes 0-99/1234`
/// ([RFC 9110, 14.4](https://www.rfc-editor.org/rfc/rfc9110#section-14.4)).
#[derive(Debug, PartialEq)]
pub(crate) struct ContentRange {
    /// The first byte that came.
    pub(crate) first: u64,
    /// The number of bytes that the whole has.
    pub(crate) size: u64,
}

impl ContentRange {
    /// Reads the header. `None` where it does not tell both.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
        let (first, _last) = range.split_once('-')?;
        Some(Self {
            first: first.parse().ok()?,
            size: size.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn reads_the_range_that_is_written(first: u64, last: u64, size: u64) {
            let text = format!("bytes {first}-{last}/{size}");
            prop_assert_eq!(ContentRange::parse(&text), Some(ContentRange { first, size }));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "(bytes )?[0-9*-]{0,22}/?[0-9*]{0,22}|\\PC{0,30}") {
            ContentRange::parse(&text);
        }
    }
}
