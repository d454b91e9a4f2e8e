//! Pushes against scripted registries.

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;

use super::*;
use crate::content::{ByteStream, Destination, MemoryOpener};
use crate::oci::{Digest, MediaType};
use crate::registry::testing::{Reply, Request, Scripted, noise};

const SESSION: &str = "/v2/app/blobs/uploads/1?state=s%2Fx";

fn memory(bytes: &[u8]) -> MemoryOpener {
    MemoryOpener::new(MediaType::OCTET_STREAM, Bytes::copy_from_slice(bytes))
}

/// A registry that takes everything in one session.
fn takes_all(request: &Request) -> Reply {
    match request.method.as_str() {
        "POST" => Reply::new(202).header("Location", SESSION),
        "PATCH" => Reply::new(202).header("Location", "/v2/app/blobs/uploads/1?state=t"),
        "PUT" => Reply::new(201),
        _ => Reply::new(404),
    }
}

#[tokio::test]
async fn a_small_blob_goes_along_with_its_commit() {
    let server = Scripted::new(takes_all).await;
    let blob = memory(b"hello");
    let pushed = server.repository().push_blob(&blob, &[]).await.unwrap();
    assert_eq!(pushed, Pushed::Uploaded);
    let requests = server.requests();
    let digest = Digest::sha256(b"hello").to_string().replace(':', "%3A");
    assert_eq!(requests[0].line(), "POST /v2/app/blobs/uploads/");
    assert_eq!(requests[1].line(), format!("PUT {SESSION}&digest={digest}"));
    assert_eq!(requests[1].body, b"hello");
    assert_eq!(requests.len(), 2);
}

#[tokio::test]
async fn a_large_blob_is_streamed_with_its_length() {
    let server = Scripted::new(takes_all).await;
    let bytes = noise(3 << 20);
    server
        .repository()
        .push_blob(&memory(&bytes), &[])
        .await
        .unwrap();
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    assert_eq!(requests[1].line(), format!("PATCH {SESSION}"));
    assert_eq!(requests[1].header("content-length"), Some("3145728"));
    assert!(requests[1].body == bytes);
    assert!(
        requests[2]
            .target
            .starts_with("/v2/app/blobs/uploads/1?state=t&digest=sha256")
    );
    assert!(requests[2].body.is_empty());
}

/// A blob whose descriptor is known only once it was read, as of a layer compressed on the way.
struct Computed {
    bytes: Vec<u8>,
    opened: std::sync::atomic::AtomicUsize,
    read: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

impl Computed {
    fn new(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            opened: 0.into(),
            read: std::sync::Arc::default(),
        }
    }
}

impl Opener for Computed {
    fn descriptor(&self) -> Option<Descriptor> {
        let read = self.read.load(std::sync::atomic::Ordering::Relaxed);
        read.then(|| memory(&self.bytes).descriptor())?
    }

    fn open(&self, offset: u64) -> BoxFuture<'_, content::Result<ByteStream>> {
        self.opened
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let from = usize::try_from(offset).unwrap();
        let pieces: Vec<_> = self.bytes[from..]
            .chunks(100_000)
            .map(|piece| Ok(Bytes::copy_from_slice(piece)))
            .collect();
        let read = std::sync::Arc::clone(&self.read);
        let end = futures_util::stream::poll_fn(move |_| {
            read.store(true, std::sync::atomic::Ordering::Relaxed);
            std::task::Poll::Ready(None)
        });
        let stream = futures_util::stream::iter(pieces).chain(end).boxed();
        Box::pin(async { Ok(stream) })
    }
}

#[tokio::test]
async fn a_blob_of_unknown_size_is_streamed_and_committed_by_the_digest_found() {
    let server = Scripted::new(takes_all).await;
    let blob = Computed::new(noise(2 << 20));
    server.repository().push_blob(&blob, &[]).await.unwrap();
    let requests = server.requests();
    assert_eq!(requests[1].header("content-length"), None);
    assert_eq!(requests[1].header("transfer-encoding"), Some("chunked"));
    assert!(requests[1].body == blob.bytes);
    let hex = Digest::sha256(&blob.bytes).hex().to_owned();
    assert!(requests[2].target.ends_with(&hex), "{}", requests[2].target);
}
