//! Any bytes, encoded as one stretch and as two: decoders give them back. `scripts/fuzz` runs it.

#![no_main]

use std::io::Read;

use libfuzzer_sys::fuzz_target;
use longshore_deflate::Encoder;

fuzz_target!(|bytes: &[u8]| {
    let mut encoder = Encoder::new();
    check(&mut encoder, &[bytes]);
    let (one, other) = bytes.split_at(bytes.len() / 2);
    check(&mut encoder, &[one, other]);
    // Short inputs have no far matches, and are one block.
    let repeated: Vec<u8> = bytes.iter().copied().cycle().take(80_000).collect();
    check(&mut encoder, &[&repeated]);
});

fn check(encoder: &mut Encoder, stretches: &[&[u8]]) {
    let mut stream = Vec::new();
    for (at, plain) in stretches.iter().enumerate() {
        let mut out = vec![0; Encoder::bound(plain.len())];
        let last = at + 1 == stretches.len();
        let length = encoder
            .encode(plain, last, &mut out)
            .expect("there is room");
        stream.extend_from_slice(&out[..length]);
    }
    let plain = stretches.concat();

    let mut zlib = flate2::bufread::DeflateDecoder::new(&stream[..]);
    let mut decoded = Vec::new();
    zlib.read_to_end(&mut decoded).expect("a deflate stream");
    assert!(zlib.into_inner().is_empty() && decoded == plain);

    let mut libdeflate = libdeflater::Decompressor::new();
    let mut decoded = vec![0; plain.len()];
    let length = libdeflate.deflate_decompress(&stream, &mut decoded);
    assert!(length == Ok(plain.len()) && decoded == plain);
}
