//! One object, as it was when it was opened.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::{BoxFuture, ready};
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use reqwest::header::CONTENT_RANGE;
use reqwest::{Response, StatusCode, Url};

use super::client::Client;
use super::pin::Pin;
use super::{Config, Error};
use crate::content::{self, ByteStream, RangeRead, resuming};
use crate::network::ContentRange;
use crate::redact::RedactedUrl;

/// Bytes that the first request brings along. They serve the reads that begin there.
const HEAD: u64 = 256 << 10;
/// The longest wait for more of them.
const HEAD_STALL: Duration = Duration::from_secs(10);

/// An object of a web server as it was when it was opened: reads fail when it has changed since.
#[derive(Clone)]
pub struct Object(Arc<Inner>);

struct Inner {
    client: Client,
    name: String,
    /// An empty object has none.
    pin: Option<Pin>,
    size: u64,
    head: Bytes,
}

impl Object {
    /// Opens the object by one request, which brings its size and its first bytes.
    pub async fn open(config: Config, url: Url) -> Result<Self, Error> {
        let client = Client::new(config, url)?;
        let answer = client.get(&(0..HEAD), None).await?;
        let mut inner = Inner {
            name: client.shown_url().to_string(),
            client,
            pin: None,
            size: 0,
            head: Bytes::new(),
        };
        if !is_empty(&answer) {
            inner.begin(answer).await?;
        }
        Ok(Self(Arc::new(inner)))
    }
}

impl RangeRead for Object {
    fn size(&self) -> u64 {
        self.0.size
    }

    fn name(&self) -> &str {
        &self.0.name
    }

    fn read(&self, range: Range<u64>) -> BoxFuture<'_, content::Result<ByteStream>> {
        ready(self.0.stream(range)).boxed()
    }
}

impl Inner {
    async fn begin(&mut self, answer: Response) -> Result<(), Error> {
        self.size = size(&answer, 0)?;
        let pin = Pin::of(answer.headers());
        self.pin = Some(pin.ok_or_else(|| Error::NoValidator {
            url: self.client.shown_url(),
        })?);
        self.head = head(pieces(answer), self.size.min(HEAD)).await;
        Ok(())
    }

    fn stream(self: &Arc<Self>, range: Range<u64>) -> content::Result<ByteStream> {
        if range.start > range.end || range.end > self.size {
            return Err(content::Error::Size {
                expected: range.end,
                actual: self.size,
            });
        }
        let from_head = range.end.min(self.head.len() as u64);
        if range.start >= from_head {
            return Ok(self.remote(range));
        }
        let rest = self.remote(from_head..range.end);
        let bounds = usize::try_from(range.start)
            .ok()
            .zip(usize::try_from(from_head).ok());
        let first = bounds.map(|(start, end)| self.head.slice(start..end));
        Ok(stream::iter(first.map(Ok)).chain(rest).boxed())
    }

    fn remote(self: &Arc<Self>, range: Range<u64>) -> ByteStream {
        let object = Arc::clone(self);
        let end = range.end;
        let reopen = move |offset| {
            let object = Arc::clone(&object);
            async move {
                let body = object.body(offset..end).await;
                body.map_err(content::Error::backend)
            }
            .boxed()
        };
        resuming(range.start, end, Arc::new(reopen))
    }

    /// Asks for a range, which is not empty, and gives its bytes as they come.
    async fn body(&self, range: Range<u64>) -> Result<ByteStream, Error> {
        let answer = self.client.get(&range, self.pin.as_ref()).await?;
        let url = || self.client.shown_url();
        if answer.status() == StatusCode::RANGE_NOT_SATISFIABLE {
            return Err(Error::Changed { url: url() });
        }
        let size = size(&answer, range.start)?;
        // Not every server heeds the condition.
        if size != self.size || Pin::of(answer.headers()) != self.pin {
            return Err(Error::Changed { url: url() });
        }
        Ok(pieces(answer))
    }
}

/// Whether the object has no bytes. A server may say that there is no such range of it, or send
/// all of it.
fn is_empty(answer: &Response) -> bool {
    match answer.status() {
        StatusCode::RANGE_NOT_SATISFIABLE => true,
        StatusCode::OK => answer.content_length() == Some(0),
        _ => false,
    }
}

/// The object's size, as an answer of the bytes from `first` on tells it.
fn size(answer: &Response, first: u64) -> Result<u64, Error> {
    let url = RedactedUrl::new(answer.url());
    if answer.status() != StatusCode::PARTIAL_CONTENT {
        return Err(Error::NoRanges { url });
    }
    let range = answer.headers().get(CONTENT_RANGE);
    let range = range.and_then(|text| ContentRange::parse(text.to_str().ok()?));
    let range = range.filter(|range| range.first == first);
    let range = range.ok_or(Error::Protocol {
        url,
        problem: "without the Content-Range that was asked for",
    })?;
    Ok(range.size)
}

/// Up to `limit` bytes of a body. What does not come is read again when it is needed.
async fn head(mut body: ByteStream, limit: u64) -> Bytes {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut head = BytesMut::with_capacity(limit);
    while head.len() < limit {
        let Ok(Some(Ok(piece))) = tokio::time::timeout(HEAD_STALL, body.next()).await else {
            break;
        };
        let wanted = piece.len().min(limit - head.len());
        head.extend_from_slice(&piece[..wanted]);
    }
    head.freeze()
}

fn pieces(answer: Response) -> ByteStream {
    let url = RedactedUrl::new(answer.url());
    answer
        .bytes_stream()
        .map_err(move |error| {
            content::Error::backend(Error::Transport {
                url: url.clone(),
                source: error.without_url(),
            })
        })
        .boxed()
}
