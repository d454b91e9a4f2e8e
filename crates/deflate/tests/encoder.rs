//! The encoder beside decoders that others wrote.

use std::io::Read;

use longshore_deflate::Encoder;
use proptest::prelude::*;

fn encode(encoder: &mut Encoder, plain: &[u8], last: bool) -> Vec<u8> {
    let mut out = vec![0xaa; Encoder::bound(plain.len())];
    let length = encoder.encode(plain, last, &mut out).unwrap();
    out.truncate(length);
    out
}

/// The stream of these stretches, one behind the other.
fn stream(stretches: &[Vec<u8>]) -> Vec<u8> {
    let mut encoder = Encoder::new();
    let mut next = |(at, plain): (usize, &Vec<u8>)| {
        let last = at + 1 == stretches.len();
        encode(&mut encoder, plain, last)
    };
    stretches.iter().enumerate().flat_map(&mut next).collect()
}

fn check(stretches: &[Vec<u8>]) {
    let plain = stretches.concat();
    let stream = stream(stretches);

    let mut zlib = flate2::bufread::DeflateDecoder::new(&stream[..]);
    let mut decoded = Vec::new();
    zlib.read_to_end(&mut decoded).unwrap();
    assert!(zlib.into_inner().is_empty(), "no bytes behind the end");
    assert!(decoded == plain, "zlib");

    let mut libdeflate = libdeflater::Decompressor::new();
    let mut decoded = vec![0; plain.len()];
    let length = libdeflate.deflate_decompress(&stream, &mut decoded);
    assert_eq!(length.unwrap(), plain.len());
    assert!(decoded == plain, "libdeflate");
}

/// Bytes of as many kinds as make for codes of all lengths, and matches of all lengths and
/// distances.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let skewed = (1..40_usize, 0..90_000_usize, any::<u64>()).prop_map(|(skew, length, seed)| {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut byte = || (0..skew).map(|_| random.u8(..)).min().unwrap_or_default();
        (0..length).map(|_| byte()).collect()
    });
    let words = (
        prop::collection::vec(prop::collection::vec(any::<u8>(), 1..400), 1..200),
        0..2_000_usize,
        any::<u64>(),
    )
        .prop_map(|(words, count, seed)| {
            let mut random = fastrand::Rng::with_seed(seed);
            let word = |_| words[random.usize(0..words.len())].clone();
            (0..count).flat_map(word).collect()
        });
    let repeated = (prop::collection::vec(any::<u8>(), 1..70), 0..100_000_usize)
        .prop_map(|(word, length)| word.into_iter().cycle().take(length).collect());
    let any = prop::collection::vec(any::<u8>(), 0..300);
    prop_oneof![skewed, words, repeated, any]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_come_back(stretches in prop::collection::vec(bytes(), 1..4)) {
        check(&stretches);
    }

    #[test]
    fn a_stretch_depends_on_nothing_before_it(before in bytes(), plain in bytes()) {
        let mut used = Encoder::new();
        encode(&mut used, &before, false);
        prop_assert!(encode(&mut used, &plain, true) == encode(&mut Encoder::new(), &plain, true));
    }
}

#[test]
fn the_ends_of_what_is_read_at_once_come_back() {
    for length in (0..70).chain([1 << 15, (1 << 15) + 1, 1 << 16, 1 << 20]) {
        check(&[vec![7; length]]);
        let mut random = fastrand::Rng::with_seed(length as u64);
        let noise: Vec<u8> = (0..length).map(|_| random.u8(..)).collect();
        check(&[noise.clone(), noise]);
    }
}

#[test]
fn matches_reach_back_as_far_as_they_may() {
    let mut random = fastrand::Rng::with_seed(1);
    let noise: Vec<u8> = (0..100).map(|_| random.u8(..)).collect();
    let apart = |distance: usize| [&noise[..], &vec![0; distance - noise.len()], &noise].concat();
    let length = |distance| stream(&[apart(distance)]).len();
    assert!(length(1 << 15) + 60 < length((1 << 15) + 1));
    check(&[apart(1 << 15), apart((1 << 15) + 1)]);
}

/// Counts that grow as Fibonacci's numbers do have the deepest trees.
#[test]
fn codes_that_would_be_too_long_are_shortened() {
    let (mut count, mut next) = (1, 1);
    let mut plain = Vec::new();
    for byte in 0..21_u8 {
        plain.extend(std::iter::repeat_n(byte.wrapping_mul(59), count));
        (count, next) = (next, count + next);
    }
    fastrand::Rng::with_seed(3).shuffle(&mut plain);
    check(&[plain]);
}

#[test]
fn what_cannot_be_compressed_grows_by_little() {
    let mut random = fastrand::Rng::with_seed(2);
    let noise: Vec<u8> = (0..1 << 20).map(|_| random.u8(..)).collect();
    let length = stream(std::slice::from_ref(&noise)).len();
    assert!(length < noise.len() + noise.len() / 4_000, "{length}");
}

#[test]
fn too_little_room_is_noticed() {
    let mut out = vec![0; Encoder::bound(100) - 1];
    assert_eq!(Encoder::new().encode(&[0; 100], true, &mut out), None);
}

/// Layers are named by the digests of what this makes: the bytes change only when someone means
/// them to.
#[test]
fn the_same_bytes_become_the_same_on_every_machine() {
    let mut state = 1_u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 16
    };
    let noise: Vec<u8> = (0..70_000).map(|_| random() as u8).collect();
    let skewed: Vec<u8> = (0..200_000).map(|_| (random() & random()) as u8).collect();
    let words: Vec<u8> = (0..40_000)
        .flat_map(|_| {
            let start = random() as usize % 3_000;
            noise[start..start + random() as usize % 24].to_vec()
        })
        .collect();
    let inputs = [
        Vec::new(),
        b"longshore".to_vec(),
        vec![0; 1 << 20],
        noise,
        skewed,
        words,
    ];
    let sums = inputs.map(|plain| {
        let stream = stream(&[plain]);
        let mut crc = flate2::Crc::new();
        crc.update(&stream);
        (stream.len(), format!("{:08x}", crc.sum()))
    });
    assert_eq!(
        sums.each_ref()
            .map(|(length, sum)| (*length, sum.as_str()))
            .to_vec(),
        [
            (2, "6af4413c"),
            (16, "a4449685"),
            (1_479, "485fcdd5"),
            (70_017, "f9d52224"),
            (163_730, "a1484300"),
            (157_772, "c0759eee"),
        ]
    );
}
