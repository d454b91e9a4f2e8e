//! Access to the registries of the sources, and the rate of requests to them.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use serde_json::Value;

use super::destination::{access, host, property};
use super::fields::{Field, Fields};
use super::node::Kind;
use super::problem::{Place, Problem, Problems};
use super::table::REGISTRY;
use crate::cloudformation::Properties;
use crate::deploy::Access;

/// The rules for a registry of sources.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RegistryRules {
    /// Images that are copied from there at once.
    pub max_concurrency: Option<NonZeroUsize>,
    /// Requests to it in a second.
    pub requests_per_second: Option<f64>,
    /// The access to it.
    pub access: Access,
    pub(super) place: Place,
    /// The keys that are there.
    pub(super) keys: Vec<(&'static str, Place)>,
    /// The way in which it is reached, as properties of `Custom::ECRImage`.
    pub(super) properties: Properties,
}

/// The members that say how a registry is reached.
const ACCESS: &[&str] = &["credentials", "roleArn", "externalId"];
/// Most requests in a second that a list may ask for.
const MAX_RATE: f64 = 10_000.0;

/// Reads `registries`.
pub(super) fn registries(
    field: &Field<'_>,
    problems: &mut Problems,
) -> BTreeMap<String, RegistryRules> {
    let mut registries = BTreeMap::new();
    let Kind::Map(members) = &field.node.kind else {
        let name = field.node.name();
        field.problem(problems, format_args!("expected a map, got {name}"));
        return registries;
    };
    for member in members {
        let place = field.place.member(&member.name, member.line);
        let name = match host(&member.name) {
            Ok(name) => name,
            Err(problem) => {
                problems.push(Problem::new(&place, problem));
                continue;
            }
        };
        let Some(fields) = Fields::read(&member.value, place.clone(), REGISTRY, problems) else {
            continue;
        };
        let rules = rules(&fields, problems);
        if registries.insert(name, rules).is_some() {
            problems.push(Problem::new(&place, "it is there twice"));
        }
    }
    registries
}

fn rules(fields: &Fields<'_>, problems: &mut Problems) -> RegistryRules {
    let concurrency = fields
        .get("maxConcurrency")
        .and_then(|field| field.number(&(1..=1000), problems));
    let rate = fields
        .get("requestsPerSecond")
        .and_then(|field| rate(field, problems));
    let mut own = Properties::new();
    let mut properties = Properties::new();
    for name in ACCESS {
        if let Some(text) = fields.text(name, problems) {
            own.insert(property(name), Value::from(text));
            properties.insert(format!("Source{}", property(name)), Value::from(text));
        }
    }
    RegistryRules {
        max_concurrency: concurrency.and_then(NonZeroUsize::new),
        requests_per_second: rate,
        access: access(&own),
        place: fields.place.clone(),
        keys: fields.places(),
        properties,
    }
}

fn rate(field: &Field<'_>, problems: &mut Problems) -> Option<f64> {
    let text = field.text(problems)?;
    let rate = text
        .parse()
        .ok()
        .filter(|rate: &f64| *rate > 0.0 && *rate <= MAX_RATE);
    if rate.is_none() {
        field.problem(
            problems,
            format_args!("expected a number above 0, up to {MAX_RATE}, got {text:?}"),
        );
    }
    rate
}
