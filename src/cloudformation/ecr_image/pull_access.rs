//! `PullAccess`: who may pull from the image's repository, by its policy.
//!
//! The statements are those of the resource's present image. Where an Update replaces the image,
//! the new one comes with its own, and the Delete of the old one takes only the old ones away.

use tokio::time::Instant;
use tracing::warn;

use crate::cloudformation::error::Failure;
use crate::cloudformation::grants::{GRANTS, grants};
use crate::cloudformation::invalid_properties::Properties;
use crate::cloudformation::reader::Reader;
use crate::cloudformation::request::{Action, Request};
use crate::cloudformation::text;
use crate::deploy::{Deploy, PolicyPart, Target, arn_of};
use crate::policy::{Grants, Owner};

const NAME: &str = "PullAccess";

/// Who may pull, if the resource says so.
pub(super) fn read(reader: &mut Reader<'_>, targets: &[Target]) -> Option<Grants> {
    let map = reader.object(NAME)?;
    for Target { repository, .. } in targets {
        if arn_of(repository).is_none() {
            reader.problem(
                NAME,
                format_args!(
                    "{repository} is in no private ECR registry: there is no policy to write"
                ),
            );
        }
    }
    Some(reader.within(NAME, map, GRANTS, grants))
}

/// What an image's resource writes into the policies of its repositories.
pub(super) struct Parts<'a> {
    pub(super) request: &'a Request,
    /// The resource's physical ID.
    pub(super) image: &'a str,
    /// The repositories.
    pub(super) targets: Vec<Target>,
}

impl Parts<'_> {
    /// Create and Update: the policies say what the resource does.
    pub(super) async fn put(
        &self,
        deploy: &dyn Deploy,
        grants: Option<&Grants>,
        deadline: Instant,
    ) -> Result<(), Failure> {
        let is_new = self.request.physical_resource_id != self.image;
        let Some(grants) = grants else {
            let before = !is_new && self.request.action == Action::Update;
            if before && has(&self.request.old_properties) {
                return self.revoke(deploy, deadline).await;
            }
            return Ok(());
        };
        let mut written = Vec::new();
        for target in &self.targets {
            let part = self.part(target);
            let granted = deploy.grant(&part, grants, deadline).await;
            written.push(part);
            let Err(source) = granted else {
                continue;
            };
            if is_new {
                withdraw(deploy, &written, deadline).await;
            }
            return Err(Failure::Grant {
                repository: target.repository.to_string(),
                source,
            });
        }
        Ok(())
    }

    /// Delete, or an Update that leaves these repositories: their policies say nothing of the
    /// resource, which had these properties.
    pub(super) async fn delete(
        &self,
        deploy: &dyn Deploy,
        properties: &Properties,
        deadline: Instant,
    ) -> Result<(), Failure> {
        if !has(properties) {
            return Ok(());
        }
        self.revoke(deploy, deadline).await
    }

    /// Tries all repositories, and fails for the first that failed.
    async fn revoke(&self, deploy: &dyn Deploy, deadline: Instant) -> Result<(), Failure> {
        let mut result = Ok(());
        for target in &self.targets {
            if arn_of(&target.repository).is_none() {
                continue;
            }
            let revoked = deploy.revoke(&self.part(target), deadline).await;
            result = result.and(revoked.map_err(|source| Failure::Revoke {
                repository: target.repository.to_string(),
                source,
            }));
        }
        result
    }

    fn part(&self, target: &Target) -> PolicyPart {
        let scope = format!("{}\n{}", self.request.stack_id, self.image);
        PolicyPart {
            repository: target.repository.clone(),
            owner: Owner::new(&scope, &self.request.logical_resource_id),
            access: target.access.clone(),
        }
    }
}

/// Removes what was written for an image that the stack will never know.
async fn withdraw(deploy: &dyn Deploy, written: &[PolicyPart], deadline: Instant) {
    for part in written {
        if let Err(error) = deploy.revoke(part, deadline).await {
            let repository = &part.repository;
            warn!(
                %repository,
                error = text::chain(&*error),
                "what was granted in vain was not removed"
            );
        }
    }
}

fn has(properties: &Properties) -> bool {
    properties.contains_key(NAME)
}
