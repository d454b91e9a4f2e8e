//! Creating a repository, and seeing how one that is there differs from what is asked for.

use std::fmt;

use serde::Deserialize;
use serde_json::{Value, json};

use super::repository::{Description, unless_missing};
use super::{EcrRepository, Encryption, Mutability, RepositorySettings};
use crate::aws::{Error, Missing, Operation};

/// The result of [`EcrRepository::ensure`].
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
    /// The image that was asked for.
    pub expected: String,
    /// The error of reading it.
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

/// The code of a repository that is there.
const EXISTS: &str = "RepositoryAlreadyExistsException";

#[derive(Deserialize)]
struct Created {
    repository: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Lifecycle {
    lifecycle_policy_text: Option<String>,
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

    /// Returns true if it was this call that created the repository.
    async fn create(&self, settings: &RepositorySettings) -> Result<bool, Error> {
        let body = self.named_in(settings.request());
        let answer: Created = match self.ask(Operation::CreateRepository, &body).await {
            Err(Error::Refused { source, .. }) if &*source.code == EXISTS => return Ok(false),
            answer => answer?,
        };
        let expected = "the repository that was created";
        self.required(Operation::CreateRepository, expected, answer.repository)?;
        Ok(true)
    }

    async fn set_lifecycle_policy(&self, settings: &RepositorySettings) -> Result<(), Error> {
        let Some(policy) = &settings.lifecycle_policy else {
            return Ok(());
        };
        let body = self.named_in(json!({ "lifecyclePolicyText": policy }));
        let answer: Lifecycle = self.ask(Operation::PutLifecyclePolicy, &body).await?;
        let expected = "the lifecycle policy that was set";
        let set = answer.lifecycle_policy_text;
        self.required(Operation::PutLifecyclePolicy, expected, set)?;
        Ok(())
    }

    async fn lifecycle_policy(&self) -> Result<Option<String>, Error> {
        let body = self.named_in(json!({}));
        let answer = self.ask(Operation::GetLifecyclePolicy, &body).await;
        let Some(answer): Option<Lifecycle> = unless_missing(answer, Missing::Policy)? else {
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
    let filters = present.image_tag_mutability_exclusion_filters.as_deref();
    let filters = filters.unwrap_or_default();
    let mutability = present.image_tag_mutability.as_deref();
    let mutability = mutability.and_then(|kind| Mutability::of(kind, filters));
    let scanning = present.image_scanning_configuration.as_ref();
    let scan_on_push = scanning.map(|scanning| scanning.scan_on_push);
    let encryption = present.encryption_configuration.as_ref();
    let encryption = encryption.and_then(Encryption::of);
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

/// Returns true if two texts are the same JSON, however it is written.
fn is_same_json(one: &str, other: &str) -> bool {
    let parse = |text| serde_json::from_str::<serde_json::Value>(text).ok();
    parse(one).is_some_and(|one| parse(other) == Some(one))
}
