//! Bringing the answer to CloudFormation: a PUT to the presigned URL of the request.
//!
//! The URL is an object's in S3. The PUT says `If-None-Match: *`, by which S3 takes the first answer
//! and refuses every later one
//! ([conditional writes](https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html)):
//! an event that is delivered twice, or a process that died behind its answer, never replaces an
//! answer by another. What does not know the condition gets the answer without it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, IF_NONE_MATCH};
use reqwest::{Client, Response, StatusCode, Url};
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::warn;

use super::text;
use crate::network::{Reach, Resolver, SharedResolver, Trouble, http_client};
use crate::redact::RedactedUrl;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The time that one attempt may take before another is made, at the most.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(8);
/// The part of the time left that one attempt may take: where there is little, there is still
/// time for another.
const ATTEMPT_PART: u32 = 2;
/// The time that one attempt may take even if there is less time.
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
        /// The place where the answer should go.
        url: RedactedUrl,
    },
    /// The URL leads to an address that no answer of a stack goes to.
    #[error("the ResponseURL {url} is a loopback or link-local address: the answer was not sent")]
    Local {
        /// The place where the answer should go.
        url: RedactedUrl,
    },
    /// The server said no, and will again.
    #[error("the ResponseURL {url} answered {status}: it expires and takes one answer only")]
    Refused {
        /// The place where the answer should go.
        url: RedactedUrl,
        /// What the server said.
        status: StatusCode,
    },
    /// No attempt succeeded in time.
    #[error(
        "the ResponseURL {url} did not take the answer in {attempts} attempt{}{}",
        if *attempts == 1 { "" } else { "s" },
        last.advice()
    )]
    OutOfTime {
        /// The place where the answer should go.
        url: RedactedUrl,
        /// The number of times that it was tried.
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
    #[error("the request failed on the way: {}", Trouble::of(.0))]
    Request(#[source] reqwest::Error),
    /// A status that passes.
    #[error("the server answered {0}")]
    Status(StatusCode),
    /// No answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// A page: S3 answers a PUT with an empty body.
    #[error("a page was answered ({content_type}), as by a proxy or a sign-in page before S3")]
    Page {
        /// The media type of the page.
        content_type: String,
    },
}

impl AttemptError {
    /// What else may be the matter where there was no answer at all.
    fn advice(&self) -> &'static str {
        let no_route = match self {
            Self::Request(error) => Trouble::of(error).may_be_no_route(),
            Self::TimedOut => true,
            Self::Status(_) | Self::Page { .. } => false,
        };
        if no_route {
            ": a function in a VPC needs a NAT gateway or an S3 endpoint that lets \
             CloudFormation's buckets pass"
        } else {
            ""
        }
    }

    /// Returns true if another attempt can end otherwise.
    fn may_pass(&self) -> bool {
        match self {
            Self::Request(error) => Trouble::of(error).may_pass(),
            _ => true,
        }
    }
}

/// Which answer CloudFormation has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// This one.
    Now,
    /// One that was delivered before.
    Before,
}

/// True if an answer may be put where another is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Write {
    /// Only where there is none.
    First,
    /// Anyway: the server does not know the condition.
    Any,
}

enum Attempt {
    Done(Delivered),
    Again(AttemptError),
    Refused(StatusCode),
}

impl Delivery {
    /// A client for answers. `plain_loopback`: answers may go to loopback without TLS, as tests
    /// and local runs need it.
    pub fn new(plain_loopback: bool) -> Result<Self, reqwest::Error> {
        let resolver = Arc::new(Resolver {
            allow_loopback: plain_loopback,
            trusted: BTreeSet::new(),
        });
        let client = http_client()
            // A presigned URL is for one host.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .dns_resolver(SharedResolver(resolver))
            .build()?;
        Ok(Self {
            client,
            plain_loopback,
        })
    }

