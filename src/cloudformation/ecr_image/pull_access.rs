//! `PullAccess`: who may pull from the image's repository, by its policy.
//!
//! The statements are those of the resource's present image. Where an Update replaces the image,
//! the new one comes with its own, and the Delete of the old one takes only the old ones away.

use tokio::time::Instant;
use tracing::warn;

use crate::cloudformation::error::Failure;
use crate::cloudformation::grants::{GRANTS, grants};
use crate::cloudformation::reader::Reader;
use crate::cloudformation::request::{Action, Properties, Request};
use crate::cloudformation::text;
use crate::deploy::{Access, Deploy, PolicyPart, arn_of};
use crate::oci::Repository;
use crate::policy::{Grants, Owner};

const NAME: &str = "PullAccess";

/// Who may pull, if the resource says so.
pub(super) fn read(reader: &mut Reader<'_>, destination: Option<&Repository>) -> Option<Grants> {
    let map = reader.object(NAME)?;
    if destination.is_some_and(|repository| arn_of(repository).is_none()) {
        reader.problem(
            NAME,
            "the destination is in no private ECR registry: there is no policy to write",
        );
    }
    Some(reader.within(NAME, map, GRANTS, grants))
}

/// What an image's resource writes into the policy of its repository.
pub(super) struct Part<'a> {
    pub(super) request: &'a Request,
    /// The resource's physical ID.
    pub(super) image: String,
    pub(super) repository: Repository,
    pub(super) access: Access,
}

impl Part<'_> {
    /// Create and Update: the policy says what the resource does.
    pub(super) async fn put(
        self,
        deploy: &dyn Deploy,
        grants: Option<&Grants>,
        deadline: Instant,
    ) -> Result<(), Failure> {
        let Some(grants) = grants else {
            let kept = self.request.physical_resource_id == self.image;
            let before = kept && self.request.action == Action::Update;
            if before && has(&self.request.old_properties) {
                return self.revoke(deploy, deadline).await;
            }
            return Ok(());
        };
        let is_new = self.request.physical_resource_id != self.image;
        let part = self.part();
        let Err(source) = deploy.grant(&part, grants, deadline).await else {
            return Ok(());
        };
        // What may have been written belongs to an image that the stack will never know.
        if is_new && let Err(error) = deploy.revoke(&part, deadline).await {
            warn!(
                error = text::chain(&*error),
                "what was not granted was not removed"
            );
        }
        Err(Failure::Grant {
            repository: part.repository.to_string(),
            source,
        })
    }

    /// Delete: the policy says nothing of the resource.
    pub(super) async fn delete(
        self,
        deploy: &dyn Deploy,
        deadline: Instant,
    ) -> Result<(), Failure> {
        let properties = self.request.properties.as_ref();
        if !properties.is_ok_and(has) || arn_of(&self.repository).is_none() {
            return Ok(());
        }
        self.revoke(deploy, deadline).await
    }

    async fn revoke(self, deploy: &dyn Deploy, deadline: Instant) -> Result<(), Failure> {
        let part = self.part();
        let revoked = deploy.revoke(&part, deadline).await;
        revoked.map_err(|source| Failure::Revoke {
            repository: part.repository.to_string(),
            source,
        })
    }

    fn part(self) -> PolicyPart {
        let scope = format!("{}\n{}", self.request.stack_id, self.image);
        PolicyPart {
            repository: self.repository,
            owner: Owner::new(&scope, &self.request.logical_resource_id),
            access: self.access,
        }
    }
}

fn has(properties: &Properties) -> bool {
    properties.contains_key(NAME)
}
