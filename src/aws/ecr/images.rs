//! The images of a repository: their tags, and their removal.

use serde::Deserialize;
use serde_json::{Value, json};

use super::EcrRepository;
use super::repository::unless_missing;
use crate::aws::{Answer, Error, Missing, Operation};
use crate::oci::{Digest, Tag};

/// The code of an image that is not there.
const NOT_FOUND: &str = "ImageNotFound";
/// The code of an image that an index names.
const REFERENCED: &str = "ImageReferencedByManifestList";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Described {
    image_details: Option<Vec<Image>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Image {
    image_tags: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Deleted {
    image_ids: Option<Vec<Value>>,
    failures: Option<Vec<Failure>>,
}

impl Deleted {
    /// The failures, or `None` where the answer tells of nothing.
    fn told(self) -> Option<Vec<Failure>> {
        let failures = self.failures.unwrap_or_default();
        let is_told = !(self.image_ids.unwrap_or_default().is_empty() && failures.is_empty());
        is_told.then_some(failures)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    failure_code: Option<String>,
    failure_reason: Option<String>,
}

impl EcrRepository {
    /// All tags of the image of `digest`, or `None` where it is not here.
    pub async fn image_tags(&self, digest: &Digest) -> Result<Option<Vec<String>>, Error> {
        let body = self.named_in(json!({ "imageIds": [by_digest(digest)] }));
        let answer = self.ask(Operation::DescribeImages, &body).await;
        let Some(answer): Option<Described> = unless_missing(answer, Missing::Image)? else {
            return Ok(None);
        };
        let image = answer.image_details.and_then(|all| all.into_iter().next());
        let image = self.required(Operation::DescribeImages, "an image", image)?;
        Ok(Some(image.image_tags.unwrap_or_default()))
    }

    /// Removes the image of `digest` with all its tags. One that is not here is removed already.
    pub async fn delete_image(&self, digest: &Digest) -> Result<(), Error> {
        self.delete(&by_digest(digest)).await
    }

    /// Removes a tag. ECR removes the image with its last tag.
    pub async fn delete_tag(&self, tag: &Tag) -> Result<(), Error> {
        self.delete(&json!({ "imageTag": tag.as_str() })).await
    }

    async fn delete(&self, image: &Value) -> Result<(), Error> {
        let body = self.named_in(json!({ "imageIds": [image] }));
        let answer: Deleted = self.ask(Operation::BatchDeleteImage, &body).await?;
        let expected = "the image that was deleted";
        let failures = self.required(Operation::BatchDeleteImage, expected, answer.told())?;
        let is_gone = |failure: &Failure| failure.failure_code.as_deref() == Some(NOT_FOUND);
        match failures.into_iter().find(|failure| !is_gone(failure)) {
            None => Ok(()),
            Some(failure) => Err(self.not_deleted(&failure)),
        }
    }

    fn not_deleted(&self, failure: &Failure) -> Error {
        let call = Box::new(self.call(Operation::BatchDeleteImage));
        let code = failure.failure_code.as_deref().unwrap_or_default();
        let message = failure.failure_reason.as_deref().unwrap_or_default();
        let source = Answer::of_item(code, message);
        if code == REFERENCED {
            return Error::InUse { call, source };
        }
        Error::Refused { call, source }
    }
}

fn by_digest(digest: &Digest) -> Value {
    json!({ "imageDigest": digest.to_string() })
}
