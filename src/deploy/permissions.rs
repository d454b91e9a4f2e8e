//! Who may pull: a resource's part of a repository's policy.

use tokio::time::Instant;
use tracing::warn;

use super::reach::Reach;
use super::repository_name::arn_of;
use super::{Access, Error};
use crate::aws::{EcrHost, EcrPolicy, EcrRepository};
use crate::oci::Repository;
use crate::policy::{self, Applied, Grants, OwnedStatement, Owner};

/// The part of a repository's policy that one owner writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyPart {
    /// The repository, in a private registry of ECR.
    pub repository: Repository,
    /// Who writes it.
    pub owner: Owner,
    /// The way in which ECR is reached. Only the role matters.
    pub access: Access,
}

/// A policy that says what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The repository's ARN.
    pub repository_arn: String,
    /// The whole policy, as JSON without white space. Empty where the repository has none.
    pub policy: String,
    /// The Sids of the owner's statements.
    pub sids: Vec<String>,
    /// The number of times that the policy was written: 0 where it said everything already.
    pub writes: u32,
}

impl Granted {
    fn of(repository_arn: String, statements: &[OwnedStatement], applied: Applied) -> Self {
        let sids = statements.iter().map(OwnedStatement::sid);
        Self {
            repository_arn,
            policy: applied.text,
            sids: sids.map(str::to_owned).collect(),
            writes: applied.writes,
        }
    }
}

impl Reach {
    /// Makes the grants the owner's statements in the repository's policy.
    pub(super) async fn grant(
        &self,
        part: &PolicyPart,
        grants: &Grants,
        deadline: Instant,
    ) -> Result<Granted, Error> {
        let (repository_arn, policy) = self.policy(part).await?;
        let partition = repository_arn.split(':').nth(1).unwrap_or_default();
        let refused = |source| Error::Grants {
            repository: part.repository.clone(),
            source,
        };
        let statements = grants.statements(&part.owner, partition).map_err(refused)?;
        if self.grants_pulls_only()
            && let Err(refusal) = grants.only_pulls()
        {
            // A rollback to what was granted before the operator forbade it must not fail.
            let held = policy::holds(&policy, &part.owner, &statements, deadline).await;
            if !held.map_err(Error::Policy)? {
                return Err(refused(refusal));
            }
            warn!(
                repository = repository_arn,
                "more than pulling was granted before, and stays"
            );
        }
        let applied = policy::apply(&policy, &part.owner, &statements, deadline).await;
        Ok(Granted::of(
            repository_arn,
            &statements,
            applied.map_err(Error::Policy)?,
        ))
    }

    /// Finds out what granting, or revoking without `grants`, would write into the repository's
    /// policy by `deadline`. Nothing is written; `writes` of the result is 1 where it would be.
    ///
    /// # Errors
    ///
    /// Those of granting and revoking that show before a write.
    pub async fn preview_policy(
        &self,
        part: &PolicyPart,
        grants: Option<&Grants>,
        deadline: Instant,
    ) -> Result<Granted, Error> {
        let (repository_arn, policy) = self.policy(part).await?;
        let partition = repository_arn.split(':').nth(1).unwrap_or_default();
        let statements = match grants {
            Some(grants) => grants.statements(&part.owner, partition),
            None => Ok(Vec::new()),
        };
        let statements = statements.map_err(|source| Error::Grants {
            repository: part.repository.clone(),
            source,
        })?;
        let preview = policy::preview(&policy, &part.owner, &statements, deadline).await;
        Ok(Granted::of(
            repository_arn,
            &statements,
            preview.map_err(Error::Policy)?,
        ))
    }

    /// Removes the owner's statements from the repository's policy.
    pub(super) async fn revoke(&self, part: &PolicyPart, deadline: Instant) -> Result<(), Error> {
        let (_, policy) = self.policy(part).await?;
        let withdrawn = policy::withdraw(&policy, &part.owner, deadline).await;
        withdrawn.map(|_| ()).map_err(Error::Policy)
    }

    async fn policy(&self, part: &PolicyPart) -> Result<(String, EcrPolicy), Error> {
        let host = EcrHost::parse(part.repository.registry());
        let (Some(EcrHost::Private(host)), Some(arn)) = (host, arn_of(&part.repository)) else {
            return Err(Error::NoPolicy {
                repository: part.repository.clone(),
            });
        };
        let clients = self.clients(&part.access).await;
        let repository = EcrRepository::new(&clients, &host, part.repository.name());
        Ok((arn, EcrPolicy::new(repository)))
    }
}
