//! Reading a long range by one request, and by several at once where that is faster: where a
//! connection gives less than the network carries.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::time::Instant;

use super::{ByteStream, RangeRead, Result, Windows, stream_ranges};

/// The most ranges under way with which several requests are tried: where there are more, they
/// have enough connections between them.
const MOST_AT_ONCE: usize = 2;

/// When a long range is read by several requests at once. One request needs the least CPU and
/// memory. Several are for a range that everything else waits for, where a connection gives less
/// than the network carries.
#[derive(Clone, Copy, Debug)]
pub struct Parts {
    /// The size in bytes from which a range may be read so.
    pub threshold: u64,
    /// Bytes after which the speed of one request is known. Twice as many are read by several
    /// requests before their speed is.
    pub sample: u64,
    /// The parts and their number.
    pub windows: Windows,
}

impl Parts {
    /// Of blobs of a registry.
    pub const DEFAULT: Self = Self {
        threshold: 48 << 20,
        sample: 8 << 20,
        windows: Windows::DEFAULT,
    };

    fn trial(&self) -> u64 {
        2 * self.sample
    }
}

/// The bytes of `range` of `object`. They are read by one request, which is `first`, for as long
/// as whoever takes them is slower than it. Where the request is the slower one, several are tried,
/// and kept if they bring a fifth more bytes a second.
pub(crate) fn stream_adaptively(
    object: Arc<dyn RangeRead>,
    range: Range<u64>,
    first: ByteStream,
    parts: Parts,
) -> ByteStream {
    if range.end.saturating_sub(range.start) < parts.threshold {
        return first;
    }
    let reading = Reading {
        object,
        parts,
        rest: range,
        stream: first,
        stage: Stage::One(Measured::begin()),
        _under_way: UnderWay::new(),
    };
    stream::try_unfold(reading, Reading::next).boxed()
}

struct Reading {
    object: Arc<dyn RangeRead>,
    parts: Parts,
    rest: Range<u64>,
    stream: ByteStream,
    stage: Stage,
    _under_way: UnderWay,
}

/// The way in which the bytes are read.
enum Stage {
    /// By one request, whose speed is measured.
    One(Measured),
    /// By several up to `until`, to see if they are faster than one that read `rate` bytes a second.
    Trial {
        until: u64,
        rate: f64,
        several: Measured,
    },
    /// To the end in the way that is faster.
    Decided,
}

impl Reading {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>> {
        self.decide().await?;
        let waiting = Instant::now();
        let Some(piece) = self.stream.next().await.transpose()? else {
            return Ok(None);
        };
        self.rest.start += piece.len() as u64;
        match &mut self.stage {
            Stage::One(measured)
            | Stage::Trial {
                several: measured, ..
            } => {
                measured.count(piece.len() as u64, waiting.elapsed());
            }
            Stage::Decided => {}
        }
        Ok(Some((piece, self)))
    }

    /// Goes to the next stage, if the one before is at its end.
    async fn decide(&mut self) -> Result<()> {
        match &self.stage {
            Stage::One(one) if one.bytes >= self.parts.sample => {
                if one.is_slow() && self.is_worth_a_trial() {
                    self.try_several(one.rate());
                } else {
                    self.stage = Stage::One(Measured::begin());
                }
            }
            Stage::Trial {
                until,
                rate,
                several,
            } if self.rest.start >= *until => {
                let pays = several.rate() >= rate * 1.2;
                self.stage = Stage::Decided;
                self.stream = if pays {
                    self.several(self.rest.clone())
                } else {
                    self.object.read(self.rest.clone()).await?
                };
            }
            _ => {}
        }
        Ok(())
    }

    fn is_worth_a_trial(&self) -> bool {
        self.rest.end.saturating_sub(self.rest.start) >= 2 * self.parts.trial()
            && UnderWay::count() <= MOST_AT_ONCE
    }

    fn try_several(&mut self, rate: f64) {
        let until = self.rest.start + self.parts.trial();
        self.stream = self.several(self.rest.start..until);
        self.stage = Stage::Trial {
            until,
            rate,
            several: Measured::begin(),
        };
    }

    fn several(&self, range: Range<u64>) -> ByteStream {
        stream_ranges(Arc::clone(&self.object), range, self.parts.windows)
    }
}

/// One of the ranges that are read in this way at the same time.
struct UnderWay(());

static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);

impl UnderWay {
    fn new() -> Self {
        UNDER_WAY.fetch_add(1, Ordering::Relaxed);
        Self(())
    }

    /// The number of them.
    fn count() -> usize {
        UNDER_WAY.load(Ordering::Relaxed)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        UNDER_WAY.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Bytes that were read, and the time that it took.
struct Measured {
    began: Instant,
    bytes: u64,
    /// The part of the time in which the reader waited for bytes.
    waited: Duration,
}

impl Measured {
    fn begin() -> Self {
        Self {
            began: Instant::now(),
            bytes: 0,
            waited: Duration::ZERO,
        }
    }

    fn count(&mut self, bytes: u64, waited: Duration) {
        self.bytes += bytes;
        self.waited += waited;
    }

    /// Bytes a second.
    fn rate(&self) -> f64 {
        self.bytes as f64 / self.began.elapsed().as_secs_f64().max(1e-3)
    }

    /// Returns true if most of the time was spent waiting for bytes.
    fn is_slow(&self) -> bool {
        self.waited * 4 >= self.began.elapsed() * 3
    }
}

/// One test at a time: what is under way is counted for the whole process.
#[cfg(test)]
pub(crate) static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, OnceLock};

