//! Writing an object: at once, or in parts that are sent side by side.
//!
//! Every request carries the SHA-256 of what it sends, which S3 compares and keeps. An object is
//! there whole or not at all.

use std::ops::Range;
use std::time::Duration;

use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::list_objects_v2::{ListObjectsV2Error, ListObjectsV2Output};
use aws_sdk_s3::types::{
    ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart, ServerSideEncryption,
};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};

use super::Location;
use super::region::told_by;
use crate::aws::{Arn, Call, Clients, Error, Operation};
use crate::content::{RangeRead, collect_exactly};

/// The size of a part, and the largest object that is sent at once. S3 takes 5 MiB and more.
const PART: u64 = 8 << 20;
/// The most parts of an object.
const MAX_PARTS: u64 = 10_000;
/// Parts under way at once.
const CONCURRENCY: usize = 4;
/// From the beginning of a request to its answer: a part on a line of half a megabit a second.
const READ: Duration = Duration::from_mins(3);
/// One call with all its attempts.
const OPERATION: Duration = Duration::from_mins(10);

/// A key in a bucket: looked up, and then written to.
pub struct Slot {
    clients: Clients,
    client: aws_sdk_s3::Client,
    at: Location,
    region: String,
    size: Option<u64>,
}

/// The way in which a bucket wants its objects encrypted.
#[derive(Clone, Default)]
struct Encryption {
    algorithm: Option<ServerSideEncryption>,
    key: Option<String>,
}

impl Slot {
    /// Looks whether the object is there. A bucket in another region takes one more request.
    pub async fn find(clients: &Clients, at: Location) -> Result<Self, Error> {
        let known = at.region.clone();
        let region = known.unwrap_or_else(|| clients.bucket_region(&at.bucket));
        let mut slot = Self {
            clients: clients.clone(),
            client: clients.s3(&region),
            at,
            region,
            size: None,
        };
        let mut answer = slot.list().await;
        if let Some(region) = answer.as_ref().err().and_then(|error| slot.moved_to(error)) {
            clients.bucket_is_in(&slot.at.bucket, &region);
            slot.client = clients.s3(&region);
            slot.region = region;
            answer = slot.list().await;
        }
        let found = slot.explained(Operation::ListObjects, answer)?;
        let mut objects = found.contents.unwrap_or_default().into_iter();
        slot.size = objects
            .find(|object| object.key.as_ref() == Some(&slot.at.key))
            .map(|object| {
                object
                    .size
                    .and_then(|size| size.try_into().ok())
                    .unwrap_or(0)
            });
        Ok(slot)
    }

    /// The size of the object in bytes, if it is there.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// Writes the object, encrypted as the bucket wants it. `sent` is told how many bytes more
    /// have arrived.
    pub async fn write(
        &self,
        content: &dyn RangeRead,
        content_type: &str,
        sent: &(dyn Fn(u64) + Sync),
    ) -> Result<(), Error> {
        let encryption = self.encryption().await;
        if content.size() > PART {
            return self
                .write_parts(content, content_type, &encryption, sent)
                .await;
        }
        let body = self.read(content, 0..content.size()).await?;
        let answer = self
            .client
            .put_object()
            .bucket(&self.at.bucket)
            .key(&self.at.key)
            .content_type(content_type)
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .set_server_side_encryption(encryption.algorithm)
            .set_ssekms_key_id(encryption.key)
            .body(body.into())
            .customize()
            .config_override(patient())
            .send()
            .await;
        self.explained(Operation::PutObject, answer)?;
        sent(content.size());
        Ok(())
    }

    async fn write_parts(
        &self,
        content: &dyn RangeRead,
        content_type: &str,
        encryption: &Encryption,
        sent: &(dyn Fn(u64) + Sync),
    ) -> Result<(), Error> {
        let answer = self
            .client
            .create_multipart_upload()
            .bucket(&self.at.bucket)
            .key(&self.at.key)
            .content_type(content_type)
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .set_server_side_encryption(encryption.algorithm.clone())
            .set_ssekms_key_id(encryption.key.clone())
            .send()
            .await;
        let begun = self.explained(Operation::PutObject, answer)?;
        let upload = begun
            .upload_id
            .ok_or_else(|| self.incomplete("an UploadId"))?;
        let written = self.send_parts(&upload, content, sent).await;
        if written.is_err() {
            self.abort(&upload).await;
        }
        written
    }

