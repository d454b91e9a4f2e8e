//! The `Range` header
//! ([RFC 9110, section 14](https://www.rfc-editor.org/rfc/rfc9110.html#name-range-requests)).

use std::ops::Range;

/// The range that a request asks for of something with a size.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// All of it: no range, or one that this server may ignore (several, another unit).
    Whole,
    /// These bytes of it.
    Part(Range<u64>),
    /// None that there are: 416.
    Outside,
}

/// Reads a `Range` header.
pub(super) fn asked(header: Option<&str>, size: u64) -> Asked {
    let Some((first, last)) = header
        .and_then(|text| text.strip_prefix("bytes="))
        .filter(|ranges| !ranges.contains(','))
        .and_then(|range| range.trim().split_once('-'))
    else {
        return Asked::Whole;
    };
    let range = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first > last => return Asked::Whole,
        (Ok(first), Ok(last)) => first..last.saturating_add(1).min(size),
        (Ok(first), Err(_)) if last.is_empty() => first..size,
        (Err(_), Ok(suffix)) if first.is_empty() => size.saturating_sub(suffix)..size,
        _ => return Asked::Whole,
    };
    if range.is_empty() {
        return Asked::Outside;
    }
    Asked::Part(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_ranges() {
        for (header, expected) in [
            ("bytes=0-9", Asked::Part(0..10)),
            ("bytes=5-", Asked::Part(5..10)),
            ("bytes=-3", Asked::Part(7..10)),
            ("bytes=-30", Asked::Part(0..10)),
            ("bytes=9-100", Asked::Part(9..10)),
            ("bytes=10-", Asked::Outside),
            ("bytes=10-11", Asked::Outside),
            ("bytes=-0", Asked::Outside),
            ("bytes=0-18446744073709551615", Asked::Part(0..10)),
            ("bytes=3-2", Asked::Whole),
            ("bytes=0-1,3-4", Asked::Whole),
            ("lines=0-1", Asked::Whole),
            ("bytes=-", Asked::Whole),
            ("bytes=x-y", Asked::Whole),
        ] {
            assert_eq!(asked(Some(header), 10), expected, "{header}");
        }
        assert_eq!(asked(None, 10), Asked::Whole);
        assert_eq!(asked(Some("bytes=0-"), 0), Asked::Outside);
    }
}
