//! Making a request again.

use std::time::Duration;

use tokio::time::Instant;

use super::Error;
use crate::content::Tally;

/// How often, and for how long, a failed request is made again. Waits grow exponentially and are
/// drawn at random between nothing and their bound; a `Retry-After` is waited for.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// The most times that one request is made.
    pub attempts: u32,
    /// The bound of the first wait; each next one's is twice as long.
    pub first_wait: Duration,
    /// The longest single wait. A registry that asks for a longer one is not asked again.
    pub longest_wait: Duration,
    /// The longest time that a request's attempts and waits take together before another one
    /// starts. Of an upload only the waits count: it flows as long as it needs.
    pub budget: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 6,
            first_wait: Duration::from_millis(400),
            longest_wait: Duration::from_secs(30),
            budget: Duration::from_mins(2),
        }
    }
}

impl RetryPolicy {
    /// The attempts of a request, none of them made yet, which are counted in `tally`.
    pub(super) fn start<'a>(&'a self, tally: &'a Tally) -> Retries<'a> {
        Retries {
            policy: self,
            tally,
            started: Instant::now(),
            spent: Duration::ZERO,
            failures: 0,
            in_a_row: 0,
        }
    }
}

/// The attempts of one request so far.
pub(super) struct Retries<'a> {
    policy: &'a RetryPolicy,
    tally: &'a Tally,
    started: Instant,
    /// The part of the budget that is used up.
    spent: Duration,
    failures: u32,
    in_a_row: u32,
}

impl Retries<'_> {
    /// Makes a request until it succeeds, fails for good, or the budget is spent.
    pub(super) async fn run<T, F>(mut self, attempt: impl Fn() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        loop {
            let began = Instant::now();
            match attempt().await {
                Ok(done) => return Ok(done),
                Err(error) => {
                    self.spent += began.elapsed();
                    self.pause(error).await?;
                }
            }
        }
    }

    /// Waits until the request may be made again, or says that it may not.
    pub(super) async fn pause(&mut self, error: Error) -> Result<(), Error> {
        if error.is_retryable() {
            return self.pause_anyway(error).await;
        }
        self.note(&error);
        Err(error)
    }

    /// As [`Retries::pause`], for a request that is made again in another way.
    pub(super) async fn pause_anyway(&mut self, error: Error) -> Result<(), Error> {
        self.note(&error);
        self.failures += 1;
        self.in_a_row += 1;
        let Some(wait) = self.wait(error.retry_after()) else {
            return Err(self.exhausted(error));
        };
        tracing::debug!(
            error = &error as &dyn std::error::Error,
            attempt = self.failures,
            wait_ms = wait.as_millis(),
            "trying again"
        );
        self.tally.retried();
        self.spent += wait;
        tokio::time::sleep(wait).await;
        Ok(())
    }

    fn note(&self, error: &Error) {
        if error.is_throttle() {
            self.tally.throttled();
        }
    }

    /// The request got further than before: the budget starts anew.
    pub(super) fn progressed(&mut self) {
        self.in_a_row = 0;
        self.spent = Duration::ZERO;
    }

    fn wait(&self, retry_after: Option<Duration>) -> Option<Duration> {
        if self.in_a_row >= self.policy.attempts {
            return None;
        }
        let doubled = 2_u32.saturating_pow(self.in_a_row - 1);
        let bound = self.policy.first_wait.saturating_mul(doubled);
        let bound = bound.min(self.policy.longest_wait);
        let wait = match retry_after {
            Some(asked) if asked > self.policy.longest_wait => return None,
            Some(asked) => asked + self.policy.first_wait.mul_f64(fastrand::f64()),
            None => bound.mul_f64(fastrand::f64()),
        };
        (self.spent + wait <= self.policy.budget).then_some(wait)
    }

    fn exhausted(&self, error: Error) -> Error {
        Error::Exhausted {
            attempts: self.failures,
            elapsed: self.started.elapsed(),
            source: Box::new(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::RedactedUrl;
    use reqwest::{Method, StatusCode};
    use std::cell::Cell;

    fn busy(retry_after: Option<Duration>) -> Error {
        Error::Response {
            method: Method::GET,
            url: RedactedUrl::new(&"https://host/v2/".parse().unwrap()),
            status: StatusCode::TOO_MANY_REQUESTS,
            errors: Vec::new(),
            retry_after,
        }
    }

    async fn attempts_at(retry_after: Option<Duration>) -> (u32, Duration, Error) {
        let made = Cell::new(0);
        let started = Instant::now();
        let (policy, tally) = (RetryPolicy::default(), Tally::default());
        let result: Result<(), _> = policy
            .start(&tally)
            .run(|| async {
                made.set(made.get() + 1);
                Err(busy(retry_after))
            })
            .await;
        assert_eq!(tally.retries(), u64::from(made.get() - 1));
        assert_eq!(tally.throttles(), u64::from(made.get()));
        (made.get(), started.elapsed(), result.unwrap_err())
    }

    #[tokio::test(start_paused = true)]
    async fn ends_and_says_how_often_it_tried() {
        let (made, waited, error) = attempts_at(None).await;
        assert_eq!(made, RetryPolicy::default().attempts);
        assert!(waited <= RetryPolicy::default().budget);
        assert!(!error.is_retryable(), "{error}");
        assert_eq!(error.status(), Some(StatusCode::TOO_MANY_REQUESTS));
        assert!(error.to_string().contains("after 6 attempts"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn waits_as_long_as_it_is_asked() {
        let (made, waited, _) = attempts_at(Some(Duration::from_secs(20))).await;
        assert_eq!(made, 6);
        assert!(waited >= Duration::from_secs(100), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn does_not_wait_for_hours() {
        let (made, waited, error) = attempts_at(Some(Duration::from_hours(1))).await;
        assert_eq!((made, waited), (1, Duration::ZERO));
        assert!(!error.is_retryable());
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("try again in 3600 seconds"), "{cause}");
    }

    #[tokio::test(start_paused = true)]
    async fn slow_attempts_use_the_budget_up() {
        let made = Cell::new(0);
        let (policy, tally) = (RetryPolicy::default(), Tally::default());
        let result: Result<(), _> = policy
            .start(&tally)
            .run(|| async {
                made.set(made.get() + 1);
                tokio::time::sleep(Duration::from_secs(50)).await;
                Err(busy(None))
            })
            .await;
        assert!(result.is_err());
        assert_eq!(made.get(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn what_flowed_for_long_may_still_be_tried_again() {
        let policy = RetryPolicy::default();
        let tally = Tally::default();
        let mut retries = policy.start(&tally);
        tokio::time::sleep(10 * policy.budget).await;
        assert!(retries.pause(busy(None)).await.is_ok());
    }
}