    async fn send_parts(
        &self,
        upload: &str,
        content: &dyn RangeRead,
        sent: &(dyn Fn(u64) + Sync),
    ) -> Result<(), Error> {
        let parts = (1..).zip(parts(content.size()));
        let parts: Vec<CompletedPart> = stream::iter(parts)
            .map(|(number, range)| {
                async move {
                    let length = range.end - range.start;
                    let part = self.send_part(upload, number, content, range).await?;
                    sent(length);
                    Ok(part)
                }
                .boxed()
            })
            .buffered(CONCURRENCY)
            .try_collect()
            .await?;
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts));
        let answer = self
            .client
            .complete_multipart_upload()
            .bucket(&self.at.bucket)
            .key(&self.at.key)
            .upload_id(upload)
            .multipart_upload(parts.build())
            .customize()
            .config_override(patient())
            .send()
            .await;
        self.explained(Operation::PutObject, answer).map(drop)
    }

    async fn send_part(
        &self,
        upload: &str,
        number: i32,
        content: &dyn RangeRead,
        range: Range<u64>,
    ) -> Result<CompletedPart, Error> {
        let body = self.read(content, range).await?;
        let answer = self
            .client
            .upload_part()
            .bucket(&self.at.bucket)
            .key(&self.at.key)
            .upload_id(upload)
            .part_number(number)
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .body(body.into())
            .customize()
            .config_override(patient())
            .send()
            .await;
        let answer = self.explained(Operation::PutObject, answer)?;
        Ok(CompletedPart::builder()
            .part_number(number)
            .set_e_tag(answer.e_tag)
            .set_checksum_sha256(answer.checksum_sha256)
            .build())
    }

    /// What is left of an upload costs money until the bucket's rules remove it.
    async fn abort(&self, upload: &str) {
        let answer = self
            .client
            .abort_multipart_upload()
            .bucket(&self.at.bucket)
            .key(&self.at.key)
            .upload_id(upload)
            .send()
            .await;
        if let Err(error) = self.explained(Operation::AbortMultipartUpload, answer) {
            tracing::warn!(%error, "the parts that were sent stay in the bucket");
        }
    }

    async fn read(&self, content: &dyn RangeRead, range: Range<u64>) -> Result<Bytes, Error> {
        let length = range.end - range.start;
        let read = async { collect_exactly(content.read(range).await?, length).await };
        read.await.map_err(|source| Error::Unread {
            call: Box::new(self.call(Operation::PutObject)),
            source: Box::new(source),
        })
    }

    async fn list(&self) -> Result<ListObjectsV2Output, SdkError<ListObjectsV2Error>> {
        self.client
            .list_objects_v2()
            .bucket(&self.at.bucket)
            .prefix(&self.at.key)
            .max_keys(1)
            .send()
            .await
    }

    /// What the bucket encrypts by where a request names nothing: policies may ask for a request
    /// that does. A bucket that does not tell decides for itself.
    async fn encryption(&self) -> Encryption {
        let answer = self.client.get_bucket_encryption();
        let answer = answer.bucket(&self.at.bucket).send().await;
        let rules = answer
            .ok()
            .and_then(|answer| answer.server_side_encryption_configuration)
            .map(|configuration| configuration.rules);
        let rule = rules.and_then(|rules| rules.into_iter().next());
        rule.and_then(|rule| rule.apply_server_side_encryption_by_default)
            .map(|default| Encryption {
                algorithm: Some(default.sse_algorithm),
                key: default.kms_master_key_id,
            })
            .unwrap_or_default()
    }

    fn moved_to(&self, error: &SdkError<ListObjectsV2Error>) -> Option<String> {
        let region = told_by(error.raw_response()?)?;
        (region != self.region).then_some(region)
    }

    fn call(&self, operation: Operation) -> Call {
        let (bucket, key) = (&self.at.bucket, &self.at.key);
        let resource = match operation {
            Operation::ListObjects => Arn::s3_bucket(&self.region, bucket),
            _ => Arn::s3_object(&self.region, bucket, key),
        };
        Call {
            operation,
            target: self.at.to_string(),
            resource: resource.to_string(),
            region: self.region.clone(),
        }
    }

    fn explained<T, E>(
        &self,
        operation: Operation,
        answer: Result<T, SdkError<E>>,
    ) -> Result<T, Error>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        answer.map_err(|error| self.clients.explain(&self.call(operation), &error))
    }

    fn incomplete(&self, expected: &'static str) -> Error {
        Error::Incomplete {
            call: Box::new(self.call(Operation::PutObject)),
            expected,
        }
    }
}