    use futures_util::FutureExt;
    use futures_util::future::BoxFuture;

    use super::super::collect;
    use super::*;

    const MIB: u64 = 1 << 20;
    const SIZE: u64 = 128 * MIB;

    /// Bytes that tell their place, given to each request at `connection` bytes a second, and to
    /// all of them at `network`.
    struct Slow {
        connection: u64,
        network: u64,
        next: Arc<Mutex<Instant>>,
        requests: Mutex<Vec<Range<u64>>>,
    }

    impl Slow {
        fn new(connection: u64, network: u64) -> Arc<Self> {
            Arc::new(Self {
                connection,
                network,
                next: Arc::new(Mutex::new(Instant::now())),
                requests: Mutex::default(),
            })
        }

        fn stream(&self, range: Range<u64>) -> ByteStream {
            let piece = MIB;
            let time = |rate: u64| Duration::from_secs_f64(piece as f64 / rate as f64);
            let (on_connection, on_network) = (time(self.connection), time(self.network));
            let next = Arc::clone(&self.next);
            stream::unfold(range, move |rest| {
                let next = Arc::clone(&next);
                async move {
                    if rest.is_empty() {
                        return None;
                    }
                    let turn = {
                        let mut next = next.lock().unwrap();
                        *next = (*next).max(Instant::now()) + on_network;
                        *next
                    };
                    let own = Instant::now() + on_connection;
                    tokio::time::sleep_until(turn.max(own)).await;
                    let end = rest.end.min(rest.start + piece);
                    Some((Ok(bytes_of(rest.start..end)), end..rest.end))
                }
            })
            .boxed()
        }
    }

    impl RangeRead for Slow {
        fn size(&self) -> u64 {
            SIZE
        }

        fn name(&self) -> &'static str {
            "test"
        }

        fn read(&self, range: Range<u64>) -> BoxFuture<'_, Result<ByteStream>> {
            self.requests.lock().unwrap().push(range.clone());
            async move { Ok(self.stream(range)) }.boxed()
        }
    }

    /// Bytes that differ from part to part.
    fn bytes_of(range: Range<u64>) -> Bytes {
        static WHOLE: OnceLock<Bytes> = OnceLock::new();
        let whole = WHOLE.get_or_init(|| {
            let pattern: Vec<u8> = (0..=u8::MAX).cycle().take(99_991).collect();
            let size = usize::try_from(SIZE).unwrap();
            pattern.repeat(size / pattern.len() + 1).into()
        });
        let [start, end] = [range.start, range.end].map(|place| usize::try_from(place).unwrap());
        whole.slice(start..end)
    }

    fn read(object: &Arc<Slow>) -> ByteStream {
        let first = object.stream(0..SIZE);
        stream_adaptively(Arc::clone(object) as Arc<_>, 0..SIZE, first, Parts::DEFAULT)
    }

    #[tokio::test(start_paused = true)]
    async fn slow_connections_are_used_side_by_side() {
        let _turn = TURN.lock().await;
        let object = Slow::new(20 * MIB, 200 * MIB);
        let began = Instant::now();
        let bytes = collect(read(&object), SIZE).await.unwrap();
        assert!(bytes == bytes_of(0..SIZE));
        let alone = Duration::from_secs(SIZE / (20 * MIB));
        assert!(began.elapsed() < alone / 3, "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_network_that_one_connection_fills_is_tried_once() {
        let _turn = TURN.lock().await;
        let object = Slow::new(200 * MIB, 20 * MIB);
        let bytes = collect(read(&object), SIZE).await.unwrap();
        assert!(bytes == bytes_of(0..SIZE));
        let requests = object.requests.lock().unwrap().clone();
        let of_the_trial = (Parts::DEFAULT.trial() / Windows::DEFAULT.part) as usize;
        assert_eq!(requests.len(), of_the_trial + 1, "{requests:?}");
        assert_eq!(requests.last().unwrap().end, SIZE);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_takes_bytes_slowly_needs_one_request() {
        let _turn = TURN.lock().await;
        let object = Slow::new(20 * MIB, 200 * MIB);
        let mut stream = read(&object);
        let mut taken = 0;
        while let Some(piece) = stream.next().await.transpose().unwrap() {
            taken += piece.len() as u64;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        assert_eq!(taken, SIZE);
        assert!(object.requests.lock().unwrap().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn where_many_are_under_way_each_has_one_request() {
        let _turn = TURN.lock().await;
        let object = Slow::new(20 * MIB, 200 * MIB);
        let reads = (0..3).map(|_| collect(read(&object), SIZE));
        for bytes in futures_util::future::join_all(reads).await {
            assert_eq!(bytes.unwrap().len() as u64, SIZE);
        }
        assert!(object.requests.lock().unwrap().is_empty());
    }
}
