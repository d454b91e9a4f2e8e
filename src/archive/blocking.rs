//! Work that takes long for an async thread.

/// Runs `work` on a thread that may be blocked. A panic in it goes on in the caller.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down, and nothing that waits will ever go on.
            Err(_) => std::future::pending().await,
        },
    }
}