/// Requests with a body take as long as the line needs.
fn patient() -> aws_sdk_s3::config::Builder {
    let timeouts = TimeoutConfig::builder()
        .read_timeout(READ)
        .operation_timeout(OPERATION)
        .build();
    aws_sdk_s3::config::Builder::new().timeout_config(timeouts)
}

/// The parts of an object, in order.
fn parts(size: u64) -> impl Iterator<Item = Range<u64>> {
    let length = PART.max(size.div_ceil(MAX_PARTS));
    (0..size.div_ceil(length)).map(move |index| {
        let start = index * length;
        start..size.min(start + length)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::stand_in::{Seen, StandIn, s3_error};
    use crate::content::MemoryObject;
    use axum::body::Body;
    use axum::http::{Method, Response};
    use proptest::prelude::*;

    fn location() -> Location {
        Location {
            bucket: "bucket".to_owned(),
            key: "a.tar".to_owned(),
            version_id: None,
            region: None,
        }
    }

    fn answer(text: &'static str) -> Response<Body> {
        Response::new(Body::from(text))
    }

    /// An empty bucket that takes every part but those of `refused`.
    async fn bucket(refused: &'static str) -> StandIn {
        StandIn::start(move |request: &Seen| match request.method {
            _ if request.uri.contains(refused) => s3_error(403, "AccessDenied", "Access Denied"),
            Method::GET if request.uri.contains("list-type=2") => answer("<ListBucketResult/>"),
            Method::POST if request.uri.contains("?uploads") => answer(
                "<InitiateMultipartUploadResult><UploadId>id</UploadId>\
                 </InitiateMultipartUploadResult>",
            ),
            Method::POST => answer("<CompleteMultipartUploadResult/>"),
            _ => answer(""),
        })
        .await
    }

    #[tokio::test]
    async fn what_cannot_be_finished_is_given_up() {
        let s3 = bucket("partNumber=2").await;
        let slot = Slot::find(&s3.clients().await, location()).await.unwrap();
        let content = MemoryObject::new("content", vec![7; (8 << 20) + 1]);
        let error = slot
            .write(&content, "text/plain", &|_| {})
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "writing s3://bucket/a.tar was denied: allow s3:PutObject on \
             arn:aws:s3:::bucket/a.tar in the role's policy, and in the bucket's where it is \
             another account's"
        );
        let last = s3.seen().pop().unwrap();
        assert_eq!(last.method, Method::DELETE);
        assert!(last.uri.contains("uploadId=id"), "{}", last.uri);
    }

    #[tokio::test]
    async fn every_part_has_its_checksum() {
        let s3 = bucket("nothing").await;
        let slot = Slot::find(&s3.clients().await, location()).await.unwrap();
        assert_eq!(slot.size(), None);
        let content = MemoryObject::new("content", vec![7; 16 << 20]);
        slot.write(&content, "text/plain", &|_| {}).await.unwrap();
        let seen = s3.seen();
        let parts = seen
            .iter()
            .filter(|request| request.uri.contains("partNumber="));
        let lengths: Vec<_> = parts
            .map(|part| {
                assert_eq!(part.header("x-amz-checksum-sha256").len(), 44);
                part.body.len() as u64
            })
            .collect();
        assert_eq!(lengths, [PART, PART]);
    }

    #[tokio::test]
    async fn a_bucket_elsewhere_is_found() {
        let s3 = StandIn::start(|request: &Seen| {
            if request.header("authorization").contains("/eu-west-3/") {
                return answer(
                    "<ListBucketResult><Contents><Key>a.tar</Key><Size>7</Size></Contents>\
                     </ListBucketResult>",
                );
            }
            let mut moved = s3_error(301, "PermanentRedirect", "elsewhere");
            let region = "eu-west-3".parse().unwrap();
            moved.headers_mut().insert("x-amz-bucket-region", region);
            moved
        })
        .await;
        let slot = Slot::find(&s3.clients().await, location()).await.unwrap();
        assert_eq!(slot.size(), Some(7));
        assert_eq!(s3.seen().len(), 2);
    }

    proptest! {
        #[test]
        fn parts_make_the_whole(size in 1_u64..(5 << 40)) {
            let (mut end, mut count) = (0, 0);
            for part in parts(size) {
                prop_assert_eq!(part.start, end);
                prop_assert!(part.end - part.start >= 5 << 20 || part.end == size);
                (end, count) = (part.end, count + 1);
            }
            prop_assert_eq!(end, size);
            prop_assert!(count <= MAX_PARTS);
        }
    }
}
