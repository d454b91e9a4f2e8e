//! Multipart uploads.

use std::path::Path;

use hyper::StatusCode;
use hyper::header::ETAG;
use tokio::fs::{self, File, OpenOptions};
use tokio::io;

use super::body::write;
use super::failure::Refusal;
use super::service::{BucketService, Target};
use crate::local::http::{Request, Response, empty, set};
use crate::local::xml;

/// The smallest part but for the last
/// ([multipart upload limits](https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html)).
const MIN_PART: u64 = 5 << 20;
const MAX_PART_NUMBER: u32 = 10_000;
/// The longest list of parts that is read.
const MAX_PART_LIST: usize = 4 << 20;

impl BucketService {
    pub(super) fn start_multipart(&self, target: &Target) -> Result<Response, Refusal> {
        target.folder.target(&target.key)?;
        let id = format!("{:032x}", fastrand::u128(..));
        let place = (target.bucket.clone(), target.key.clone());
        self.state().uploads.insert(id.clone(), place);
        let inner = [
            xml::element("Bucket", &target.bucket),
            xml::element("Key", &target.key),
            xml::element("UploadId", &id),
        ];
        Ok(result("InitiateMultipartUploadResult", &inner.concat()))
    }

    pub(super) async fn put_part(
        &self,
        target: &Target,
        request: &mut Request,
    ) -> Result<Response, Refusal> {
        let id = self.upload(target, request)?;
        let number = request.query.get("partNumber").and_then(part_number);
        let number = number.ok_or(Refusal::Malformed(
            "partNumber is no number from 1 to 10000.",
        ))?;
        let scratch = target.folder.scratch(&id).await?;
        // A part that breaks off leaves the one before it under its number.
        let fresh = scratch.join(format!("{:032x}", fastrand::u128(..)));
        let etag = write(request, &fresh).await?;
        fs::rename(&fresh, scratch.join(number.to_string())).await?;
        fs::write(scratch.join(format!("{number}.etag")), &etag).await?;
        let mut response = empty(StatusCode::OK);
        set(&mut response, ETAG, format!("\"{etag}\""));
        Ok(response)
    }

    pub(super) async fn complete_multipart(
        &self,
        target: &Target,
        request: &mut Request,
    ) -> Result<Response, Refusal> {
        let id = self.upload(target, request)?;
        let body = request.body.collect(MAX_PART_LIST).await?;
        let body = body.ok_or(Refusal::Malformed("The list of parts is too long."))?;
        let parts = parse_parts(&String::from_utf8_lossy(&body))?;
        let path = target.folder.target(&target.key)?;
        let scratch = target.folder.scratch(&id).await?;
        let whole = scratch.join("whole");
        join_parts(&scratch, &parts, &whole).await?;
        let etag = self.keep(target, &whole, &path).await?;
        self.state().uploads.remove(&id);
        target.folder.clean(&id).await;
        let inner = [
            xml::element("Bucket", &target.bucket),
            xml::element("Key", &target.key),
            xml::element("ETag", &etag),
        ];
        Ok(result("CompleteMultipartUploadResult", &inner.concat()))
    }

    pub(super) async fn abort_multipart(
        &self,
        target: &Target,
        request: &Request,
    ) -> Result<Response, Refusal> {
        let id = self.upload(target, request)?;
        self.state().uploads.remove(&id);
        target.folder.clean(&id).await;
        Ok(empty(StatusCode::NO_CONTENT))
    }

    /// The ID of the upload that a request is about, if it is open for this object.
    fn upload(&self, target: &Target, request: &Request) -> Result<String, Refusal> {
        let id = request.query.get("uploadId").unwrap_or_default();
        match self.state().uploads.get(id) {
            Some((bucket, key)) if *bucket == target.bucket && *key == target.key => {
                Ok(id.to_owned())
            }
            _ => Err(Refusal::NoSuchUpload),
        }
    }
}

fn result(name: &str, inner: &str) -> Response {
    let namespace = "http://s3.amazonaws.com/doc/2006-03-01/";
    let root = format!("<{name} xmlns=\"{namespace}\">{inner}</{name}>");
    xml::document(StatusCode::OK, &root)
}

fn part_number(text: &str) -> Option<u32> {
    let number = text.parse().ok()?;
    (1..=MAX_PART_NUMBER).contains(&number).then_some(number)
}

/// Numbers and `ETag`s of the parts that are to make the object, in order.
fn parse_parts(document: &str) -> Result<Vec<(u32, String)>, Refusal> {
    let numbers = xml::texts(document, "PartNumber");
    let etags = xml::texts(document, "ETag");
    if numbers.is_empty() || numbers.len() != etags.len() {
        return Err(Refusal::Malformed("The list of parts is malformed."));
    }
    let numbers = numbers.iter().map(|number| part_number(number));
    let numbers: Option<Vec<_>> = numbers.collect();
    let numbers = numbers.ok_or(Refusal::InvalidPart)?;
    if !numbers.is_sorted_by(|a, b| a < b) {
        return Err(Refusal::InvalidPartOrder);
    }
    Ok(numbers.into_iter().zip(etags).collect())
}

async fn join_parts(scratch: &Path, parts: &[(u32, String)], whole: &Path) -> Result<(), Refusal> {
    for (index, (number, etag)) in parts.iter().enumerate() {
        let stored = fs::read_to_string(scratch.join(format!("{number}.etag"))).await;
        if stored.ok().as_deref() != Some(etag.trim_matches('"')) {
            return Err(Refusal::InvalidPart);
        }
        let size = fs::metadata(scratch.join(number.to_string())).await?.len();
        if size < MIN_PART && index + 1 < parts.len() {
            return Err(Refusal::EntityTooSmall);
        }
    }
    let mut target = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .open(whole)
        .await?;
    for (number, _) in parts {
        let mut part = File::open(scratch.join(number.to_string())).await?;
        io::copy(&mut part, &mut target).await?;
    }
    target.sync_all().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_in_order() {
        let part = |number, etag: &str| {
            format!("<Part><ETag>\"{etag}\"</ETag><PartNumber>{number}</PartNumber></Part>")
        };
        let parts = parse_parts(&[part(1, "a"), part(3, "b")].concat()).unwrap();
        assert_eq!(parts, [(1, "\"a\"".to_owned()), (3, "\"b\"".to_owned())]);
        for wrong in [part(3, "b") + &part(1, "a"), part(0, "a"), String::new()] {
            assert!(parse_parts(&wrong).is_err(), "{wrong}");
        }
    }
}
