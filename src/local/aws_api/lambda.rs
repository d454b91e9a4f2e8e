//! Lambda
//! ([`Invoke`](https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html)).

use bytes::Bytes;
use hyper::StatusCode;

use super::call::{Refusal, unknown_operation};
use crate::local::http::{Response, decode, empty, typed};

/// One invocation of a Lambda function, which ran nothing.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The function, as its name or ARN was given.
    pub function: String,
    /// True if nobody waits for its answer (`Event`).
    pub asynchronous: bool,
    /// The event.
    pub payload: Bytes,
}

/// The function that a path names.
pub(super) fn function(path: &str) -> Result<String, Refusal> {
    let function = path.strip_prefix("/lambda/2015-03-31/functions/");
    let function = function.and_then(|rest| rest.strip_suffix("/invocations"));
    let function = function.and_then(decode);
    function.ok_or_else(|| unknown_operation(path))
}

pub(super) fn accepted(asynchronous: bool) -> Response {
    if asynchronous {
        return empty(StatusCode::ACCEPTED);
    }
    typed(StatusCode::OK, "application/json", "null")
}

pub(super) fn too_large() -> Refusal {
    Refusal::new("RequestTooLargeException", "the event is too long")
}
