//! The time that a request may take: the shorter of what the function and what CloudFormation has,
//! less a reserve for the answer.

use std::time::Duration;

use tokio::time::Instant;

use super::error::Limit;
use super::invocation::Invocation;
use super::request::Request;

/// The longest time that is kept for the answer.
const LONGEST_RESERVE: Duration = Duration::from_secs(20);
/// The part of the time that is kept for the answer.
const RESERVED_PART: u32 = 10;
/// The least time that is worth another invocation.
const WORTHWHILE: Duration = Duration::from_secs(5);

/// The time of one invocation for one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// The time that the work may take.
    pub(super) work: Duration,
    /// When it is stopped.
    pub(super) until: Instant,
    /// What is kept for the answer, or to hand the work on.
    pub(super) reserve: Duration,
    /// Whose time is shorter.
    pub(super) limit: Limit,
    /// What the request has beyond this invocation.
    after: Duration,
}

impl Budget {
    pub(super) fn of(request: &Request, invocation: &Invocation) -> Self {
        let now = Instant::now();
        let function = invocation.deadline.saturating_duration_since(now);
        let age = request.continuation.age();
        let service = request.service_timeout().saturating_sub(age);
        let time = function.min(service);
        let reserve = (time / RESERVED_PART).min(LONGEST_RESERVE);
        let work = time.saturating_sub(reserve);
        Self {
            work,
            until: now + work,
            reserve,
            limit: if function <= service {
                Limit::Function
            } else {
                Limit::Service
            },
            after: service.saturating_sub(function),
        }
    }

    /// Returns true if there is time for another invocation after this one.
    pub(super) fn has_more(&self) -> bool {
        self.after >= WORTHWHILE
    }
}
