//! Reading blobs
//! ([spec.md, "Pulling blobs"](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-blobs)).

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::{BoxFuture, ready};
use futures_util::{FutureExt, StreamExt};
use reqwest::header::{ACCEPT_RANGES, CONTENT_RANGE, RANGE};
use reqwest::{Method, StatusCode};

use super::Error;
use super::auth::Access;
use super::transport::{Call, Transport};
use super::wire::Response;
use crate::content::{
    self, ByteStream, Opener, RangeRead, Reopen, resuming, stream_adaptively, verified,
};
use crate::oci::{Descriptor, Digest};

/// The size of a blob, by HEAD.
pub(super) async fn size(transport: &Transport, digest: &Digest) -> Result<u64, Error> {
    let call = Call::new(Method::HEAD, url(transport, digest), Access::Push);
    let response = transport.send(&call).await?;
    if response.is_page() {
        return Err(response.problem("with a page of a proxy"));
    }
    response
        .content_length()
        .ok_or_else(|| response.problem("without the blob's size"))
}

/// A blob of a repository. Cheap to clone.
#[derive(Clone)]
pub(super) struct RemoteBlob {
    transport: Arc<Transport>,
    descriptor: Arc<Descriptor>,
    name: Arc<str>,
}

impl RemoteBlob {
    pub(super) fn new(transport: Arc<Transport>, descriptor: Descriptor, place: &str) -> Self {
        Self {
            name: format!("{place}@{}", descriptor.digest).into(),
            descriptor: Arc::new(descriptor),
            transport,
        }
    }

    /// The bytes of `range`, taken up again where the connection breaks.
    fn resuming(&self, range: Range<u64>) -> ByteStream {
        let end = range.end;
        resuming(range.start, end, self.reopen_until(end, None))
    }

    /// Bytes up to `end`, from wherever they are asked for: `first` the first time, and then
    /// from the registry itself, as the addresses that it redirects to expire.
    fn reopen_until(&self, end: u64, first: Option<ByteStream>) -> Reopen {
        let blob = self.clone();
        let first = Mutex::new(first);
        Arc::new(move |offset| {
            let first = first.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(first) = first {
                return ready(Ok(first)).boxed();
            }
            let blob = blob.clone();
            async move { Ok(blob.request(offset..end).await?.stream) }.boxed()
        })
    }

    /// The bytes from `offset` to the blob's end. The first request is made at once; more are made
    /// for a large blob of a registry that knows ranges, where one is slow.
    async fn stream_from(&self, offset: u64) -> Result<ByteStream, Error> {
        let size = self.descriptor.size;
        let answer = self.request(offset..size).await?;
        let knows_ranges = answer.knows_ranges;
        let reopen = self.reopen_until(size, Some(answer.stream));
        let stream = resuming(offset, size, reopen);
        if !knows_ranges {
            return Ok(stream);
        }
        let (object, parts) = (Arc::new(self.clone()), self.transport.parts());
        Ok(stream_adaptively(object, offset..size, stream, parts))
    }

    /// One request for a part of the blob.
    async fn request(&self, range: Range<u64>) -> Result<Answer, Error> {
        let url = url(&self.transport, &self.descriptor.digest);
        let mut call = Call::new(Method::GET, url, Access::Pull);
        let whole = range.start == 0 && range.end == self.descriptor.size;
        if !whole {
            let last = range.end.saturating_sub(1);
            call = call.header(RANGE, &format!("bytes={}-{last}", range.start));
        }
        let response = self.transport.send(&call).await?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT if starts_at(&response) == Some(range.start) => {
                Ok(Answer {
                    knows_ranges: true,
                    stream: response.stream(),
                })
            }
            StatusCode::OK => Ok(Answer {
                knows_ranges: whole && response.header(&ACCEPT_RANGES) == Some("bytes"),
                stream: skip(response.stream(), range.start),
            }),
            StatusCode::PARTIAL_CONTENT => {
                Err(response.problem("with another range than asked for"))
            }
            _ => Err(response.problem("with something else than a blob")),
        }
    }
}

/// The bytes from where a request wanted them.
struct Answer {
    /// True if the registry gives parts of blobs.
    knows_ranges: bool,
    stream: ByteStream,
}

impl Opener for RemoteBlob {
    fn descriptor(&self) -> Option<Descriptor> {
        Some(Descriptor::clone(&self.descriptor))
    }

    fn open(&self, offset: u64) -> BoxFuture<'_, content::Result<ByteStream>> {
        async move {
            let stream = self.stream_from(offset).await?;
            if offset > 0 {
                return Ok(stream);
            }
            Ok(verified(stream, &self.descriptor))
        }
        .boxed()
    }
}

impl RangeRead for RemoteBlob {
    fn size(&self) -> u64 {
        self.descriptor.size
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn read(&self, range: Range<u64>) -> BoxFuture<'_, content::Result<ByteStream>> {
        ready(Ok(self.resuming(range))).boxed()
    }
}

/// The place where the bytes of a partial answer start.
fn starts_at(response: &Response) -> Option<u64> {
    let range = response.header(&CONTENT_RANGE)?.strip_prefix("bytes ")?;
    range.split_once('-')?.0.trim().parse().ok()
}

/// A stream without its first `count` bytes: of a registry that does not know ranges.
fn skip(stream: ByteStream, count: u64) -> ByteStream {
    if count == 0 {
        return stream;
    }
    stream
        .scan(count, |left, piece| {
            let piece = piece.map(|mut bytes| {
                let unwanted = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                *left -= unwanted as u64;
                bytes.split_off(unwanted)
            });
            std::future::ready(Some(piece))
        })
        .boxed()
}

fn url(transport: &Transport, digest: &Digest) -> reqwest::Url {
    transport.url(&format!("blobs/{digest}"))
}

#[cfg(test)]
mod tests;