    /// Puts `body` to `url`, again and again until `deadline`, unless there is an answer already.
    pub async fn put(
        &self,
        url: &Url,
        body: &str,
        deadline: Instant,
    ) -> Result<Delivered, DeliveryError> {
        self.permit(url)?;
        let deadline = deadline.max(Instant::now() + LAST_RESORT);
        let mut pause = FIRST_PAUSE;
        let mut attempts = 0;
        let mut write = Write::First;
        let mut before = None;
        loop {
            attempts += 1;
            let is_brief = deadline.saturating_duration_since(Instant::now()) < SHORTEST_ATTEMPT;
            let failed = match self.attempt(url, body, write, deadline).await {
                Attempt::Done(delivered) => return Ok(delivered),
                Attempt::Refused(_) if write == Write::First => {
                    write = Write::Any;
                    continue;
                }
                Attempt::Refused(status) => {
                    let url = RedactedUrl::new(url);
                    return Err(DeliveryError::Refused { url, status });
                }
                // What the end of the time has cut off tells less than what was before it.
                Attempt::Again(AttemptError::TimedOut) if is_brief => {
                    before.take().unwrap_or(AttemptError::TimedOut)
                }
                Attempt::Again(error) => error,
            };
            let next = Instant::now() + pause.mul_f64(0.5 + fastrand::f64() / 2.0);
            if next >= deadline || !failed.may_pass() {
                return Err(DeliveryError::OutOfTime {
                    url: RedactedUrl::new(url),
                    attempts,
                    last: failed,
                });
            }
            warn!(attempts, error = %text::chain(&failed), "the answer is not delivered yet");
            before = Some(failed);
            sleep_until(next).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Refuses addresses that an answer must not be sent to.
    fn permit(&self, url: &Url) -> Result<(), DeliveryError> {
        let reach = Reach::of_url(url);
        if reach == Reach::LinkLocal || reach == Reach::Loopback && !self.plain_loopback {
            return Err(DeliveryError::Local {
                url: RedactedUrl::new(url),
            });
        }
        let is_plain_loopback = url.scheme() == "http" && reach == Reach::Loopback;
        if url.scheme() != "https" && !is_plain_loopback {
            return Err(DeliveryError::NotSecure {
                url: RedactedUrl::new(url),
            });
        }
        Ok(())
    }

    async fn attempt(&self, url: &Url, body: &str, write: Write, deadline: Instant) -> Attempt {
        let now = Instant::now();
        let part = deadline.saturating_duration_since(now) / ATTEMPT_PART;
        let until = deadline.min(now + part.clamp(SHORTEST_ATTEMPT, ATTEMPT_TIMEOUT));
        // The URL is signed for a request without a content type.
        let mut request = self
            .client
            .put(url.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static(""))
            .header(CONTENT_LENGTH, body.len())
            .body(body.to_owned());
        if write == Write::First {
            request = request.header(IF_NONE_MATCH, HeaderValue::from_static("*"));
        }
        match timeout_at(until, request.send()).await {
            Err(_) => Attempt::Again(AttemptError::TimedOut),
            Ok(Err(error)) => Attempt::Again(AttemptError::Request(error.without_url())),
            Ok(Ok(response)) => Attempt::of(&response, write),
        }
    }
}

impl Attempt {
    /// What came of a PUT.
    fn of(response: &Response, write: Write) -> Self {
        match (response.status(), page(response)) {
            (_, Some(content_type)) => Self::Again(AttemptError::Page { content_type }),
            (status, None) if status.is_success() => Self::Done(Delivered::Now),
            (StatusCode::PRECONDITION_FAILED, None) if write == Write::First => {
                Self::Done(Delivered::Before)
            }
            (status, None) if may_pass(status) => Self::Again(AttemptError::Status(status)),
            (status, None) => Self::Refused(status),
        }
    }
}

/// The media type of an HTML page, which S3 never answers with.
fn page(response: &Response) -> Option<String> {
    let value = response.headers().get(CONTENT_TYPE)?.to_str().ok()?;
    let media_type = value.split(';').next().unwrap_or_default().trim();
    let is_page = ["text/html", "application/xhtml+xml"]
        .iter()
        .any(|html| media_type.eq_ignore_ascii_case(html));
    is_page.then(|| media_type.to_owned())
}

fn may_pass(status: StatusCode) -> bool {
    (status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED)
        || matches!(
            status,
            // S3's, while another write of the same object is under way.
            StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS
        )
}
