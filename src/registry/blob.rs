//! Reading blobs
//! ([spec.md, "Pulling blobs"](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-blobs)).

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::{BoxFuture, ready};
use futures_util::{FutureExt, StreamExt};
use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::{Method, StatusCode};

use super::Error;
use super::auth::Access;
use super::transport::{Call, Transport};
use super::wire::Response;
use crate::content::{
    self, ByteStream, Opener, RangeRead, Reopen, Windows, resuming, stream_ranges, verified,
};
use crate::oci::{Descriptor, Digest};

/// The size of a blob, by HEAD.
pub(super) async fn size(transport: &Transport, digest: &Digest) -> Result<u64, Error> {
    let call = Call::new(Method::HEAD, url(transport, digest), Access::Push);
    let response = transport.send(&call).await?;
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

    /// As [`RemoteBlob::resuming`] to the blob's end, in parts if the registry gives parts: the
    /// answer for the first one tells.
    async fn in_parts(&self, offset: u64, windows: Windows) -> Result<ByteStream, Error> {
        let size = self.descriptor.size;
        let first_end = size.min(offset + windows.part);
        let answer = self.request(offset..first_end).await?;
        if !answer.partial {
            return Ok(resuming(
                offset,
                size,
                self.reopen_until(size, Some(answer.stream)),
            ));
        }
        let reopen = self.reopen_until(first_end, Some(answer.stream));
        let rest = stream_ranges(Arc::new(self.clone()), first_end..size, windows);
        Ok(resuming(offset, first_end, reopen).chain(rest).boxed())
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
                    partial: true,
                    stream: response.stream(),
                })
            }
            StatusCode::OK => Ok(Answer {
                partial: false,
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
    /// Whether they end where it wanted them to end.
    partial: bool,
    stream: ByteStream,
}

impl Opener for RemoteBlob {
    fn descriptor(&self) -> Option<Descriptor> {
        Some(Descriptor::clone(&self.descriptor))
    }

    fn open(&self, offset: u64) -> BoxFuture<'_, content::Result<ByteStream>> {
        async move {
            let size = self.descriptor.size;
            let parts = self.transport.parts();
            let stream = if size.saturating_sub(offset) < parts.threshold {
                self.resuming(offset..size)
            } else {
                self.in_parts(offset, parts.windows).await?
            };
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

/// Where the bytes of a partial answer start.
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
mod tests {
    use super::*;
    use crate::content::{Source, collect};
    use crate::registry::testing::{Reply, Request, Scripted, descriptor, noise, quick};
    use crate::registry::{Config, Parts};
    use std::sync::atomic::{AtomicU32, Ordering};

    async fn read_all(server: &Scripted, bytes: &[u8]) -> content::Result<bytes::Bytes> {
        let blob = server.repository().blob(&descriptor(bytes));
        collect(blob.open(0).await?, 64 << 20).await
    }

    #[tokio::test]
    async fn goes_on_where_the_connection_was_cut() {
        let bytes = noise(300_000);
        let whole = bytes.clone();
        let cuts = AtomicU32::new(2);
        let server = Scripted::new(move |request| {
            let left =
                cuts.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
            let reply = Reply::range(request, &whole);
            match left {
                Ok(_) => reply.cut_after(100_000),
                Err(_) => reply,
            }
        })
        .await;
        assert!(read_all(&server, &bytes).await.unwrap() == bytes);
        let ranges: Vec<_> = server.requests().iter().map(Request::range_start).collect();
        assert_eq!(ranges, [None, Some(100_000), Some(200_000)]);
    }

    #[tokio::test]
    async fn skips_what_it_has_where_a_registry_ignores_ranges() {
        let bytes = noise(200_000);
        let whole = bytes.clone();
        let server = Scripted::new(move |request| match request.range_start() {
            None => Reply::new(200).body(&whole).cut_after(150_000),
            Some(_) => Reply::new(200).body(&whole),
        })
        .await;
        assert!(read_all(&server, &bytes).await.unwrap() == bytes);
    }

    /// A repository whose blobs are read in parts of 10 bytes from 50 bytes on.
    fn in_small_parts(server: &Scripted) -> impl Source {
        server.repository_with(Config {
            parts: Parts {
                threshold: 50,
                windows: Windows { part: 10, ahead: 2 },
            },
            ..quick()
        })
    }

    #[tokio::test]
    async fn a_large_blob_is_read_in_parts() {
        let bytes = noise(95);
        let whole = bytes.clone();
        let server = Scripted::new(move |request| Reply::range(request, &whole)).await;
        let blob = in_small_parts(&server).blob(&descriptor(&bytes));
        let read = collect(blob.open(0).await.unwrap(), 95).await.unwrap();
        assert!(read == bytes);
        let mut starts: Vec<_> = server.requests().iter().map(Request::range_start).collect();
        starts.sort_unstable();
        assert_eq!(
            starts,
            (0..10).map(|part| Some(part * 10)).collect::<Vec<_>>()
        );

        let read = collect(blob.open(40).await.unwrap(), 95).await.unwrap();
        assert!(read == bytes[40..]);
        let small = in_small_parts(&server).blob(&descriptor(&bytes[..49]));
        server.requests();
        let read = collect(small.open(0).await.unwrap(), 95).await.unwrap();
        assert!(read == bytes[..49]);
        assert_eq!(server.requests().len(), 1);
    }

    #[tokio::test]
    async fn a_registry_without_ranges_is_read_once() {
        let bytes = noise(95);
        let whole = bytes.clone();
        let server = Scripted::new(move |_| Reply::new(200).body(&whole)).await;
        let blob = in_small_parts(&server).blob(&descriptor(&bytes));
        let read = collect(blob.open(0).await.unwrap(), 95).await.unwrap();
        assert!(read == bytes);
        assert_eq!(server.requests().len(), 1);
    }

    #[tokio::test]
    async fn wrong_bytes_end_in_an_error() {
        let mut wrong = noise(1000);
        wrong[500] ^= 1;
        let server = Scripted::new(move |_| Reply::new(200).body(&wrong)).await;
        let error = read_all(&server, &noise(1000)).await.unwrap_err();
        assert!(matches!(error, content::Error::Digest { .. }), "{error}");
    }

    #[tokio::test]
    async fn authorization_does_not_follow_a_redirect() {
        let bytes = noise(1000);
        let whole = bytes.clone();
        let storage = Scripted::new(move |request| match request.header("authorization") {
            Some(_) => Reply::new(400),
            None => Reply::range(request, &whole),
        })
        .await;
        let target = storage.url("/object?X-Signature=1");
        let registry = Scripted::new(move |request| match request.header("authorization") {
            None => Reply::new(401).header("WWW-Authenticate", "Basic realm=\"r\""),
            Some(_) => Reply::new(307).header("Location", &target),
        })
        .await;
        let who = crate::registry::Credentials::basic("user", "secret");
        let blob = registry
            .repository_for(Arc::new(who))
            .blob(&descriptor(&bytes));
        let read = collect(blob.open(0).await.unwrap(), 1000).await.unwrap();
        assert!(read == bytes);
        assert_eq!(storage.lines(), ["GET /object?X-Signature=1"]);
    }

    #[tokio::test]
    async fn a_missing_blob_fails_at_once_and_names_itself() {
        let server = Scripted::new(|_| Reply::error(404, "BLOB_UNKNOWN", "no such blob")).await;
        let error = read_all(&server, b"abc").await.unwrap_err();
        let error = error.downcast_ref::<Error>().unwrap();
        assert!(error.is_not_found(), "{error}");
        assert!(
            error.to_string().contains("BLOB_UNKNOWN: no such blob"),
            "{error}"
        );
        assert_eq!(server.requests().len(), 1);
    }
}
