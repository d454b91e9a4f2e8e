//! Bringing the answer to CloudFormation: a PUT to the presigned URL of the request.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, StatusCode, Url};
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::warn;

use super::text;
use crate::redact::RedactedUrl;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one attempt may take before another is made, at the most.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(8);
/// The part of the time left that one attempt may take: where there is little, there is still
/// time for another.
const ATTEMPT_PART: u32 = 2;
/// How long one attempt may take even if there is less time.
const SHORTEST_ATTEMPT: Duration = Duration::from_millis(500);
/// The first pause between attempts; each next one is up to twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// What the first attempt gets even if the deadline has passed: late is better than never.
const LAST_RESORT: Duration = Duration::from_secs(1);

/// Sends answers.
#[derive(Clone, Debug)]
pub struct Delivery {
    client: Client,
    plain_loopback: bool,
}

/// An answer that could not be delivered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeliveryError {
    /// The URL would carry the answer in the clear.
    #[error("the ResponseURL {url} is not https: the answer was not sent")]
    NotSecure {
        /// Where the answer should go.
        url: RedactedUrl,
    },
    /// The server said no, and will again.
    #[error("the ResponseURL {url} answered {status}: it expires and takes one answer only")]
    Refused {
        /// Where the answer should go.
        url: RedactedUrl,
        /// What the server said.
        status: StatusCode,
    },
    /// No attempt succeeded in time.
    #[error(
        "the ResponseURL {url} could not be reached in {attempts} attempts: a function in a VPC \
         needs a NAT gateway or an S3 endpoint that lets CloudFormation's buckets pass"
    )]
    OutOfTime {
        /// Where the answer should go.
        url: RedactedUrl,
        /// How often it was tried.
        attempts: u32,
        /// What the last attempt failed with.
        #[source]
        last: AttemptError,
    },
}

/// Why one attempt failed that may succeed when it is made again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttemptError {
    /// No connection, or one that broke.
    #[error("the request failed")]
    Request(#[source] reqwest::Error),
    /// A status that passes.
    #[error("the server answered {0}")]
    Status(StatusCode),
    /// No answer in time.
    #[error("no answer in time")]
    TimedOut,
}

enum Attempt {
    Done,
    Again(AttemptError),
    Never(StatusCode),
}

impl Delivery {
    /// A client for answers. `plain_loopback`: answers may go to loopback without TLS, as tests
    /// and local runs need it.
    pub fn new(plain_loopback: bool) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            // S3 speaks HTTP/1.1 only, and a presigned URL is for one host.
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .build()?;
        Ok(Self {
            client,
            plain_loopback,
        })
    }

    /// Puts `body` to `url`, again and again until `deadline`.
    pub async fn put(&self, url: &Url, body: &str, deadline: Instant) -> Result<(), DeliveryError> {
        if !self.may_send_to(url) {
            return Err(DeliveryError::NotSecure {
                url: RedactedUrl::new(url),
            });
        }
        let deadline = deadline.max(Instant::now() + LAST_RESORT);
        let mut pause = FIRST_PAUSE;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let failed = match self.attempt(url, body, deadline).await {
                Attempt::Done => return Ok(()),
                Attempt::Never(status) => {
                    let url = RedactedUrl::new(url);
                    return Err(DeliveryError::Refused { url, status });
                }
                Attempt::Again(error) => error,
            };
            let next = Instant::now() + pause.mul_f64(0.5 + fastrand::f64() / 2.0);
            if next >= deadline {
                return Err(DeliveryError::OutOfTime {
                    url: RedactedUrl::new(url),
                    attempts,
                    last: failed,
                });
            }
            warn!(attempts, error = %text::chain(&failed), "the answer is not delivered yet");
            sleep_until(next).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn may_send_to(&self, url: &Url) -> bool {
        match url.scheme() {
            "https" => true,
            "http" => self.plain_loopback && is_loopback(url.host_str().unwrap_or_default()),
            _ => false,
        }
    }

    async fn attempt(&self, url: &Url, body: &str, deadline: Instant) -> Attempt {
        let now = Instant::now();
        let part = deadline.saturating_duration_since(now) / ATTEMPT_PART;
        let until = deadline.min(now + part.clamp(SHORTEST_ATTEMPT, ATTEMPT_TIMEOUT));
        // The URL is signed for a request without a content type.
        let request = self
            .client
            .put(url.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static(""))
            .header(CONTENT_LENGTH, body.len())
            .body(body.to_owned());
        match timeout_at(until, request.send()).await {
            Err(_) => Attempt::Again(AttemptError::TimedOut),
            Ok(Err(error)) => Attempt::Again(AttemptError::Request(error.without_url())),
            Ok(Ok(response)) => match response.status() {
                status if status.is_success() => Attempt::Done,
                status if may_pass(status) => Attempt::Again(AttemptError::Status(status)),
                status => Attempt::Never(status),
            },
        }
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let address: Result<IpAddr, _> = address.parse();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn may_pass(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
        )
}
