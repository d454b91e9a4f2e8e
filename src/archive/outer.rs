//! Archives that are compressed as a whole: they can only be read from the beginning on.

use std::io::{self, BufRead, Read};
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::stream::Fuse;
use futures_util::{StreamExt, stream};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::Error;
use super::compression::{Format, window_log};
use super::scan::Reader;
use super::walk::Length;
use crate::content::{
    self, ArchiveMemory, Buffer, ByteStream, RangeRead, TooMuchMemory, Windows, stream_ranges,
};

/// Longest archive that is decompressed: what no Lambda gets through in its time, and where a
/// few bytes that decompress to endless zeros are given up.
const MAX_LENGTH: u64 = 1 << 40;
/// Bytes decompressed at once.
const PIECE: usize = Buffer::BLOCK;
/// Pieces decompressed ahead of whoever reads them.
const AHEAD: usize = 2;
/// Memory that an xz stream may demand, in KiB: what `xz -9` needs, and a bit.
const XZ_MEMORY: u32 = 96 << 10;

/// The decompressed bytes of a compressed object.
pub(super) fn decompressed(object: Arc<dyn RangeRead>, format: Format) -> ByteStream {
    let size = object.size();
    let input = Input {
        compressed: stream_ranges(object, 0..size, Windows::DEFAULT).fuse(),
        piece: Bytes::new(),
        runtime: Handle::current(),
    };
    let (sender, receiver) = mpsc::channel(AHEAD);
    // Ends by itself when the receiver is gone.
    tokio::task::spawn_blocking(move || {
        if let Err(error) = decompress(format, input, &sender) {
            let _ = sender.blocking_send(Err(failure(format, error)));
        }
    });
    stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|piece| (piece, receiver))
    })
    .boxed()
}

type Sender = mpsc::Sender<content::Result<Bytes>>;

fn decompress(format: Format, mut input: Input, sender: &Sender) -> io::Result<()> {
    let too_much = |error: TooMuchMemory| io::Error::new(io::ErrorKind::OutOfMemory, error);
    match format {
        Format::Gzip => send_all(flate2::bufread::MultiGzDecoder::new(input), sender),
        Format::Zstd => {
            let log = window_log(input.fill_buf()?);
            let _memory = ArchiveMemory::take(1 << log).map_err(too_much)?;
            let mut decoder = zstd::Decoder::with_buffer(input)?;
            decoder.window_log_max(log)?;
            send_all(decoder, sender)
        }
        Format::Xz => {
            let _memory = ArchiveMemory::take(u64::from(XZ_MEMORY) << 10).map_err(too_much)?;
            let decoder = lzma_rust2::XzReader::new_mem_limit(input, true, XZ_MEMORY);
            send_all(decoder, sender)
        }
        Format::Bzip2 => send_all(bzip2::bufread::MultiBzDecoder::new(input), sender),
        Format::Json | Format::Plain => send_all(input, sender),
    }
}

fn send_all(mut decoder: impl Read, sender: &Sender) -> io::Result<()> {
    loop {
        let mut piece = Buffer::take();
        let filled = fill(&mut decoder, &mut piece);
        let ended = piece.is_empty();
        // What was decompressed before an error is right.
        if !ended && sender.blocking_send(Ok(piece.freeze())).is_err() {
            return Ok(());
        }
        filled?;
        if ended {
            return Ok(());
        }
    }
}

