//! One request, one answer: no authorization, no redirects, no second try.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use reqwest::header::{
    CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, RETRY_AFTER,
};
use reqwest::{Method, StatusCode, Url};

use super::Error;
use super::answer::parse_errors;
use super::config::Patience;
use crate::content::{self, ByteStream, Wait, waiting};
use crate::network::parse_retry_after;
use crate::redact::{RedactedUrl, remember_redirect};

/// The most that is read of a failure's body.
const MAX_ERROR_BODY: u64 = 64 << 10;

/// The longest header that is read. Keys in addresses are kept in many forms, to be cut out of texts.
const MAX_HEADER: usize = 16 << 10;

/// The HTTP client with its bounds.
#[derive(Debug)]
pub(super) struct Wire {
    http: reqwest::Client,
    patience: Patience,
}

impl Wire {
    pub(super) fn new(http: reqwest::Client, patience: Patience) -> Self {
        Self { http, patience }
    }

    pub(super) fn patience(&self) -> &Patience {
        &self.patience
    }

    /// The answer to a request without a large body.
    pub(super) async fn answer(&self, request: reqwest::Request) -> Result<Response, Error> {
        self.answer_within(request, self.patience.answer).await
    }

    pub(super) async fn answer_within(
        &self,
        request: reqwest::Request,
        limit: Duration,
    ) -> Result<Response, Error> {
        let method = request.method().clone();
        let url = RedactedUrl::new(request.url());
        let _wait = Wait::begin(|| format!("the answer to {method} {url}"));
        match tokio::time::timeout(limit, self.send(request)).await {
            Ok(answered) => answered,
            Err(_) => Err(Error::Timeout {
                method,
                url,
                after: limit,
            }),
        }
    }

    /// The answer, however long it takes.
    pub(super) async fn send(&self, mut request: reqwest::Request) -> Result<Response, Error> {
        announce_no_body(&mut request);
        let method = request.method().clone();
        let url = RedactedUrl::new(request.url());
        match self.http.execute(request).await {
            Ok(inner) => Ok(Response {
                method,
                inner,
                patience: self.patience.answer,
            }),
            Err(error) => Err(Error::Transport {
                method,
                url,
                source: error.without_url(),
            }),
        }
    }
}

/// Says of a request that could have a body that it has none: some front ends refuse it with 411
/// otherwise ([RFC 9110, 8.6](https://www.rfc-editor.org/rfc/rfc9110#section-8.6)).
fn announce_no_body(request: &mut reqwest::Request) {
    let could_have = matches!(
        *request.method(),
        Method::POST | Method::PUT | Method::PATCH
    );
    if could_have && request.body().is_none() {
        let headers = request.headers_mut();
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
}

fn text(header: &HeaderValue) -> Option<&str> {
    let text = header.to_str().ok()?;
    (text.len() <= MAX_HEADER).then_some(text)
}

/// An answer whose body has not been read.
#[derive(Debug)]
pub(super) struct Response {
    method: Method,
    inner: reqwest::Response,
    patience: Duration,
}

impl Response {
    pub(super) fn status(&self) -> StatusCode {
        self.inner.status()
    }

    pub(super) fn url(&self) -> &Url {
        self.inner.url()
    }

    pub(super) fn shown_url(&self) -> RedactedUrl {
        RedactedUrl::new(self.inner.url())
    }

    /// The first header of this name, if it is text of bounded length.
    pub(super) fn header(&self, name: &HeaderName) -> Option<&str> {
        text(self.inner.headers().get(name)?)
    }

    /// All headers of this name that are text of bounded length.
    pub(super) fn headers(&self, name: &HeaderName) -> impl Iterator<Item = &str> {
        let all = self.inner.headers().get_all(name).into_iter();
        all.filter_map(text)
    }

    /// The place where the answer points, relative to what was asked.
    pub(super) fn location(&self) -> Result<Url, Error> {
        let text = self.header(&LOCATION).ok_or_else(|| {
            let is_there = self.inner.headers().contains_key(LOCATION);
            self.problem(if is_there {
                "with a Location that is too long"
            } else {
                "without a Location"
            })
        })?;
        let target = self.url().join(text);
        target
            .inspect(remember_redirect)
            .map_err(|_| self.problem("with a malformed Location"))
    }

    /// The length of the whole body as the answer announces it.
    pub(super) fn content_length(&self) -> Option<u64> {
        self.header(&CONTENT_LENGTH)?.parse().ok()
    }

    /// Returns true if this is a page for people, as proxies and sign-ins answer: no registry does,
    /// but for a blob that is one.
    pub(super) fn is_page(&self) -> bool {
        let content_type = self.header(&CONTENT_TYPE).unwrap_or_default();
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        media_type.eq_ignore_ascii_case("text/html")
    }

    /// An error about this answer.
    pub(super) fn problem(&self, problem: &'static str) -> Error {
        Error::Protocol {
            method: self.method.clone(),
            url: self.shown_url(),
            problem,
        }
    }

    /// This answer, or the error that it is.
    pub(super) async fn success(self) -> Result<Self, Error> {
        if self.status().is_success() {
            return Ok(self);
        }
        Err(self.into_error().await)
    }

    /// The whole body of at most `limit` bytes.
    pub(super) async fn bytes(self, limit: u64) -> Result<Bytes, Error> {
        let (method, url, patience) = (self.method.clone(), self.shown_url(), self.patience);
        let too_large = Error::TooLarge {
            url: url.clone(),
            limit,
        };
        if self.content_length().is_some_and(|length| length > limit) {
            return Err(too_large);
        }
        let _wait = Wait::begin(|| format!("the body of {method} {url}"));
        let timeout = Error::Timeout {
            method,
            url,
            after: patience,
        };
        let mut whole = bytes::BytesMut::new();
        let mut body = self.pieces();
        let read = async {
            while let Some(piece) = body.try_next().await? {
                if (whole.len() + piece.len()) as u64 > limit {
                    return Err(too_large);
                }
                whole.extend_from_slice(&piece);
            }
            Ok(())
        };
        tokio::time::timeout(patience, read)
            .await
            .unwrap_or(Err(timeout))?;
        Ok(whole.freeze())
    }

    /// The body as it comes, of any length.
    pub(super) fn stream(self) -> ByteStream {
        let (method, url) = (self.method.clone(), self.shown_url());
        let stream = self.pieces().map_err(content::Error::from).boxed();
        waiting(stream, || format!("the body of {method} {url}"))
    }

    fn pieces(self) -> impl futures_util::Stream<Item = Result<Bytes, Error>> + Send + Unpin {
        let (method, url) = (self.method.clone(), self.shown_url());
        self.inner
            .bytes_stream()
            .map_err(move |error| Error::Transport {
                method: method.clone(),
                url: url.clone(),
                source: error.without_url(),
            })
            .boxed()
    }

    /// The error that this answer is.
    pub(super) async fn into_error(self) -> Error {
        let method = self.method.clone();
        let url = self.shown_url();
        let status = self.status();
        let retry_after = self.header(&RETRY_AFTER).and_then(parse_retry_after);
        let body = self.bytes(MAX_ERROR_BODY).await.unwrap_or_default();
        Error::Response {
            method,
            url,
            status,
            errors: parse_errors(&body),
            retry_after,
        }
    }
}
