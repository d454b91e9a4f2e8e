//! Small objects of one bucket: written and read whole, listed and removed.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use bytes::Bytes;

use super::Location;
use crate::aws::{Arn, Call, Cause, Clients, Error, Missing, Operation};

/// The largest object that is read whole.
const MAX_READ: usize = 64 << 20;
/// The most keys that a page of a list has.
const PAGE: i32 = 1000;

/// The objects of a bucket in this identity's own region.
#[derive(Clone, Debug)]
pub struct Objects {
    clients: Clients,
    bucket: String,
}

/// A page of the keys of a bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// The keys, in their order.
    pub keys: Vec<String>,
    /// The token of the page that follows. `None`: this is the last.
    pub next: Option<String>,
}

impl Objects {
    /// The objects of `bucket`.
    pub fn new(clients: Clients, bucket: impl Into<String>) -> Self {
        Self {
            clients,
            bucket: bucket.into(),
        }
    }

    /// The bucket's name.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The address of a key, `s3://bucket/key`.
    pub fn uri(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket)
    }

    /// The content of an object. `None`, where it is not there.
    pub async fn read(&self, key: &str) -> Result<Option<Bytes>, Error> {
        let request = self.client().get_object().bucket(&self.bucket).key(key);
        let answer = self.explained(Operation::GetObject, key, request.send().await);
        let mut body = match answer {
            Ok(answer) => answer.body,
            Err(Error::NotFound {
                missing: Missing::Object,
                ..
            }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut content = Vec::new();
        while let Some(piece) = body.try_next().await.map_err(|error| Error::Interrupted {
            call: Box::new(self.call(Operation::GetObject, key)),
            source: Cause::innermost(&error),
        })? {
            if content.len() + piece.len() > MAX_READ {
                return Err(Error::Incomplete {
                    call: Box::new(self.call(Operation::GetObject, key)),
                    expected: "at most 64 MiB",
                });
            }
            content.extend_from_slice(&piece);
        }
        Ok(Some(content.into()))
    }

    /// Writes an object in the place of what is there.
    pub async fn write(&self, key: &str, content: Bytes, content_type: &str) -> Result<(), Error> {
        let request = self.client().put_object().bucket(&self.bucket).key(key);
        let request = request.content_type(content_type).body(content.into());
        let answer = request.send().await;
        self.explained(Operation::PutObject, key, answer).map(drop)
    }

    /// Removes an object. One that is not there is removed already.
    pub async fn remove(&self, key: &str) -> Result<(), Error> {
        let request = self.client().delete_object().bucket(&self.bucket).key(key);
        let answer = request.send().await;
        self.explained(Operation::DeleteObject, key, answer)
            .map(drop)
    }

    /// The keys that begin with `prefix`: those of the page that `from` gives, or of the first.
    pub async fn keys(&self, prefix: &str, from: Option<String>) -> Result<Keys, Error> {
        let request = self.client().list_objects_v2().bucket(&self.bucket);
        let request = request.prefix(prefix).max_keys(PAGE);
        let answer = request.set_continuation_token(from).send().await;
        let page = self.explained(Operation::ListObjects, prefix, answer)?;
        let objects = page.contents.unwrap_or_default().into_iter();
        Ok(Keys {
            keys: objects.filter_map(|object| object.key).collect(),
            next: page.next_continuation_token,
        })
    }

    fn client(&self) -> aws_sdk_s3::Client {
        self.clients.s3(self.clients.region())
    }

    fn call(&self, operation: Operation, key: &str) -> Call {
        let region = self.clients.region();
        let resource = match operation {
            Operation::ListObjects => Arn::s3_bucket(region, &self.bucket),
            _ => Arn::s3_object(region, &self.bucket, key),
        };
        let location = Location {
            bucket: self.bucket.clone(),
            key: key.to_owned(),
            version_id: None,
            region: None,
        };
        Call {
            operation,
            target: location.to_string(),
            resource: resource.to_string(),
            region: region.to_owned(),
        }
    }

    fn explained<T, E>(
        &self,
        operation: Operation,
        key: &str,
        answer: Result<T, SdkError<E>>,
    ) -> Result<T, Error>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        answer.map_err(|error| self.clients.explain(&self.call(operation, key), &error))
    }
}
