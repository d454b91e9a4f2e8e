//! Creating a repository, and seeing how one that is there differs from what is asked for.

use std::fmt;

use aws_sdk_ecr::error::SdkError;
use aws_sdk_ecr::operation::create_repository::CreateRepositoryError;
use aws_sdk_ecr::types::Repository as Description;

use super::repository::unless_missing;
use super::{EcrRepository, Encryption, Mutability, RepositorySettings};
use crate::aws::{Error, Missing, Operation};

/// What [`EcrRepository::ensure`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ensured {
    /// The repository was not there, and is now as asked for.
    Created,
    /// The repository was there and is as it was. It differs in these settings.
    Present(Vec<Difference>),
}

/// A setting of a repository that is not as asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The setting, in words.
    pub setting: &'static str,
    /// What was asked for.
    pub expected: String,
    /// What it is.
    pub actual: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            setting,
            expected,
            actual,
        } = self;
        write!(f, "{setting}: expected {expected}, got {actual}")
    }
}

impl EcrRepository {
    /// Creates the repository, unless it is there: then it is left alone.
    pub async fn ensure(&self, settings: &RepositorySettings) -> Result<Ensured, Error> {
        if let Some(present) = self.describe().await? {
            return self.compared(settings, &present).await;
        }
        if self.create(settings).await? {
            let set_up = self.set_lifecycle_policy(settings).await;
            set_up.map_err(|source| Error::Unfinished {
                name: self.name.as_str().into(),
                source: Box::new(source),
            })?;
            return Ok(Ensured::Created);
        }
        let expected = "the repository that someone else just created";
        let present = self.describe().await?;
        let present = self.required(Operation::DescribeRepositories, expected, present)?;
        self.compared(settings, &present).await
    }

    /// Whether it was this call that created the repository.
    async fn create(&self, settings: &RepositorySettings) -> Result<bool, Error> {
        let (mutability, filters) = settings.mutability.as_ref().map(Mutability::parts).unzip();
        let call = self.client().create_repository();
        let answer = call
            .set_registry_id(self.account.clone())
            .repository_name(&self.name)
            .set_image_tag_mutability(mutability)
            .set_image_tag_mutability_exclusion_filters(filters.flatten())
            .set_image_scanning_configuration(settings.scanning())
            .set_encryption_configuration(
                settings
                    .encryption
                    .as_ref()
                    .and_then(Encryption::configuration),
            )
            .set_tags(settings.sdk_tags())
            .send()
            .await;
        let refused = answer.as_ref().err().and_then(SdkError::as_service_error);
        if refused.is_some_and(CreateRepositoryError::is_repository_already_exists_exception) {
            return Ok(false);
        }
        let answer = self.explained(Operation::CreateRepository, answer)?;
        let expected = "the repository that was created";
        self.required(Operation::CreateRepository, expected, answer.repository)?;
        Ok(true)
    }

    async fn set_lifecycle_policy(&self, settings: &RepositorySettings) -> Result<(), Error> {
        let Some(policy) = &settings.lifecycle_policy else {
            return Ok(());
        };
        let call = self.client().put_lifecycle_policy();
        let answer = call
            .set_registry_id(self.account.clone())
            .repository_name(&self.name)
            .lifecycle_policy_text(policy)
            .send()
            .await;
        let answer = self.explained(Operation::PutLifecyclePolicy, answer)?;
        let expected = "the lifecycle policy that was set";
        let set = answer.lifecycle_policy_text;
        self.required(Operation::PutLifecyclePolicy, expected, set)?;
        Ok(())
    }

    async fn lifecycle_policy(&self) -> Result<Option<String>, Error> {
        let call = self.client().get_lifecycle_policy();
        let answer = call
            .set_registry_id(self.account.clone())
            .repository_name(&self.name)
            .send()
            .await;
        let answer = self.explained(Operation::GetLifecyclePolicy, answer);
        let Some(answer) = unless_missing(answer, Missing::Policy)? else {
            return Ok(None);
        };
        let expected = "a lifecycle policy";
        let policy = answer.lifecycle_policy_text;
        self.required(Operation::GetLifecyclePolicy, expected, policy)
            .map(Some)
    }

    async fn compared(
        &self,
        settings: &RepositorySettings,
        present: &Description,
    ) -> Result<Ensured, Error> {
        let mut differences = differences(settings, present);
        if let Some(expected) = &settings.lifecycle_policy {
            let actual = self.lifecycle_policy().await?;
            if !actual
                .as_deref()
                .is_some_and(|actual| is_same_json(expected, actual))
            {
                differences.push(Difference {
                    setting: "lifecycle policy",
                    expected: expected.clone(),
                    actual: actual.unwrap_or_else(|| "none".to_owned()),
                });
            }
        }
        Ok(Ensured::Present(differences))
    }
}

fn differences(settings: &RepositorySettings, present: &Description) -> Vec<Difference> {
    let filters = present.image_tag_mutability_exclusion_filters();
    let mutability = present.image_tag_mutability.as_ref();
    let mutability = mutability.and_then(|kind| Mutability::of(kind, filters));
    let scanning = present.image_scanning_configuration.as_ref();
    let scan_on_push = scanning.map(|scanning| scanning.scan_on_push);
    let encryption = present
        .encryption_configuration
        .as_ref()
        .and_then(Encryption::of);
    [
        difference(
            "image tag mutability",
            settings.mutability.as_ref(),
            mutability.as_ref(),
            PartialEq::eq,
        ),
        difference(
            "scan on push",
            settings.scan_on_push.as_ref(),
            scan_on_push.as_ref(),
            PartialEq::eq,
        ),
        difference(
            "encryption",
            settings.encryption.as_ref(),
            encryption.as_ref(),
            Encryption::is_met_by,
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn difference<T: fmt::Display>(
    setting: &'static str,
    expected: Option<&T>,
    actual: Option<&T>,
    is_met: impl Fn(&T, &T) -> bool,
) -> Option<Difference> {
    let expected = expected?;
    if actual.is_some_and(|actual| is_met(expected, actual)) {
        return None;
    }
    Some(Difference {
        setting,
        expected: expected.to_string(),
        actual: actual.map_or_else(|| "unknown".to_owned(), T::to_string),
    })
}

/// Whether two texts are the same JSON, however it is written.
fn is_same_json(one: &str, other: &str) -> bool {
    let parse = |text| serde_json::from_str::<serde_json::Value>(text).ok();
    parse(one).is_some_and(|one| parse(other) == Some(one))
}