fn fill(decoder: &mut impl Read, piece: &mut Buffer) -> io::Result<()> {
    while piece.len() < PIECE {
        let room = PIECE - piece.len();
        match decoder.read(&mut piece.room()[..room]) {
            Ok(0) => break,
            Ok(read) => piece.advance(read),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn failure(format: Format, error: io::Error) -> content::Error {
    match error.downcast::<content::Error>() {
        Ok(error) => error,
        Err(source) => Error::Outer {
            format: format.name(),
            source,
        }
        .into(),
    }
}

/// The compressed bytes, for a thread that may wait for them.
struct Input {
    compressed: Fuse<ByteStream>,
    piece: Bytes,
    runtime: Handle,
}

impl BufRead for Input {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.piece.is_empty() {
            match self.runtime.block_on(self.compressed.next()) {
                Some(piece) => self.piece = piece.map_err(io::Error::other)?,
                None => break,
            }
        }
        Ok(&self.piece)
    }

    fn consume(&mut self, amount: usize) {
        drop(self.piece.split_to(amount));
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

/// A place in the decompressed bytes, from where on they can be read.
pub(super) struct Cursor {
    stream: ByteStream,
    /// The place where `rest` begins.
    position: u64,
    rest: Bytes,
    ended: bool,
}

impl Cursor {
    pub(super) fn new(object: &Arc<dyn RangeRead>, format: Format) -> Self {
        Self {
            stream: decompressed(Arc::clone(object), format),
            position: 0,
            rest: Bytes::new(),
            ended: false,
        }
    }

    /// The place where it is.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Moves on to `position`, or to the end if that comes first.
    pub(super) async fn skip_to(&mut self, position: u64) -> content::Result<()> {
        loop {
            let left = position.saturating_sub(self.position);
            if left < self.rest.len() as u64 || left == 0 {
                let left = usize::try_from(left).unwrap_or_default();
                drop(self.rest.split_to(left));
                self.position += left as u64;
                return Ok(());
            }
            self.position += self.rest.len() as u64;
            self.rest = Bytes::new();
            if !self.pull().await? {
                return Ok(());
            }
        }
    }

    /// Reads on behind what is at hand; whether there was more.
    async fn pull(&mut self) -> content::Result<bool> {
        if self.ended {
            return Ok(false);
        }
        match self.stream.next().await.transpose()? {
            Some(piece) if self.rest.is_empty() => self.rest = piece,
            Some(piece) => {
                let mut joined = BytesMut::with_capacity(self.rest.len() + piece.len());
                joined.extend_from_slice(&self.rest);
                joined.extend_from_slice(&piece);
                self.rest = joined.freeze();
            }
            None => self.ended = true,
        }
        Ok(!self.ended)
    }

    /// The next bytes, at most `limit`, moving on behind them.
    pub(super) async fn take(&mut self, limit: u64) -> content::Result<Bytes> {
        if self.rest.is_empty() && !self.pull().await? {
            return Ok(Bytes::new());
        }
        let length = usize::try_from(limit).map_or(self.rest.len(), |l| l.min(self.rest.len()));
        self.position += length as u64;
        Ok(self.rest.split_to(length))
    }
}

impl Reader for Cursor {
    fn length(&self) -> Length {
        if self.ended {
            Length::Known(self.position + self.rest.len() as u64)
        } else {
            Length::AtMost(MAX_LENGTH)
        }
    }

    async fn read(&mut self, range: Range<u64>) -> content::Result<Bytes> {
        self.skip_to(range.start).await?;
        let length = range.end.saturating_sub(self.position);
        while (self.rest.len() as u64) < length && self.pull().await? {}
        let length = usize::try_from(length).map_or(self.rest.len(), |l| l.min(self.rest.len()));
        Ok(self.rest.slice(..length))
    }

    /// Everything passes by.
    async fn pass(&mut self, range: Range<u64>) -> content::Result<Bytes> {
        self.read(range).await
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::future::BoxFuture;

    use super::*;
    use crate::archive::testing::{Counting, Tar, gzip, noise, packed};
    use crate::archive::{Archive, Compression, Error, Selected};

    async fn select(bytes: Vec<u8>) -> Result<Selected, Error> {
        let archive = Archive::open(Arc::new(Counting::new(bytes))).await?;
        archive.select(None, Compression::Gzip).await
    }

    /// The error at the end of its chain.
    fn root_cause(error: &dyn std::error::Error) -> String {
        error.source().map_or_else(|| error.to_string(), root_cause)
    }

    /// An object that is waited for without end.
    struct Silent;

    impl RangeRead for Silent {
        fn size(&self) -> u64 {
            1 << 30
        }

        fn name(&self) -> &'static str {
            "silent"
        }

        fn read(&self, _range: Range<u64>) -> BoxFuture<'_, content::Result<ByteStream>> {
            std::future::ready(Ok(stream::pending().boxed())).boxed()
        }
    }

    #[test]
    fn a_stream_that_is_waited_for_does_not_keep_the_runtime_from_ending() {
        let (ended, end) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()
                .unwrap();
            runtime.block_on(async {
                let mut waiting = decompressed(Arc::new(Silent), Format::Gzip);
                let wait = std::time::Duration::from_millis(50);
                let _ = tokio::time::timeout(wait, waiting.next()).await;
            });
            drop(runtime);
            ended.send(()).unwrap();
        });
        let limit = std::time::Duration::from_mins(1);
        assert_eq!(end.recv_timeout(limit), Ok(()));
    }

    #[tokio::test]
    async fn says_that_the_outer_stream_is_cut_off_or_damaged() {
        let tar = Tar::default().file("a", noise(PIECE)).finish();
        for (format, bytes) in packed(&tar) {
            let error = select(bytes[..bytes.len() / 2].to_vec())
                .await
                .err()
                .unwrap();
            let outer = std::error::Error::source(&error).unwrap().to_string();
            let expected = format!(
                "the archive's {} stream is damaged or cut off: write or upload it again",
                format.name()
            );
            assert_eq!(outer, expected, "{}", root_cause(&error));
            assert!(!error.is_retryable());
        }
    }

    #[tokio::test]
    async fn says_that_the_tar_inside_is_cut_off_or_none() {
        let tar = Tar::default().file("a", noise(9000)).finish();
        for (bytes, message) in [
            (
                &tar[..5000],
                "the archive is truncated: \"a\" ends at byte 9512, the archive at 5000; \
                 write or upload it again",
            ),
            (
                &tar[..9728 + 5],
                "the archive is truncated: the header at byte 9728 ends at byte 10240, \
                 the archive at 9733; write or upload it again",
            ),
            (
                b"some text",
                "not a tar archive but too short for one: \
                 expected what `docker save` or an OCI archive exporter writes",
            ),
        ] {
            let error = select(gzip(bytes)).await.err().unwrap();
            assert_eq!(error.to_string(), message);
        }
    }

    #[tokio::test]
    async fn endless_content_is_refused_by_what_its_header_says() {
        let tar = Tar::default().entry("zeros", &[], |header| header.set_size(1 << 41));
        let error = select(gzip(&tar.finish())).await.err().unwrap();
        assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    }
}
