//! The ledger: the tags that one mirror wrote, and the digests that it gave them. Nothing else is
//! ever pruned.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::item::Item;
use super::outcome::{Outcome, Status};
use crate::cloudformation::image_of;
use crate::deploy::{Access, Credentials, Role};
use crate::oci::{Digest, Reference, Repository};

/// The name under which roles are assumed for pruning.
const PURPOSE: &str = "longshore-mirror";

/// The tags that a mirror wrote.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Ledger {
    /// The digest that each tag was given. A key is repository and tag.
    pub tags: BTreeMap<String, Digest>,
    /// Access to the repositories that need a role or credentials.
    #[serde(default)]
    pub ways: BTreeMap<String, Way>,
}

/// A role and credentials for one repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Way {
    /// ARN or name of the secret with the registry's credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<String>,
    /// ARN of the role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
    /// The external ID that the role asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
}

impl Ledger {
    /// Notes the tags that were written for an item. Tells whether that is news.
    pub fn note(&mut self, item: &Item, outcome: &Outcome) -> bool {
        let Some(digest) = outcome.digest.as_ref() else {
            return false;
        };
        if outcome.status != Status::Copied {
            return false;
        }
        let mut is_news = false;
        for destination in &outcome.destinations {
            let tagged: Option<Reference> = destination.parse().ok();
            if tagged.is_none_or(|reference| reference.tag().is_none()) {
                continue;
            }
            let before = self.tags.insert(destination.clone(), digest.clone());
            is_news |= before.as_ref() != Some(digest);
        }
        if is_news {
            self.note_ways(item);
        }
        is_news
    }

    fn note_ways(&mut self, item: &Item) {
        let Ok((image, _)) = image_of(&item.properties) else {
            return;
        };
        for target in image.targets {
            let way = Way::of(&target.access);
            let repository = target.repository.to_string();
            if way == Way::default() {
                self.ways.remove(&repository);
            } else {
                self.ways.insert(repository, way);
            }
        }
    }

    /// The access with which a repository was last written to.
    pub fn access(&self, repository: &Repository) -> Access {
        let way = self.ways.get(&repository.to_string());
        way.map(Way::access).unwrap_or_default()
    }
}

impl Way {
    fn of(access: &Access) -> Self {
        let role = access.role.as_ref();
        Self {
            credentials: match &access.credentials {
                Some(Credentials::Stored(name)) => Some(name.clone()),
                Some(Credentials::Given(_)) | None => None,
            },
            role_arn: role.map(|role| role.arn.clone()),
            external_id: role.and_then(|role| role.external_id.clone()),
        }
    }

    fn access(&self) -> Access {
        Access {
            credentials: self.credentials.clone().map(Credentials::Stored),
            role: self.role_arn.clone().map(|arn| Role {
                arn,
                external_id: self.external_id.clone(),
                purpose: PURPOSE.to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(status: Status, destinations: &[&str]) -> Outcome {
        Outcome {
            id: "0".to_owned(),
            entry: 0,
            source: "h.io/a:1".to_owned(),
            status,
            why: None,
            digest: Some(Digest::sha256(b"a")),
            destinations: destinations.iter().map(ToString::to_string).collect(),
            error: None,
            reason: None,
            bytes_uploaded: 0,
            bytes_reused: 0,
        }
    }

    fn item() -> Item {
        let properties = serde_json::json!({
            "Source": "h.io/a:1",
            "Destinations": ["h.io/a:1", {
                "Destination": "h.io/b:1", "RoleArn": "arn:aws:iam::210987654321:role/mirror",
            }],
        });
        Item {
            id: "0".to_owned(),
            entry: 0,
            registry: "h".to_owned(),
            source: "h.io/a:1".to_owned(),
            digest: None,
            reason: crate::mirror::Reason::Missing,
            requests_per_second: None,
            properties: properties.as_object().unwrap().clone(),
        }
    }

    #[test]
    fn only_tags_that_were_written_are_noted() {
        let mut ledger = Ledger::default();
        let mut note = |status, destinations: &[&str]| {
            let item = item();
            ledger.note(&item, &outcome(status, destinations))
        };
        assert!(!note(Status::Failed, &["h.io/a:1"]));
        assert!(!note(Status::Copied, &["h.io/a"]));
        assert!(note(Status::Copied, &["h.io/a:1", "h.io/b:1"]));
        assert!(!note(Status::Copied, &["h.io/a:1"]));
        assert_eq!(ledger.tags.len(), 2);
        let reference: Reference = "h.io/b:1".parse().unwrap();
        let role = ledger.access(reference.repository()).role.unwrap();
        assert_eq!(role.arn, "arn:aws:iam::210987654321:role/mirror");
        let reference: Reference = "h.io/a:1".parse().unwrap();
        assert_eq!(ledger.access(reference.repository()), Access::default());
    }
}
