//! State machines, as the resources need them: runs are started and stopped, and objects kept for
//! them in a bucket.

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::content::BoxError;

/// The result of starting a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It runs: from now on, or because the same was started before.
    Runs,
    /// One of the same name has ended before.
    Ended,
}

/// Starts and stops runs of state machines.
pub trait Executions: Send + Sync {
    /// Starts a run of `machine`, an ARN, under a name of which there is only one.
    fn start<'a>(
        &'a self,
        machine: &'a str,
        name: &'a str,
        input: String,
    ) -> BoxFuture<'a, Result<Begun, BoxError>>;

    /// Stops the runs of `machine` whose names begin with `prefix`, but `spared`, for a reason, and
    /// returns their names. A machine that is not there has none.
    fn stop<'a>(
        &'a self,
        machine: &'a str,
        prefix: &'a str,
        spared: &'a str,
        cause: &'a str,
    ) -> BoxFuture<'a, Result<Vec<String>, BoxError>>;

    /// Writes an object of a bucket.
    fn store<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        content: Bytes,
    ) -> BoxFuture<'a, Result<(), BoxError>>;

    /// Removes an object of a bucket, if it is there.
    fn remove<'a>(&'a self, bucket: &'a str, key: &'a str) -> BoxFuture<'a, Result<(), BoxError>>;
}
