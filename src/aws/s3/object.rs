//! One object, pinned by its `ETag`.

use std::ops::Range;
use std::sync::Arc;

use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::get_object::{GetObjectError, GetObjectOutput};
use aws_sdk_s3::primitives::ByteStream as Body;
use aws_sdk_s3::types::RequestPayer;
use futures_util::{FutureExt, StreamExt, stream};

use super::Location;
use super::region::told_by;
use crate::aws::{Call, Cause, Clients, Error};
use crate::content::{self, ByteStream, GetRange, RemoteObject};
use crate::network::ContentRange;

/// An object of S3 as it was when it was opened.
struct Pinned {
    clients: Clients,
    client: aws_sdk_s3::Client,
    location: Location,
    call: Call,
    etag: String,
    size: u64,
}

/// Opens an object by one request, which brings its size and its first bytes. A bucket in another
/// region takes one more. Reads fail when the object has changed since.
///
/// The requester pays, where a bucket asks for that.
pub async fn open_object(clients: &Clients, location: Location) -> Result<RemoteObject, Error> {
    let known = location.region.clone();
    let region = known.unwrap_or_else(|| clients.bucket_region(&location.bucket));
    let mut pinned = Pinned {
        clients: clients.clone(),
        client: clients.s3(&region),
        call: location.call(region),
        location,
        etag: String::new(),
        size: 0,
    };
    let first = 0..RemoteObject::HEAD;
    let mut answer = pinned.get(first.clone(), None).await;
    if let Some(region) = answer
        .as_ref()
        .err()
        .and_then(|error| pinned.moved_to(error))
    {
        clients.bucket_is_in(&pinned.location.bucket, &region);
        pinned.client = clients.s3(&region);
        pinned.call = pinned.location.call(region);
        answer = pinned.get(first, None).await;
    }
    match answer {
        Ok(answer) => pinned.opened(answer).await,
        Err(error) if is_empty_object(&error) => {
            Ok(RemoteObject::empty(pinned.location.to_string()))
        }
        Err(error) => Err(clients.explain(&pinned.call, &error)),
    }
}

impl Pinned {
    async fn opened(mut self, answer: GetObjectOutput) -> Result<RemoteObject, Error> {
        let range = answer.content_range().and_then(ContentRange::parse);
        let range = range.filter(|range| range.first == 0);
        self.size = range
            .ok_or_else(|| self.incomplete("a Content-Range"))?
            .size;
        let etag = answer.e_tag().ok_or_else(|| self.incomplete("an ETag"))?;
        etag.clone_into(&mut self.etag);
        let first = pieces(answer.body, self.call.clone());
        let (name, size) = (self.location.to_string(), self.size);
        let pinned = Arc::new(self);
        let get: GetRange = Arc::new(move |range| {
            let pinned = Arc::clone(&pinned);
            async move { pinned.body(range).await.map_err(content::Error::backend) }.boxed()
        });
        Ok(RemoteObject::open(name, size, first, get).await)
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
