//! The memory that a zstd stream asks of its decoder
//! ([RFC 8878, 3.1.1](https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1)).

/// The most that is granted: what `zstd --ultra` and `--long` write.
pub(crate) const MOST_LOG: u32 = 27;
/// The window that every decoder should accept, so that later frames of a stream may ask for it
/// too.
const LEAST_LOG: u32 = 23;

/// Base-2 logarithm of the window of a stream that begins with these bytes, rounded up, from 8 MiB
/// to [`MOST_LOG`]. Where they do not tell, it is the most.
pub(crate) fn window_log(begin: &[u8]) -> u32 {
    let Some(window) = window(begin) else {
        return MOST_LOG;
    };
    let window = window.clamp(1, 1 << MOST_LOG);
    let log = window.next_power_of_two().trailing_zeros();
    log.max(LEAST_LOG)
}

/// The window of the first frame that is not skipped.
fn window(mut bytes: &[u8]) -> Option<u64> {
    while let [0x50..=0x5f, 0x2a, 0x4d, 0x18, rest @ ..] = bytes {
        let (size, rest) = rest.split_first_chunk()?;
        bytes = rest.get(usize::try_from(u32::from_le_bytes(*size)).ok()?..)?;
    }
    let [0x28, 0xb5, 0x2f, 0xfd, descriptor, rest @ ..] = bytes else {
        return None;
    };
    let is_single_segment = descriptor & 0x20 != 0;
    if !is_single_segment {
        let window = *rest.first()?;
        let (exponent, mantissa) = (window >> 3, u64::from(window & 7));
        let base = 1_u64.checked_shl(10 + u32::from(exponent))?;
        return Some(base + base / 8 * mantissa);
    }
    // The window is the content, whose size follows the dictionary's ID.
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let size = rest.get(dictionary..)?;
    Some(match descriptor >> 6 {
        0 => u64::from(*size.first()?),
        1 => u64::from(u16::from_le_bytes(*size.first_chunk()?)) + 256,
        2 => u64::from(u32::from_le_bytes(*size.first_chunk()?)),
        _ => u64::from_le_bytes(*size.first_chunk()?),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn compressed(log: u32, pledged: Option<u64>) -> Vec<u8> {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(log).unwrap();
        encoder.set_pledged_src_size(pledged).unwrap();
        encoder.write_all(b"some bytes").unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_frame_tells_its_window() {
        for (log, expected) in [(10, 23), (23, 23), (24, 24), (27, 27)] {
            assert_eq!(window_log(&compressed(log, None)), expected, "{log}");
        }
        assert_eq!(window_log(&compressed(27, Some(10))), 23);
        let skippable = [
            &[0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 7, 7][..],
            &compressed(24, None),
        ];
        assert_eq!(window_log(&skippable.concat()), 24);
    }

    proptest! {
        #[test]
        fn any_bytes_have_a_bounded_window(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            for begin in [bytes.clone(), [&[0x28, 0xb5, 0x2f, 0xfd][..], &bytes].concat()] {
                prop_assert!((LEAST_LOG..=MOST_LOG).contains(&window_log(&begin)));
            }
        }
    }
}
