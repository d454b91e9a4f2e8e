//! Templates: how the name of a destination is made of its source's.

use std::fmt;
use std::str::FromStr;

use crate::oci::{Repository, Tag};

/// The name of a destination with placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template {
    parts: Vec<Part>,
    has_tag: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Placeholder(Placeholder),
}

/// The values that a template may take from its source and its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Placeholder {
    Registry,
    Repository,
    Name,
    Host,
    Tag,
}

/// The placeholders by their names.
const PLACEHOLDERS: &[(&str, Placeholder)] = &[
    ("registry", Placeholder::Registry),
    ("repository", Placeholder::Repository),
    ("name", Placeholder::Name),
    ("host", Placeholder::Host),
    ("tag", Placeholder::Tag),
];

/// The values of a template's placeholders.
#[derive(Clone, Copy)]
pub(super) struct Values<'a> {
    pub(super) registry: &'a str,
    pub(super) source: &'a Repository,
    pub(super) tag: Option<&'a Tag>,
}

/// A template that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidTemplate {
    /// No placeholder has this name.
    #[error(
        "unknown placeholder {{{0}}}: expected {{registry}}, {{repository}}, {{name}}, {{host}} or \
         {{tag}}"
    )]
    Unknown(String),
    /// A brace has no other.
    #[error("a brace has no other: placeholders are written as {{tag}}")]
    Brace,
    /// A registry is needed, and none is given.
    #[error("{{registry}} has no meaning where the registry itself is written here")]
    Registry,
}

impl Template {
    /// Returns true if the name depends on the source's tag.
    pub(super) fn follows_tag(&self) -> bool {
        !self.has_tag || self.names_tag()
    }

    /// Returns true if `{tag}` is in it.
    pub(super) fn names_tag(&self) -> bool {
        self.has(Placeholder::Tag)
    }

    /// Returns true if `{registry}` is in it.
    pub(super) fn names_registry(&self) -> bool {
        self.has(Placeholder::Registry)
    }

    fn has(&self, placeholder: Placeholder) -> bool {
        self.parts.contains(&Part::Placeholder(placeholder))
    }

    /// The name. One without a tag gets the source's.
    pub(super) fn expand(&self, values: Values<'_>) -> String {
        let mut name = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => name.push_str(text),
                Part::Placeholder(placeholder) => name.push_str(values.get(*placeholder)),
            }
        }
        if let Some(tag) = values.tag.filter(|_| !self.has_tag) {
            name.push(':');
            name.push_str(tag.as_str());
        }
        name
    }
}

impl<'a> Values<'a> {
    fn get(self, placeholder: Placeholder) -> &'a str {
        let repository = self.source.name();
        match placeholder {
            Placeholder::Registry => self.registry,
            Placeholder::Repository => repository,
            Placeholder::Name => repository.rsplit('/').next().unwrap_or(repository),
            Placeholder::Host => self.source.registry(),
            Placeholder::Tag => self.tag.map_or("", Tag::as_str),
        }
    }
}

impl FromStr for Template {
    type Err = InvalidTemplate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or(InvalidTemplate::Brace)?;
            let mut known = PLACEHOLDERS.iter();
            let (_, placeholder) = known
                .find(|(known, _)| *known == name)
                .ok_or_else(|| InvalidTemplate::Unknown(name.to_owned()))?;
            parts.extend(written(before)?);
            parts.push(Part::Placeholder(*placeholder));
            rest = after;
        }
        parts.extend(written(rest)?);
        let last = text.rsplit('/').next().unwrap_or(text);
        Ok(Self {
            parts,
            has_tag: text.contains('/') && last.contains(':'),
        })
    }
}

fn written(text: &str) -> Result<Option<Part>, InvalidTemplate> {
    if text.contains('}') {
        return Err(InvalidTemplate::Brace);
    }
    Ok((!text.is_empty()).then(|| Part::Text(text.to_owned())))
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Text(text) => f.write_str(text)?,
                Part::Placeholder(placeholder) => {
                    let mut known = PLACEHOLDERS.iter();
                    let name = known.find(|(_, known)| known == placeholder);
                    write!(f, "{{{}}}", name.map_or("", |(name, _)| name))?;
                }
            }
        }
        Ok(())
    }
}
