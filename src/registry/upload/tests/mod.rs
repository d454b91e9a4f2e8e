//! Pushes against scripted registries.

mod faults;
mod mounts;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{StreamExt, stream};

use super::*;
use crate::content::{ByteStream, Destination, MemoryOpener};
use crate::oci::{Digest, MediaType};
use crate::registry::testing::{Reply, Request, Scripted, noise};

/// A blob in memory.
fn memory(bytes: &[u8]) -> MemoryOpener {
    MemoryOpener::new(MediaType::OCTET_STREAM, Bytes::copy_from_slice(bytes))
}

/// The upload session of a registry, of which there is one.
#[derive(Clone, Default)]
struct Store(Arc<Mutex<Vec<u8>>>);

impl Store {
    fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }

    /// Answers as a registry does that keeps one session and commits what the digest names.
    fn answer(&self, request: &Request) -> Reply {
        let mut bytes = self.0.lock().unwrap();
        let session =
            |reply: Reply| reply.header("Location", "/v2/app/blobs/uploads/1?state=s%2Fx");
        match request.method.as_str() {
            "POST" => {
                bytes.clear();
                session(Reply::new(202))
            }
            "PATCH" => {
                let range = request.header("content-range");
                let start = range.map(|range| range.split_once('-').unwrap().0.parse().unwrap());
                if start.is_some_and(|start: usize| start != bytes.len()) {
                    return Reply::new(416);
                }
                bytes.extend_from_slice(&request.body);
                session(Reply::new(202))
            }
            "PUT" => {
                bytes.extend_from_slice(&request.body);
                let hex = Digest::sha256(&bytes).hex().to_owned();
                if request.target.ends_with(&hex) {
                    return Reply::new(201);
                }
                Reply::error(400, "DIGEST_INVALID", "not these bytes")
            }
            "GET" => session(Reply::new(204))
                .header("Range", &format!("0-{}", bytes.len().saturating_sub(1))),
            _ => Reply::new(404),
        }
    }
}

#[tokio::test]
async fn another_success_of_a_commit_is_believed_where_the_blob_is_there() {
    for (status, length, is_there) in [
        (200, Some("5"), true),
        (204, Some("5"), true),
        (200, Some("4"), false),
        (200, None, false),
    ] {
        let server = Scripted::new(move |request| match request.method.as_str() {
            "POST" => Reply::new(202).header("Location", "/v2/app/blobs/uploads/1"),
            "PUT" => Reply::new(status).header("Content-Type", "text/html"),
            _ => match length {
                Some(length) => Reply::new(200).header("Content-Length", length),
                None => Reply::new(404),
            },
        })
        .await;
        let pushed = server.repository().push_blob(&memory(b"hello"), &[]).await;
        assert_eq!(pushed.is_ok(), is_there, "{status} {length:?}: {pushed:?}");
    }
}

#[tokio::test]
async fn a_small_blob_goes_along_with_its_commit() {
    let store = Store::default();
    let server = Scripted::new(move |request| store.answer(request)).await;
    let pushed = server.repository().push_blob(&memory(b"hello"), &[]).await;
    assert_eq!(pushed.unwrap(), Pushed::Uploaded);
    let hex = Digest::sha256(b"hello").hex().to_owned();
    assert_eq!(
        server.lines(),
        [
            "POST /v2/app/blobs/uploads/".to_owned(),
            format!("PUT /v2/app/blobs/uploads/1?state=s%2Fx&digest=sha256%3A{hex}"),
        ]
    );
}

#[tokio::test]
async fn a_large_blob_is_streamed_with_its_length() {
    let store = Store::default();
    let bytes = noise(3 << 20);
    let kept = store.clone();
    let server = Scripted::new(move |request| store.answer(request)).await;
    let blob = memory(&bytes);
    server.repository().push_blob(&blob, &[]).await.unwrap();
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    assert_eq!(
        requests[1].line(),
        "PATCH /v2/app/blobs/uploads/1?state=s%2Fx"
    );
    assert_eq!(requests[1].header("content-length"), Some("3145728"));
    assert!(kept.bytes() == bytes);
}

/// A blob whose descriptor is known only once it was read to its end, as of a layer that is
/// compressed while it is read.
struct Computed {
    bytes: Vec<u8>,
    opened: AtomicUsize,
    read: Arc<AtomicBool>,
}

impl Computed {
    fn new(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            opened: 0.into(),
            read: Arc::default(),
        }
    }
}

impl Opener for Computed {
    fn descriptor(&self) -> Option<Descriptor> {
        let read = self.read.load(Ordering::Relaxed);
        read.then(|| memory(&self.bytes).descriptor())?
    }

    fn open(&self, offset: u64) -> BoxFuture<'_, content::Result<ByteStream>> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        let from = usize::try_from(offset).unwrap();
        let pieces: Vec<_> = self.bytes[from..]
            .chunks(100_000)
            .map(|piece| Ok(Bytes::copy_from_slice(piece)))
            .collect();
        let read = Arc::clone(&self.read);
        let end = stream::poll_fn(move |_| {
            read.store(true, Ordering::Relaxed);
            std::task::Poll::Ready(None)
        });
        let stream = stream::iter(pieces).chain(end).boxed();
        Box::pin(async { Ok(stream) })
    }
}

#[tokio::test]
async fn a_blob_of_unknown_size_is_streamed_and_committed_by_the_digest_found() {
    let store = Store::default();
    let kept = store.clone();
    let server = Scripted::new(move |request| store.answer(request)).await;
    let blob = Computed::new(noise(2 << 20));
    server.repository().push_blob(&blob, &[]).await.unwrap();
    let requests = server.requests();
    assert_eq!(requests[1].header("content-length"), None);
    assert_eq!(requests[1].header("transfer-encoding"), Some("chunked"));
    assert!(kept.bytes() == blob.bytes);
}

#[tokio::test]
async fn a_patch_may_be_answered_with_201() {
    let store = Store::default();
    let server = Scripted::new(move |request| match request.method.as_str() {
        "PATCH" => {
            store.answer(request);
            Reply::new(201).header("Range", "0-0")
        }
        _ => store.answer(request),
    })
    .await;
    let blob = memory(&noise(2 << 20));
    server.repository().push_blob(&blob, &[]).await.unwrap();
    assert_eq!(server.requests().len(), 3);
}
