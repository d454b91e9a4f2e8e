//! Archives that can only be read from the beginning on: one place in the bytes, which moves ahead
//! to find the files, and again to serve them.
//!
//! A file that lies behind it takes another pass. So none is needed where each file is wanted at
//! the latest when it is found.

use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::Error;
use super::compression::Format;
use super::header::BLOCK;
use super::index::Index;
use super::outer::Cursor;
use super::scan::{Reader, Scan};
use crate::content::{self, ByteStream, RangeRead};

/// A compressed archive on its way past.
pub(super) struct Passes {
    object: Arc<dyn RangeRead>,
    format: Format,
    state: Arc<Mutex<State>>,
}

struct State {
    scan: Scan,
    /// Out of its place while it moves: one that failed or was left is not gone on with.
    cursor: Option<Cursor>,
}

impl Passes {
    pub(super) fn new(object: Arc<dyn RangeRead>, format: Format) -> Self {
        let cursor = Cursor::new(&object, format);
        let state = State {
            scan: Scan::new(cursor.length()),
            cursor: Some(cursor),
        };
        Self {
            object,
            format,
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Its name in errors.
    pub(super) fn name(&self) -> &str {
        self.object.name()
    }

    /// The first block, or all there is.
    pub(super) async fn begin(&self) -> content::Result<Bytes> {
        let mut state = self.state.lock().await;
        let mut cursor = self.cursor(&mut state, 0);
        let begin = cursor.read(0..BLOCK as u64).await?;
        state.cursor = Some(cursor);
        Ok(begin)
    }

    /// Finds one more file or link, or the end; whether more may come.
    pub(super) async fn find_more(&self, index: &RwLock<Index>) -> Result<bool, Error> {
        let mut state = self.state.lock().await;
        let mut scan = state.scan.clone();
        let mut cursor = self.cursor(&mut state, scan.position());
        let found = scan.next(&mut cursor).await?;
        state.cursor = Some(cursor);
        state.scan = scan;
        let mut index = index.write().unwrap_or_else(PoisonError::into_inner);
        index.take(found)
    }

    /// From where on files can be read in this pass.
    pub(super) async fn position(&self) -> u64 {
        let state = self.state.lock().await;
        state.cursor.as_ref().map_or(0, Cursor::position)
    }

    /// The bytes of `range`, in this pass or the next. One is read at a time: the next waits until
    /// the stream before it is dropped.
    pub(super) async fn read(&self, range: Range<u64>) -> content::Result<ByteStream> {
        let mut state = Arc::clone(&self.state).lock_owned().await;
        let mut cursor = self.cursor(&mut state, range.start);
        cursor.skip_to(range.start).await?;
        state.cursor = Some(cursor);
        Ok(stream::try_unfold(Some((state, range.end)), next).boxed())
    }

    /// The cursor, if it is not beyond `position`, or else one for another pass.
    fn cursor(&self, state: &mut State, position: u64) -> Cursor {
        let cursor = state.cursor.take();
        let cursor = cursor.filter(|cursor| cursor.position() <= position);
        cursor.unwrap_or_else(|| Cursor::new(&self.object, self.format))
    }
}

type Place = (OwnedMutexGuard<State>, u64);

/// The next piece before the end. With the last, the next reader may go on.
async fn next(place: Option<Place>) -> content::Result<Option<(Bytes, Option<Place>)>> {
    let Some((mut state, end)) = place else {
        return Ok(None);
    };
    let Some(mut cursor) = state.cursor.take() else {
        return Ok(None);
    };
    let piece = cursor.take(end.saturating_sub(cursor.position())).await?;
    let position = cursor.position();
    state.cursor = Some(cursor);
    if piece.is_empty() && position < end {
        return Err(content::Error::Size {
            expected: end,
            actual: position,
        });
    }
    let place = (position < end).then_some((state, end));
    Ok(Some((piece, place)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::testing::{Counting, drain, gzip, noise, packed};
    use crate::content::Buffer;

    /// Bytes decompressed at once.
    const PIECE: usize = Buffer::BLOCK;

    #[tokio::test]
    async fn what_is_read_in_order_is_read_once() {
        let plain = noise(PIECE + 3 * PIECE / 2);
        for (format, bytes) in packed(&plain) {
            let object = Arc::new(Counting::new(bytes));
            let size = object.size();
            let shared: Arc<dyn RangeRead> = object.clone();
            let passes = Passes::new(shared, format);
            for (range, times) in [
                (0..10, 1),
                (10..PIECE + 5, 1),
                (PIECE + 9..PIECE + 10, 1),
                (2 * PIECE..2 * PIECE + 1, 1),
                (7..PIECE, 2),
                (PIECE..2 * PIECE + 9, 2),
            ] {
                let stream = passes.read(range.start as u64..range.end as u64).await;
                let read = drain(stream.unwrap()).await.unwrap();
                assert!(read == plain[range.clone()], "{format:?} {range:?}");
                assert!(object.bytes() <= times * size, "{format:?} {range:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_stream_that_is_left_does_not_keep_the_next_from_reading() {
        let plain = noise(3 * PIECE);
        let object: Arc<dyn RangeRead> = Arc::new(Counting::new(gzip(&plain)));
        let passes = Passes::new(object, Format::Gzip);
        let mut left = passes.read(0..plain.len() as u64).await.unwrap();
        left.next().await.unwrap().unwrap();
        drop(left);
        let again = drain(passes.read(100..200).await.unwrap()).await;
        assert_eq!(again.unwrap(), plain[100..200]);
    }
}
