//! One object, pinned by its `ETag`.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::get_object::{GetObjectError, GetObjectOutput};
use aws_sdk_s3::primitives::ByteStream as Body;
use aws_sdk_s3::types::RequestPayer;
use bytes::{Bytes, BytesMut};
use futures_util::future::{BoxFuture, ready};
use futures_util::{FutureExt, StreamExt, stream};

use super::Location;
use super::region::told_by;
use crate::aws::{Call, Cause, Clients, Error};
use crate::content::{self, ByteStream, RangeRead, resuming};
use crate::network::ContentRange;

/// Bytes that the first request brings along. They serve the reads that begin there.
const HEAD: u64 = 256 << 10;
/// The longest wait for more of them.
const HEAD_STALL: Duration = Duration::from_secs(10);

/// An object of S3 as it was when it was opened: reads fail when it has changed since.
///
/// The requester pays, where a bucket asks for that.
#[derive(Clone)]
pub struct Object(Arc<Inner>);

struct Inner {
    clients: Clients,
    client: aws_sdk_s3::Client,
    location: Location,
    name: String,
    call: Call,
    etag: String,
    size: u64,
    head: Bytes,
}

impl Object {
    /// Opens the object by one request, which brings its size and its first bytes. A bucket in
    /// another region takes one more.
    pub async fn open(clients: &Clients, location: Location) -> Result<Self, Error> {
        let known = location.region.clone();
        let region = known.unwrap_or_else(|| clients.bucket_region(&location.bucket));
        let mut inner = Inner {
            clients: clients.clone(),
            client: clients.s3(&region),
            name: location.to_string(),
            call: location.call(region),
            location,
            etag: String::new(),
            size: 0,
            head: Bytes::new(),
        };
        let mut answer = inner.get(0..HEAD, None).await;
        if let Some(region) = answer
            .as_ref()
            .err()
            .and_then(|error| inner.moved_to(error))
        {
            clients.bucket_is_in(&inner.location.bucket, &region);
            inner.client = clients.s3(&region);
            inner.call = inner.location.call(region);
            answer = inner.get(0..HEAD, None).await;
        }
        match answer {
            Ok(answer) => inner.begin(answer).await?,
            Err(error) if is_empty_object(&error) => {}
            Err(error) => return Err(clients.explain(&inner.call, &error)),
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
    async fn begin(&mut self, answer: GetObjectOutput) -> Result<(), Error> {
        let range = answer.content_range().and_then(ContentRange::parse);
        let range = range.filter(|range| range.first == 0);
        self.size = range
            .ok_or_else(|| self.incomplete("a Content-Range"))?
            .size;
        let etag = answer.e_tag().ok_or_else(|| self.incomplete("an ETag"))?;
        etag.clone_into(&mut self.etag);
        self.head = head(answer.body, self.size.min(HEAD)).await;
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
        let start = range.start;
        let answer = self.get(range, Some(&self.etag)).await;
        let answer = answer.map_err(|error| self.clients.explain(&self.call, &error))?;
        let got = answer.content_range().and_then(ContentRange::parse);
        if got.is_none_or(|got| got.first != start || got.size != self.size) {
            return Err(self.incomplete("the Content-Range that was asked for"));
        }
        Ok(pieces(answer.body, self.call.clone()))
    }

    async fn get(
        &self,
        range: Range<u64>,
        etag: Option<&str>,
    ) -> Result<GetObjectOutput, SdkError<GetObjectError>> {
        self.client
            .get_object()
            .bucket(&self.location.bucket)
            .key(&self.location.key)
            .set_version_id(self.location.version_id.clone())
            .set_if_match(etag.map(str::to_owned))
            .range(format!("bytes={}-{}", range.start, range.end - 1))
            .request_payer(RequestPayer::Requester)
            .send()
            .await
    }

    /// The region that S3 points to, where that is another than the one asked.
    fn moved_to(&self, error: &SdkError<GetObjectError>) -> Option<String> {
        let region = told_by(error.raw_response()?)?;
        (region != self.call.region).then_some(region)
    }

    fn incomplete(&self, expected: &'static str) -> Error {
        Error::Incomplete {
            call: Box::new(self.call.clone()),
            expected,
        }
    }
}

/// S3 has no first byte of an empty object to give.
fn is_empty_object(error: &SdkError<GetObjectError>) -> bool {
    error
        .raw_response()
        .is_some_and(|answer| answer.status().as_u16() == 416)
}

/// Up to `limit` bytes of a body. What does not come is read again when it is needed.
async fn head(mut body: Body, limit: u64) -> Bytes {
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

fn pieces(body: Body, call: Call) -> ByteStream {
    stream::unfold((body, call), |(mut body, call)| async {
        let piece = body.next().await?.map_err(|error| {
            let source = Cause::innermost(&error);
            content::Error::backend(Error::Interrupted {
                call: Box::new(call.clone()),
                source,
            })
        });
        Some((piece, (body, call)))
    })
    .boxed()
}
