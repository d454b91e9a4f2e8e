//! A layer on its way: checked, compressed and hashed off the async threads.
//!
//! ```text
//! pieces ─> blocks of 1 MiB ─> encode, several at once ─> in order: check, join, hash ─> pieces
//! ```

use std::num::NonZero;
use std::sync::{Arc, LazyLock, OnceLock};
use std::thread;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::Semaphore;

use super::check::Check;
use super::codec::{BLOCK, Codec, Join};
use crate::archive::Error;
use crate::content::{self, Buffer, ByteStream, Task};
use crate::oci::{Algorithm, Descriptor, Digest, Digester, MediaType};

/// As many blocks are encoded at once, over all layers, as there are processors.
static WORKERS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(threads()));

fn threads() -> usize {
    thread::available_parallelism().map_or(2, NonZero::get)
}

/// A layer's description, and the content that it must turn out to have.
pub(crate) struct Expected {
    /// The layer's file, for errors.
    pub(crate) entry: String,
    /// Length of the file.
    pub(crate) size: u64,
    /// The digest that [`Check`] must arrive at.
    pub(crate) digest: Digest,
    pub(crate) check: Check,
    /// Makes the error that says otherwise, of the layer's file, this digest and the actual one.
    pub(crate) mismatch: fn(String, Digest, Digest) -> Error,
}

/// The place where the descriptor of what came out is put when all has come.
pub(crate) type Made = Arc<OnceLock<Descriptor>>;

/// Passes a file on as it is.
pub(crate) fn pass(
    file: ByteStream,
    expected: Expected,
    made: Option<(MediaType, Made)>,
) -> ByteStream {
    let size = expected.size;
    let pieces = blocks(file, size).map_ok(|(plain, last)| Piece {
        plain,
        encoded: None,
        last,
    });
    let output = made.map(|(media_type, made)| Output::new(media_type, made));
    in_order(
        pieces.boxed(),
        InOrder {
            expected,
            join: None,
            output,
        },
    )
}

/// Compresses a file.
pub(crate) fn compress(
    file: ByteStream,
    expected: Expected,
    codec: Arc<dyn Codec>,
    made: Made,
) -> ByteStream {
    let join = Some(codec.join());
    let output = Some(Output::new(codec.media_type(), made));
    let entry = expected.entry.clone();
    let pieces = blocks(file, expected.size)
        .map(move |block| encode(Arc::clone(&codec), entry.clone(), block))
        // One more than can be under way: it is at hand when a processor is free.
        .buffered(threads() + 1);
    in_order(
        pieces.boxed(),
        InOrder {
            expected,
            join,
            output,
        },
    )
}

async fn encode(
    codec: Arc<dyn Codec>,
    entry: String,
    block: content::Result<(Bytes, bool)>,
) -> content::Result<Piece> {
    let (plain, last) = block?;
    // The semaphore is never closed.
    let permit = WORKERS.acquire().await.ok();
    let piece = Task::blocking(move || {
        let encoded = Some(codec.encode(&plain, last)?);
        Ok(Piece {
            plain,
            encoded,
            last,
        })
    });
    let piece = piece.await;
    drop(permit);
    piece.map_err(|source| Error::Compress { entry, source }.into())
}

/// Cuts a stream of `size` bytes into blocks, however it comes in pieces. The last is marked;
/// there is one even where there are no bytes.
fn blocks(
    stream: ByteStream,
    size: u64,
) -> impl stream::Stream<Item = content::Result<(Bytes, bool)>> + Send {
    let state = Blocks {
        stream,
        rest: Bytes::new(),
        left: Some(size),
        received: 0,
        size,
    };
    stream::try_unfold(state, Blocks::next)
}

struct Blocks {
    stream: ByteStream,
    rest: Bytes,
    /// Bytes yet to be given; `None` when all are.
    left: Option<u64>,
    received: u64,
    size: u64,
}

impl Blocks {
    async fn next(mut self) -> content::Result<Option<((Bytes, bool), Self)>> {
        let Some(left) = self.left else {
            return Ok(None);
        };
        let length = usize::try_from(left).map_or(BLOCK, |left| left.min(BLOCK));
        let block = self.block(length).await?;
        let last = length as u64 == left;
        self.left = (!last).then(|| left - length as u64);
        Ok(Some(((block, last), self)))
    }

