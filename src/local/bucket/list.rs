//! Listing a bucket
//! ([`ListObjectsV2`](https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html)).

use std::collections::BTreeMap;
use std::fs::Metadata;

use hyper::StatusCode;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::failure::Refusal;
use super::folder::fingerprint;
use super::service::{BucketService, Target};
use crate::local::http::{Query, Response};
use crate::local::xml::{self, element};

/// The longest page.
const MAX_KEYS: usize = 1000;
const URL: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_');

impl BucketService {
    pub(super) async fn list(&self, target: &Target, query: &Query) -> Result<Response, Refusal> {
        let prefix = query.get("prefix").unwrap_or_default();
        let delimiter = query.get("delimiter").filter(|text| !text.is_empty());
        let after = query.get("continuation-token").or(query.get("start-after"));
        let asked = query.get("max-keys").and_then(|text| text.parse().ok());
        let length = MAX_KEYS.min(asked.unwrap_or(MAX_KEYS));
        let mut entries = BTreeMap::new();
        for (key, metadata) in target.folder.keys().await? {
            let Some(rest) = key.strip_prefix(prefix) else {
                continue;
            };
            let shared = delimiter.and_then(|delimiter| Some((rest.find(delimiter)?, delimiter)));
            let (name, entry) = match shared {
                None => (key, Some(metadata)),
                Some((end, delimiter)) => {
                    (key[..prefix.len() + end + delimiter.len()].to_owned(), None)
                }
            };
            if after.is_none_or(|after| name.as_str() > after) {
                entries.insert(name, entry);
            }
        }
        let truncated = entries.len() > length;
        let entries: Vec<_> = entries.into_iter().take(length).collect();
        let encode = |key: &str| match query.get("encoding-type") {
            Some("url") => utf8_percent_encode(key, URL).to_string(),
            _ => key.to_owned(),
        };
        let mut inner = vec![
            element("Name", &target.bucket),
            element("Prefix", &encode(prefix)),
            element("KeyCount", &entries.len().to_string()),
            element("MaxKeys", &length.to_string()),
            element("IsTruncated", &truncated.to_string()),
        ];
        if let (true, Some((last, _))) = (truncated, entries.last()) {
            inner.push(element("NextContinuationToken", last));
        }
        inner.extend(entries.iter().map(|(key, metadata)| match metadata {
            None => format!(
                "<CommonPrefixes>{}</CommonPrefixes>",
                element("Prefix", &encode(key))
            ),
            Some(metadata) => contents(&encode(key), metadata),
        }));
        let root = format!("<ListBucketResult>{}</ListBucketResult>", inner.concat());
        Ok(xml::document(StatusCode::OK, &root))
    }
}

fn contents(key: &str, metadata: &Metadata) -> String {
    let inner = [
        element("Key", key),
        element("ETag", &format!("\"{}\"", fingerprint(metadata, 0))),
        element("Size", &metadata.len().to_string()),
        element("StorageClass", "STANDARD"),
    ];
    format!("<Contents>{}</Contents>", inner.concat())
}
