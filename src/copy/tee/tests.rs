//! What must be true of a shared read, however its readers behave.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use proptest::prelude::*;

use super::*;
use crate::content::{FileError, Retryable, collect};
use crate::oci::{Digest, MediaType};

const PIECE: usize = 256 << 10;

/// A blob in pieces, which tells how often it was opened and how much of it was read.
struct Blob {
    bytes: Bytes,
    piece: usize,
    fails_at: Option<usize>,
    opened: AtomicUsize,
    read: Arc<AtomicU64>,
}

impl Blob {
    fn of(size: usize, piece: usize) -> Arc<Self> {
        let bytes: Vec<u8> = (0..=255).cycle().take(size).collect();
        Arc::new(Self {
            bytes: bytes.into(),
            piece,
            fails_at: None,
            opened: AtomicUsize::new(0),
            read: Arc::default(),
        })
    }

    fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }

    fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the source broke")]
struct Broken;

impl Retryable for Broken {
    fn is_retryable(&self) -> bool {
        false
    }
}

impl Opener for Blob {
    fn descriptor(&self) -> Option<Descriptor> {
        let digest = Digest::sha256(&self.bytes);
        let size = self.bytes.len() as u64;
        Some(Descriptor::new(MediaType::OCTET_STREAM, digest, size))
    }

    fn open(&self, offset: u64) -> BoxFuture<'_, Result<ByteStream>> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        let start = usize::try_from(offset).unwrap();
        let bytes = self.bytes.clone();
        let (piece, fails_at) = (self.piece, self.fails_at);
        let read = Arc::clone(&self.read);
        let pieces = (start..bytes.len()).step_by(piece).map(move |start| {
            if fails_at.is_some_and(|at| start >= at) {
                return Err(Error::backend(Broken));
            }
            let piece = bytes.slice(start..bytes.len().min(start + piece));
            read.fetch_add(piece.len() as u64, Ordering::Relaxed);
            Ok(piece)
        });
        async { Ok(stream::iter(pieces).boxed()) }.boxed()
    }
}

/// Does `work` with openers that share a read.
async fn sharing<T, F>(
    blob: &Arc<Blob>,
    readers: usize,
    work: impl FnOnce(Vec<Arc<dyn Opener>>) -> F,
) -> T
where
    F: Future<Output = T>,
{
    let blob: Arc<dyn Opener> = blob.clone();
    let (openers, feeding) = tee(&blob, readers);
    tokio::select! {
        done = work(openers) => done,
        never = feeding => match never {},
    }
}

async fn whole(opener: Arc<dyn Opener>) -> Result<Bytes> {
    collect(opener.open(0).await?, 1 << 30).await
}

#[tokio::test]
async fn all_get_everything_of_one_read() {
    let blob = Blob::of(5 * PIECE + 1, PIECE);
    let read = sharing(&blob, 3, |openers| join_all(openers.into_iter().map(whole))).await;
    assert!(read.into_iter().all(|bytes| bytes.unwrap() == blob.bytes));
    assert_eq!((blob.opened(), blob.read()), (1, 5 * PIECE as u64 + 1));
}