    async fn block(&mut self, length: usize) -> content::Result<Bytes> {
        if self.rest.is_empty() && length > 0 {
            self.rest = self.piece().await?;
        }
        if self.rest.len() >= length {
            return Ok(self.rest.split_to(length));
        }
        let mut block = Buffer::take();
        loop {
            let more = self.rest.len().min(length - block.len());
            block.extend(&self.rest.split_to(more));
            if block.len() == length {
                return Ok(block.freeze());
            }
            self.rest = self.piece().await?;
        }
    }

    async fn piece(&mut self) -> content::Result<Bytes> {
        let piece = self.stream.next().await.unwrap_or_else(|| {
            Err(content::Error::Size {
                expected: self.size,
                actual: self.received,
            })
        })?;
        self.received += piece.len() as u64;
        Ok(piece)
    }
}

/// A stretch of a layer.
struct Piece {
    plain: Bytes,
    /// The codec's output, where there is one.
    encoded: Option<Buffer>,
    last: bool,
}

/// The work that goes piece by piece.
struct InOrder {
    expected: Expected,
    join: Option<Box<dyn Join>>,
    output: Option<Output>,
}

struct Output {
    media_type: MediaType,
    digester: Digester,
    size: u64,
    made: Made,
}

impl Output {
    fn new(media_type: MediaType, made: Made) -> Self {
        Self {
            media_type,
            digester: Digester::new(Algorithm::Sha256),
            size: 0,
            made,
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        self.digester.update(bytes);
        self.size += bytes.len() as u64;
    }

    fn finish(self) {
        let descriptor = Descriptor::new(self.media_type, self.digester.finish(), self.size);
        // Already set where the layer was read before: to the same.
        let _ = self.made.set(descriptor);
    }
}

fn in_order(pieces: BoxStream<'static, content::Result<Piece>>, work: InOrder) -> ByteStream {
    stream::try_unfold((pieces, Some(work)), |(mut pieces, work)| async move {
        let (Some(mut work), Some(piece)) = (work, pieces.try_next().await?) else {
            return Ok(None);
        };
        let (out, work) = Task::blocking(move || {
            if piece.last {
                work.last(piece).map(|out| (out, None))
            } else {
                work.next(piece).map(|out| (out, Some(work)))
            }
        })
        .await?;
        Ok(Some((out, (pieces, work))))
    })
    .try_filter(|out| std::future::ready(!out.is_empty()))
    .boxed()
}

impl InOrder {
    fn next(&mut self, piece: Piece) -> Result<Bytes, Error> {
        let Expected { entry, check, .. } = &mut self.expected;
        let corrupt = |source| Error::Corrupt {
            entry: entry.clone(),
            source,
        };
        check.update(&piece.plain).map_err(corrupt)?;
        let out = match (&mut self.join, piece.encoded) {
            (Some(join), Some(encoded)) => join.next(&piece.plain, encoded, piece.last),
            _ => piece.plain,
        };
        if let Some(output) = &mut self.output {
            output.update(&out);
        }
        Ok(out)
    }

