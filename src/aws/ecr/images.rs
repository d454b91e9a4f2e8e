//! The images of a repository: their tags, and their removal.

use aws_sdk_ecr::types::{ImageFailure, ImageFailureCode, ImageIdentifier};

use super::EcrRepository;
use super::repository::unless_missing;
use crate::aws::{Answer, Error, Missing, Operation};
use crate::oci::{Digest, Tag};

impl EcrRepository {
    /// All tags of the image of `digest`, or `None` where it is not here.
    pub async fn image_tags(&self, digest: &Digest) -> Result<Option<Vec<String>>, Error> {
        let call = self.client().describe_images();
        let answer = call
            .set_registry_id(self.account.clone())
            .repository_name(&self.name)
            .image_ids(by_digest(digest))
            .send()
            .await;
        let answer = self.explained(Operation::DescribeImages, answer);
        let Some(answer) = unless_missing(answer, Missing::Image)? else {
            return Ok(None);
        };
        let image = answer
            .image_details
            .and_then(|images| images.into_iter().next());
        let image = image.ok_or_else(|| Error::Incomplete {
            call: Box::new(self.call(Operation::DescribeImages)),
            expected: "the image",
        })?;
        Ok(Some(image.image_tags.unwrap_or_default()))
    }

    /// Removes the image of `digest` with all its tags. One that is not here is removed already.
    pub async fn delete_image(&self, digest: &Digest) -> Result<(), Error> {
        self.delete(by_digest(digest)).await
    }

    /// Removes a tag. ECR removes the image with its last tag.
    pub async fn delete_tag(&self, tag: &Tag) -> Result<(), Error> {
        self.delete(ImageIdentifier::builder().image_tag(tag.as_str()).build())
            .await
    }

    async fn delete(&self, image: ImageIdentifier) -> Result<(), Error> {
        let call = self.client().batch_delete_image();
        let answer = call
            .set_registry_id(self.account.clone())
            .repository_name(&self.name)
            .image_ids(image)
            .send()
            .await;
        let answer = self.explained(Operation::BatchDeleteImage, answer)?;
        let failures = answer.failures.unwrap_or_default();
        if failures.is_empty() && answer.image_ids.is_none_or(|images| images.is_empty()) {
            return Err(Error::Incomplete {
                call: Box::new(self.call(Operation::BatchDeleteImage)),
                expected: "what was removed",
            });
        }
        let is_gone =
            |failure: &ImageFailure| failure.failure_code == Some(ImageFailureCode::ImageNotFound);
        match failures.into_iter().find(|failure| !is_gone(failure)) {
            None => Ok(()),
            Some(failure) => Err(self.not_deleted(failure)),
        }
    }

    fn not_deleted(&self, failure: ImageFailure) -> Error {
        let call = Box::new(self.call(Operation::BatchDeleteImage));
        let code = failure.failure_code.as_ref();
        let code = code.map(ImageFailureCode::as_str).unwrap_or_default();
        let message = failure.failure_reason.unwrap_or_default();
        let source = Answer::of_item(code, &message);
        if code == ImageFailureCode::ImageReferencedByManifestList.as_str() {
            return Error::InUse { call, source };
        }
        Error::Refused { call, source }
    }
}

fn by_digest(digest: &Digest) -> ImageIdentifier {
    ImageIdentifier::builder()
        .image_digest(digest.to_string())
        .build()
}
