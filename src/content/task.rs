//! Work beside that of whoever waits for it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::FutureExt;
use tokio::task::JoinHandle;
use tracing::{Instrument, Span};

use super::waits::carried;

/// Work that goes on whether or not it is polled, and is given up when this is dropped. A panic
/// in it goes on in whoever waits, and what it logs is of the same request.
pub(crate) struct Task<T>(JoinHandle<T>);

impl<T: Send + 'static> Task<T> {
    /// Starts `work` on the async threads.
    pub(crate) fn spawn(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self(tokio::spawn(carried(work.in_current_span())))
    }

    /// Starts `work`, which takes long for an async thread, on one that may be blocked. What has
    /// begun comes to its end.
    pub(crate) fn blocking(work: impl FnOnce() -> T + Send + 'static) -> Self {
        let span = Span::current();
        Self(tokio::task::spawn_blocking(move || span.in_scope(work)))
    }
}

impl<T> Future for Task<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        match ready!(self.0.poll_unpin(context)) {
            Ok(done) => Poll::Ready(done),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is shutting down. Who still waits does so on a thread of its own,
                // which the runtime waits for.
                Err(cancelled) => std::panic::resume_unwind(Box::new(cancelled)),
            },
        }
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_of_the_request_of_who_starts_it() {
        let _logs = tracing::subscriber::set_default(tracing_subscriber::registry());
        let request = tracing::info_span!("request");
        let work = async { Task::spawn(async { Span::current().id() }).await };
        let seen = work.instrument(request.clone()).await;
        assert!(seen.is_some());
        assert_eq!(seen, request.id());
    }
}