    /// Takes the last piece, and gives what is left only if the whole was right: whoever sends on
    /// what comes never completes a wrong layer.
    fn last(mut self, piece: Piece) -> Result<Bytes, Error> {
        let out = self.next(piece)?;
        let Expected {
            entry,
            digest,
            check,
            mismatch,
            ..
        } = self.expected;
        let actual = check.finish().map_err(|source| Error::Corrupt {
            entry: entry.clone(),
            source,
        })?;
        if actual != digest {
            return Err(mismatch(entry, digest, actual));
        }
        if let Some(output) = self.output {
            output.finish();
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use proptest::prelude::*;

    use super::*;
    use crate::archive::Compression;
    use crate::content::collect;

    /// Bytes that compress as files do: words that recur, and noise.
    fn bytes(length: usize, seed: u64) -> Vec<u8> {
        let mut random = fastrand::Rng::with_seed(seed);
        let words: Vec<Vec<u8>> = (0..500)
            .map(|_| (0..random.usize(1..20)).map(|_| random.u8(..)).collect())
            .collect();
        let mut bytes = Vec::with_capacity(length + 20);
        while bytes.len() < length {
            bytes.extend_from_slice(&words[random.usize(0..words.len())]);
        }
        bytes.truncate(length);
        bytes
    }

    fn pieces(bytes: &[u8], length: usize) -> ByteStream {
        let pieces: Vec<_> = bytes
            .chunks(length)
            .map(|piece| Ok(Bytes::copy_from_slice(piece)))
            .collect();
        stream::iter(pieces).boxed()
    }

    fn compressed(bytes: &[u8], piece: usize, compression: Compression) -> (Bytes, Descriptor) {
        let digest = Digest::sha256(bytes);
        let expected = Expected {
            entry: "layer.tar".to_owned(),
            size: bytes.len() as u64,
            check: Check::stored(&digest),
            digest,
            mismatch: |_, _, _| unreachable!("the digest is that of the bytes"),
        };
        let made = Made::default();
        let codec = compression.codec().unwrap();
        let stream = compress(pieces(bytes, piece), expected, codec, Arc::clone(&made));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let out = runtime.block_on(collect(stream, 1 << 30)).unwrap();
        (out, made.get().unwrap().clone())
    }

    fn decompressed(bytes: &[u8], compression: Compression) -> Vec<u8> {
        let mut plain = Vec::new();
        let rest = if compression == Compression::Zstd {
            let mut decoder = zstd::Decoder::with_buffer(bytes).unwrap();
            decoder.read_to_end(&mut plain).unwrap();
            decoder.finish()
        } else {
            let mut decoder = flate2::bufread::GzDecoder::new(bytes);
            decoder.read_to_end(&mut plain).unwrap();
            decoder.into_inner()
        };
        assert!(rest.is_empty(), "nothing behind the end");
        plain
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn the_same_bytes_however_they_are_read(
            length in prop_oneof![Just(0), Just(1), Just(BLOCK), Just(2 * BLOCK), 0..3 * BLOCK],
            seed: u64,
            piece in 1_000..3 * BLOCK,
            compression in prop::sample::select(&[Compression::Gzip, Compression::GzipSmall, Compression::Zstd][..]),
        ) {
            let plain = bytes(length, seed);
            let (out, descriptor) = compressed(&plain, piece, compression);
            prop_assert!(decompressed(&out, compression) == plain);
            prop_assert!(descriptor.digest.matches(&out));
            prop_assert_eq!(descriptor.size, out.len() as u64);
            let (again, _) = compressed(&plain, BLOCK, compression);
            prop_assert!(out == again);
        }
    }

    /// What a layer's digest is decides whether it is uploaded again: these change only when
    /// someone means them to.
    #[test]
    fn the_same_layer_has_the_same_digest_everywhere() {
        let byte = |at: u32| at.wrapping_mul(at).to_le_bytes()[1] & 0x3f;
        let plain: Vec<u8> = (0..2_100_000).map(byte).collect();
        for (compression, digest) in [
            (
                Compression::Gzip,
                "f066ab909a8f43164953ab98796342e433194c2036affa275037969d7a71f88d",
            ),
            (
                Compression::GzipSmall,
                "0396348ed16ee9708ffa00b47f8b8563094b680ce18b743dca648f05a5d5030f",
            ),
            (
                Compression::Zstd,
                "90ee43ed81e8ede538cf9480c0f2cd1897de046fa846307168d48a279dafdd32",
            ),
        ] {
            let (_, descriptor) = compressed(&plain, BLOCK, compression);
            assert_eq!(
                descriptor.digest.to_string(),
                format!("sha256:{digest}"),
                "{compression:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_layer_that_ends_early_is_an_error() {
        let digest = Digest::sha256(b"abcdef");
        let expected = Expected {
            entry: "layer.tar".to_owned(),
            size: 6,
            check: Check::stored(&digest),
            digest,
            mismatch: |_, _, _| unreachable!("the end is never reached"),
        };
        let error = collect(pass(pieces(b"abc", 2), expected, None), 10).await;
        let error = error.unwrap_err();
        assert_eq!(error.to_string(), "size mismatch: expected 6 bytes, got 3");
        assert!(error.is_retryable());
    }
}
