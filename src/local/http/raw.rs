//! A connection on which bytes that are no answer are sent in the place of one.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The bytes to be sent in place of the next answer. A handle: clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Raw(Arc<Mutex<Option<&'static str>>>);

impl Raw {
    /// Sends these bytes in the place of what is written next, after which the connection breaks.
    pub(super) fn send(&self, bytes: &'static str) {
        *self.lock() = Some(bytes);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<&'static str>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection and what is to be sent on it in the place of an answer.
pub(super) struct RawStream {
    stream: TcpStream,
    raw: Raw,
}

impl RawStream {
    pub(super) fn new(stream: TcpStream, raw: Raw) -> Self {
        Self { stream, raw }
    }
}

impl AsyncRead for RawStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for RawStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        let raw = *self.raw.lock();
        let Some(bytes) = raw else {
            return Pin::new(&mut self.stream).poll_write(context, buffer);
        };
        if bytes.is_empty() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let sent = ready!(Pin::new(&mut self.stream).poll_write(context, bytes.as_bytes()))?;
        self.raw.send(&bytes[sent..]);
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
