//! Bodies on their way in and out, counted.

use std::io;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, future, stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use tokio::time::sleep;

/// The body of an answer. An error in it drops the connection.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// The rest of a request's body did not come: the client went away, or a fault cut it off.
#[derive(Debug, thiserror::Error)]
#[error("the request's body was cut off")]
pub(crate) struct BodyLost;

/// The body of a request.
pub(crate) struct RequestBody {
    incoming: Incoming,
    counter: Arc<AtomicU64>,
    /// Bytes after which the connection is to break.
    cut: Option<u64>,
    pace: Option<NonZeroU64>,
}

impl RequestBody {
    /// Wraps what hyper received; `counter` counts the bytes read.
    pub(super) fn new(incoming: Incoming, counter: Arc<AtomicU64>) -> Self {
        Self {
            incoming,
            counter,
            cut: None,
            pace: None,
        }
    }

    /// Breaks the body off after so many bytes.
    pub(super) fn cut_after(&mut self, bytes: u64) {
        self.cut = Some(bytes);
    }

    /// Takes so many bytes a second from now on.
    pub(super) fn set_pace(&mut self, bytes_per_second: NonZeroU64) {
        self.pace = Some(bytes_per_second);
    }

    /// The next bytes, or `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, BodyLost> {
        loop {
            let frame = match self.incoming.frame().await {
                None => return Ok(None),
                Some(Err(_)) => return Err(BodyLost),
                Some(Ok(frame)) => frame,
            };
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if let Some(pace) = self.pace {
                sleep(time_for(data.len(), pace)).await;
            }
            let before = self.counter.fetch_add(data.len() as u64, Ordering::Relaxed);
            match self.cut {
                Some(cut) if before + data.len() as u64 > cut => {
                    self.cut = Some(0);
                    let kept = usize::try_from(cut - before.min(cut)).unwrap_or(usize::MAX);
                    if kept == 0 {
                        return Err(BodyLost);
                    }
                    return Ok(Some(data.slice(..kept)));
                }
                _ => return Ok(Some(data)),
            }
        }
    }

    /// All of the body, or `None` where it is longer than `limit`.
    pub(crate) async fn collect(&mut self, limit: usize) -> Result<Option<Bytes>, BodyLost> {
        let mut whole = BytesMut::new();
        while let Some(piece) = self.next().await? {
            if whole.len() + piece.len() > limit {
                return Ok(None);
            }
            whole.extend_from_slice(&piece);
        }
        Ok(Some(whole.freeze()))
    }

    /// Reads what the service left unread, so that the client, still sending, gets to its
    /// answer. Gives up after `limit` bytes.
    pub(super) async fn drain(&mut self, limit: u64) {
        let mut seen = 0;
        while let Ok(Some(piece)) = self.next().await {
            seen += piece.len() as u64;
            if seen > limit {
                return;
            }
        }
    }
}

/// Counts what is sent of a body.
pub(super) fn counted(body: Body, counter: Arc<AtomicU64>) -> Body {
    let body = body.map_frame(move |frame| {
        let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
        counter.fetch_add(bytes, Ordering::Relaxed);
        frame
    });
    body.boxed_unsync()
}

/// The way in which a body ends before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// As if that were all.
    Clean,
    /// The connection is dropped.
    Dropped,
    /// Nothing more comes.
    Hung,
}

/// Ends a body after `bytes`.
pub(super) fn ended_after(body: Body, bytes: u64, end: End) -> Body {
    let start = (body.into_data_stream(), bytes);
    let pieces = stream::unfold(Some(start), move |state| async move {
        let (mut body, left) = state?;
        if left == 0 {
            match end {
                End::Clean => return None,
                End::Hung => std::future::pending().await,
                // What came before is sent while this waits.
                End::Dropped => tokio::task::yield_now().await,
            }
            return Some((Err(io::ErrorKind::ConnectionAborted.into()), None));
        }
        match body.next().await? {
            Ok(piece) => {
                let kept = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                let next = (body, left - kept as u64);
                Some((Ok(Frame::data(piece.slice(..kept))), Some(next)))
            }
            Err(error) => Some((Err(error), None)),
        }
    });
    BodyExt::boxed_unsync(StreamBody::new(pieces.boxed()))
}

/// Sends so many bytes a second, a tenth of them at once.
pub(super) fn paced(body: Body, bytes_per_second: NonZeroU64) -> Body {
    let most = usize::try_from(bytes_per_second.get() / 10).unwrap_or(usize::MAX);
    let pieces = body.into_data_stream().flat_map(move |piece| match piece {
        Ok(piece) => stream::iter(split(piece, most.max(1)))
            .map(Ok)
            .left_stream(),
        Err(error) => stream::iter([Err(error)]).right_stream(),
    });
    let pieces = pieces.then(move |piece| async move {
        let length = piece.as_ref().map_or(0, Bytes::len);
        sleep(time_for(length, bytes_per_second)).await;
        piece.map(Frame::data)
    });
    BodyExt::boxed_unsync(StreamBody::new(pieces.boxed()))
}

fn split(mut piece: Bytes, most: usize) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || {
        let length = most.min(piece.len());
        (length > 0).then(|| piece.split_to(length))
    })
}

fn time_for(bytes: usize, bytes_per_second: NonZeroU64) -> Duration {
    Duration::from_nanos(bytes as u64 * 1_000_000_000 / bytes_per_second)
}

/// Flips the bits of the byte at `offset`.
pub(super) fn corrupted(body: Body, offset: u64) -> Body {
    let pieces = body.into_data_stream().scan(0_u64, move |seen, piece| {
        let start = *seen;
        let piece = piece.map(|piece| {
            *seen += piece.len() as u64;
            let inside = offset
                .checked_sub(start)
                .and_then(|at| usize::try_from(at).ok());
            let mut bytes = BytesMut::from(piece);
            if let Some(byte) = inside.and_then(|at| bytes.get_mut(at)) {
                *byte = !*byte;
            }
            Frame::data(bytes.freeze())
        });
        future::ready(Some(piece))
    });
    BodyExt::boxed_unsync(StreamBody::new(pieces.boxed()))
}
