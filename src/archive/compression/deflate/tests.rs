use std::io::Read;

use proptest::prelude::*;

use super::*;

fn deflate(plain: &[u8], level: i32) -> Vec<u8> {
    let level = libdeflater::CompressionLvl::new(level).unwrap();
    let mut compressor = libdeflater::Compressor::new(level);
    let mut stream = vec![0; compressor.deflate_compress_bound(plain.len())];
    let length = compressor.deflate_compress(plain, &mut stream).unwrap();
    stream.truncate(length);
    stream
}

fn zlib(plain: &[u8], level: u32) -> Vec<u8> {
    let level = flate2::Compression::new(level);
    let mut stream = Vec::new();
    let mut encoder = flate2::read::DeflateEncoder::new(plain, level);
    encoder.read_to_end(&mut stream).unwrap();
    stream
}

fn inflate(stream: &[u8]) -> Vec<u8> {
    let mut decoder = flate2::bufread::DeflateDecoder::new(stream);
    let mut plain = Vec::new();
    decoder.read_to_end(&mut plain).unwrap();
    assert!(decoder.into_inner().is_empty(), "no bytes behind the end");
    plain
}

/// Bytes of as many kinds as make for codes of all lengths.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let skewed = (1..40_usize, 0..60_000_usize, any::<u64>()).prop_map(|(skew, length, seed)| {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut byte = || (0..skew).map(|_| random.u8(..)).min().unwrap_or_default();
        (0..length).map(|_| byte()).collect()
    });
    let words = (
        prop::collection::vec("[a-z]{1,12} ", 1..200),
        0..9_000_usize,
        any::<u64>(),
    )
        .prop_map(|(words, count, seed)| {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut word = || words[random.usize(0..words.len())].bytes();
            (0..count)
                .flat_map(|_| word().collect::<Vec<_>>())
                .collect()
        });
    prop_oneof![skewed, words, prop::collection::vec(any::<u8>(), 0..300)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn streams_follow_one_another(
        parts in prop::collection::vec((bytes(), 0..=9_i32, any::<bool>()), 1..4),
    ) {
        let mut stream = Vec::new();
        let mut plain: Vec<u8> = Vec::new();
        for (part, level, other) in &parts {
            let mut compressed = match other {
                true => zlib(part, u32::try_from(*level).unwrap()),
                false => deflate(part, *level),
            };
            let between = unfinish(&mut compressed).unwrap();
            stream.extend(compressed);
            stream.extend(between);
            plain.extend(part);
        }
        stream.extend(deflate(b"the end", 1));
        plain.extend(b"the end");
        prop_assert!(inflate(&stream) == plain);
    }

    #[test]
    fn a_stream_that_is_cut_off_is_malformed(plain in bytes(), at in any::<prop::sample::Index>()) {
        let mut stream = deflate(&plain, 2);
        stream.truncate(at.index(stream.len()));
        prop_assert_eq!(unfinish(&mut stream), Err(Malformed));
    }

    #[test]
    fn any_bytes_come_to_an_end(mut bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        let _ = unfinish(&mut bytes);
    }
}
