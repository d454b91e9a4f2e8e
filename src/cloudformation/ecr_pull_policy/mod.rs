//! The life of a `Custom::ECRPullPolicy`: its statements in the policy of a repository.
//!
//! The physical ID is the repository's ARN and the owner of the statements, so that another
//! repository is a replacement, and another spelling of the same one is not.

mod table;

use serde_json::Value;
use tokio::time::Instant;
use tracing::{info, warn};

use super::done::Done;
use super::ecr_image::role;
use super::error::Failure;
use super::grants::grants;
use super::invalid_properties::{InvalidProperties, Properties};
use super::reader::Reader;
use super::request::Request;
use super::response::Attributes;
use super::text;
use crate::deploy::{Access, Deploy, Granted, Home, PolicyPart, Role, repository_named};
use crate::oci::Repository;
use crate::policy::{Grants, Owner};

pub use table::PROPERTIES;

/// Longest `PolicyText`, in bytes as a JSON string: an answer has 4096 in all. A longer policy is
/// left out, since half of one is none.
const MAX_POLICY_TEXT: usize = 2400;
/// What separates the parts of a physical ID. No ARN has it.
const SEPARATOR: char = '#';

/// Create and Update: the repository's policy has the resource's statements.
pub(super) async fn put(
    deploy: &dyn Deploy,
    request: &Request,
    deadline: Instant,
) -> Result<Done, Failure> {
    let read = read(request, request.readable()?);
    let (part, grants) = read.map_err(|problems| request.invalid(problems))?;
    info!(repository = %part.repository, "granting");
    let granted = deploy.grant(&part, &grants, deadline).await;
    let granted = granted.map_err(|source| Failure::Grant {
        repository: part.repository.to_string(),
        source,
    })?;
    info!(writes = granted.writes, "granted");
    Ok(Done {
        physical_resource_id: format!("{}{SEPARATOR}{}", granted.repository_arn, part.owner.id()),
        attributes: attributes(&part.repository, granted),
    })
}

/// Delete: the resource's statements go. Properties that are malformed do not keep it from going: the
/// physical ID says where it is.
pub(super) async fn delete(
    deploy: &dyn Deploy,
    request: &Request,
    deadline: Instant,
) -> Result<Done, Failure> {
    let none = Properties::new();
    let properties = request.properties.as_ref().unwrap_or(&none);
    let mut reader = Reader::new(properties, PROPERTIES);
    let role = own_role(&mut reader, request);
    let made = made(&request.physical_resource_id);
    let part = |repository| PolicyPart {
        repository,
        owner: owner(request),
        access: Access {
            role: role.clone(),
            ..Access::default()
        },
    };
    if let Some(repository) = &made {
        let part = part(repository.clone());
        let revoked = deploy.revoke(&part, deadline).await;
        revoked.map_err(|source| Failure::Revoke {
            repository: repository.to_string(),
            source,
        })?;
    } else if let Some(repository) = repository(&mut reader, request, role.as_ref()) {
        // A Create that failed may have written before it did, and has to go in any case.
        if let Err(error) = deploy.revoke(&part(repository), deadline).await {
            warn!(
                error = text::chain(&*error),
                "what was not made was not removed"
            );
        }
    }
    Ok(Done {
        physical_resource_id: request.physical_resource_id.clone(),
        attributes: Attributes::new(),
    })
}

fn read(
    request: &Request,
    properties: &Properties,
) -> Result<(PolicyPart, Grants), InvalidProperties> {
    let mut reader = Reader::new(properties, PROPERTIES);
    let role = own_role(&mut reader, request);
    let repository = repository(&mut reader, request, role.as_ref());
    let grants = grants(&mut reader);
    let part = repository.map(|repository| PolicyPart {
        repository,
        owner: owner(request),
        access: Access {
            role,
            ..Access::default()
        },
    });
    reader.finish(part.map(|part| (part, grants)))
}

fn own_role(reader: &mut Reader<'_>, request: &Request) -> Option<Role> {
    let role = role(reader, "RoleArn", "ExternalId")?;
    Some(Role {
        purpose: request.purpose(),
        ..role
    })
}

fn repository(
    reader: &mut Reader<'_>,
    request: &Request,
    role: Option<&Role>,
) -> Option<Repository> {
    let text = reader.text("Repository")?;
    let home = Home::of_stack(&request.stack_id, role);
    repository_named(&text, home.as_ref())
        .inspect_err(|error| reader.problem("Repository", text::chain(error)))
        .ok()
}

/// The repository of a physical ID. That of a Create that failed names none.
fn made(physical_resource_id: &str) -> Option<Repository> {
    let (arn, _) = physical_resource_id.split_once(SEPARATOR)?;
    repository_named(arn, None).ok()
}

fn owner(request: &Request) -> Owner {
    Owner::new(&request.stack_id, &request.logical_resource_id)
}

/// Every attribute of the resource, in the order in which a reference shows them.
fn attributes(repository: &Repository, granted: Granted) -> Attributes {
    let mut policy = granted.policy;
    if Value::from(policy.as_str()).to_string().len() > MAX_POLICY_TEXT {
        policy.clear();
    }
    vec![
        ("PolicyText", policy),
        ("RepositoryArn", granted.repository_arn),
        ("RepositoryUri", repository.to_string()),
        ("Sids", granted.sids.join(",")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_given_whole_or_not_at_all() {
        let repository =
            repository_named("arn:aws:ecr:eu-west-1:123456789012:repository/app", None);
        let repository = repository.unwrap();
        for (length, expected) in [(1000, 1000), (2398, 2398), (2399, 0), (10_240, 0)] {
            let granted = Granted {
                repository_arn: String::new(),
                policy: "x".repeat(length),
                sids: Vec::new(),
                writes: 1,
            };
            let (name, text) = attributes(&repository, granted).remove(0);
            assert_eq!((name, text.len()), ("PolicyText", expected));
        }
    }
}