#[tokio::test]
async fn one_that_does_not_want_it_is_not_waited_for() {
    let blob = Blob::of(PIECE, PIECE);
    let read = sharing(&blob, 2, |mut openers| {
        drop(openers.pop());
        whole(openers.remove(0))
    });
    assert_eq!(read.await.unwrap(), blob.bytes);
    let unread = Blob::of(PIECE, PIECE);
    sharing(&unread, 2, |openers| async { drop(openers) }).await;
    assert_eq!((blob.opened(), unread.opened()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_holds_up_no_more_than_its_window() {
    let blob = Blob::of(64 * PIECE, PIECE);
    let of_blob = Arc::clone(&blob);
    let furthest = sharing(&blob, 2, |mut openers| async move {
        let slow = openers.remove(0).open(0).await.unwrap();
        let mut quick = openers.remove(0).open(0).await.unwrap();
        let mut taken = 0;
        while let Ok(piece) = timeout(PATIENCE / 2, quick.next()).await {
            taken += piece.unwrap().unwrap().len() as u64;
        }
        drop(slow);
        (taken, of_blob.read())
    });
    let (taken, read) = furthest.await;
    assert_eq!(taken, u64::from(WINDOW) + PIECE as u64);
    assert_eq!(
        read,
        u64::from(WINDOW) + PIECE as u64,
        "one piece waits to be given"
    );
}

#[tokio::test(start_paused = true)]
async fn one_that_stalls_is_left_behind_and_reads_the_rest_for_itself() {
    let blob = Blob::of(64 * PIECE, PIECE);
    let read = sharing(&blob, 2, |mut openers| async move {
        let slow = openers.remove(0).open(0).await.unwrap();
        let quick = whole(openers.remove(0)).await;
        (quick.unwrap(), collect(slow, 1 << 30).await.unwrap())
    });
    let began = Instant::now();
    let (quick, slow) = read.await;
    assert_eq!(began.elapsed(), PATIENCE);
    assert!(quick == blob.bytes && slow == blob.bytes);
    let again = blob.bytes.len() as u64 - u64::from(WINDOW);
    assert_eq!(blob.read(), blob.bytes.len() as u64 + again);
    assert_eq!(blob.opened(), 2);
}

#[tokio::test(start_paused = true)]
async fn one_that_comes_too_late_reads_for_itself() {
    let blob = Blob::of(4 * PIECE, PIECE);
    let read = sharing(&blob, 2, |mut openers| async move {
        let late = openers.remove(0);
        let quick = whole(openers.remove(0)).await.unwrap();
        (quick, whole(late).await.unwrap())
    });
    let (quick, late) = read.await;
    assert!(quick == blob.bytes && late == blob.bytes);
    assert_eq!(blob.opened(), 2);
}

#[tokio::test]
async fn the_failure_of_the_read_is_heard_by_all() {
    let mut blob = Blob::of(8 * PIECE, PIECE);
    Arc::get_mut(&mut blob).unwrap().fails_at = Some(3 * PIECE);
    let read = sharing(&blob, 3, |openers| join_all(openers.into_iter().map(whole))).await;
    for result in read {
        let error = result.unwrap_err();
        assert!(error.downcast_ref::<Broken>().is_some(), "{error}");
        assert!(error.downcast_ref::<FileError>().is_none());
        assert!(!error.is_retryable());
        assert_eq!(error.to_string(), "the source broke");
    }
    assert_eq!(blob.opened(), 1);
}

#[tokio::test]
async fn a_retry_opens_the_blob_again() {
    let blob = Blob::of(8 * PIECE, PIECE);
    let read = sharing(&blob, 2, |mut openers| async move {
        let retried = openers.remove(0);
        let first = async {
            let mut stream = retried.open(0).await.unwrap();
            let begun = stream.next().await.unwrap().unwrap().len();
            drop(stream);
            let rest = retried.open(begun as u64).await.unwrap();
            (begun, collect(rest, 1 << 30).await.unwrap())
        };
        futures_util::join!(first, whole(openers.remove(0)))
    });
    let ((begun, rest), other) = read.await;
    assert_eq!(rest, blob.bytes[begun..]);
    assert_eq!(other.unwrap(), blob.bytes);
    assert_eq!(blob.opened(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_reader_gets_every_byte(
        size in 0_usize..3_000_000,
        piece in 1_000_usize..2_000_000,
        pauses in prop::collection::vec(0_u64..30, 1..5),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let blob = Blob::of(size, piece);
        let readers = pauses.len();
        let read = sharing(&blob, readers, |openers| {
            join_all(openers.into_iter().zip(pauses).map(|(opener, pause)| async move {
                let mut stream = opener.open(0).await.unwrap();
                let mut bytes = Vec::new();
                while let Some(piece) = stream.next().await {
                    bytes.extend_from_slice(&piece.unwrap());
                    tokio::time::sleep(Duration::from_secs(pause)).await;
                }
                bytes
            }))
        });
        for bytes in runtime.block_on(read) {
            prop_assert!(bytes == blob.bytes);
        }
    }
}
