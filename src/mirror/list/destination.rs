//! The place where the images of an entry go.

use serde_json::Value;

use super::fields::{Field, Fields};
use super::node::Kind;
use super::problem::{Place, Problems};
use super::table::DESTINATION;
use super::template::{InvalidTemplate, Template};
use crate::cloudformation::Properties;
use crate::deploy::{Access, Credentials, Role};
use crate::oci::Reference;

/// One destination of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Destination {
    pub(super) place: Place,
    pub(super) name: Name,
    /// The way in which it is reached, as properties of a destination of `Custom::ECRImage`.
    pub(super) properties: Properties,
    /// The same, read.
    pub(super) access: Access,
}

/// The way in which a destination is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// In full.
    Full(Template),
    /// By its registry, and a template that may be the entry's.
    Registry {
        registry: String,
        template: Option<Template>,
    },
}

/// The members that say how a destination is reached.
const ACCESS: &[&str] = &["roleArn", "externalId", "credentials"];

impl Destination {
    /// Reads a destination: a map, or its name alone.
    pub(super) fn read(field: &Field<'_>, problems: &mut Problems) -> Option<Self> {
        if let Kind::Map(_) = field.node.kind {
            return Self::read_map(field, problems);
        }
        if field.node.text().is_none() {
            let kind = field.node.name();
            field.problem(
                problems,
                format_args!("expected a text or a map, got {kind}"),
            );
            return None;
        }
        Some(Self {
            place: field.place.clone(),
            name: full_or_registry(field, problems)?,
            properties: Properties::new(),
            access: Access::default(),
        })
    }

    fn read_map(field: &Field<'_>, problems: &mut Problems) -> Option<Self> {
        let fields = Fields::read(field.node, field.place.clone(), DESTINATION, problems)?;
        let mut properties = Properties::new();
        for name in ACCESS {
            if let Some(text) = fields.text(name, problems) {
                properties.insert(property(name), Value::from(text));
            }
        }
        let template = fields
            .get("template")
            .and_then(|field| template_of_registry(field, problems));
        let name = match (fields.get("destination"), fields.get("registry")) {
            (Some(full), None) => full_or_registry(full, problems)?,
            (None, Some(of)) => Name::Registry {
                registry: registry(of, problems)?,
                template,
            },
            (Some(_), Some(_)) => {
                field.problem(problems, "expected destination or registry, got both");
                return None;
            }
            (None, None) => {
                field.problem(problems, "destination or registry is required");
                return None;
            }
        };
        if let (Name::Full(_), Some(template)) = (&name, fields.get("template")) {
            template.problem(
                problems,
                "it is for a registry; the destination has its own",
            );
        }
        Some(Self {
            place: field.place.clone(),
            name,
            access: access(&properties),
            properties,
        })
    }
}

/// A template for a registry, which it must name.
pub(super) fn template_of_registry(field: &Field<'_>, problems: &mut Problems) -> Option<Template> {
    let template: Template = field.parse(problems)?;
    if !template.names_registry() {
        field.problem(
            problems,
            "{registry} is missing: expected one such as {registry}/mirror/{repository}:{tag}",
        );
        return None;
    }
    Some(template)
}

/// The name of a property of `Custom::ECRImage` by a key.
pub(super) fn property(key: &str) -> String {
    let mut letters = key.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

fn full_or_registry(field: &Field<'_>, problems: &mut Problems) -> Option<Name> {
    let text = field.text(problems)?;
    if !text.contains(['/', '{']) {
        return Some(Name::Registry {
            registry: registry(field, problems)?,
            template: None,
        });
    }
    let template: Template = field.parse(problems)?;
    if template.names_registry() {
        field.problem(problems, InvalidTemplate::Registry);
        return None;
    }
    Some(Name::Full(template))
}

/// The host of a registry.
pub(super) fn registry(field: &Field<'_>, problems: &mut Problems) -> Option<String> {
    let text = field.text(problems)?;
    host(text)
        .map_err(|problem| field.problem(problems, problem))
        .ok()
}

/// The host of a registry as references have it, or what is wrong with it.
pub(super) fn host(text: &str) -> Result<String, String> {
    let is_host = text.contains(['.', ':']) || text == "localhost";
    if !is_host || text.contains('/') {
        return Err(format!(
            "{text:?} is no registry: expected a host such as \
             <account>.dkr.ecr.<region>.amazonaws.com"
        ));
    }
    let reference: Reference = format!("{text}/any/repository")
        .parse()
        .map_err(|error: crate::oci::InvalidReference| error.to_string())?;
    Ok(reference.repository().registry().to_owned())
}

/// The way in which a side is reached, by properties that are checked elsewhere.
pub(super) fn access(properties: &Properties) -> Access {
    let text = |name| properties.get(name).and_then(Value::as_str);
    Access {
        credentials: text("Credentials").map(|name| Credentials::Stored(name.to_owned())),
        role: text("RoleArn").map(|arn| Role {
            arn: arn.to_owned(),
            external_id: text("ExternalId").map(str::to_owned),
            purpose: String::new(),
        }),
    }
}
