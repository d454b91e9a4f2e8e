//! From the tree of a document to a list.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::check::{self, Checked, Common};
use super::destination::{Destination, access, property, template_of_registry};
use super::entry::{Entry, Source};
use super::fields::{Field, Fields};
use super::filter::TagFilter;
use super::node::{Kind, Node};
use super::problem::{InvalidList, Place, Problem, Problems};
use super::registries::{RegistryRules, registries};
use super::table::{ENTRY, LIST, PROPERTIES, PRUNE};
use super::template::Template;
use super::{List, MAX_ENTRIES, Prune};
use crate::cloudformation::{
    CONDITIONED, CREATE_REPOSITORY, GRANTS, Properties, Property, SERVICE,
};
use crate::oci::Reference;

/// The name of a destination where the list gives no template.
const TEMPLATE: &str = "{registry}/{repository}:{tag}";

/// Most destinations of an entry.
const MAX_DESTINATIONS: usize = 1000;

/// Reads the tree of a document.
pub(super) fn read(tree: &Node) -> Result<List, InvalidList> {
    let mut problems = Problems::default();
    let list = list(tree, &mut problems);
    match list {
        Some(list) if problems.is_empty() => Ok(list),
        _ => Err(problems.into()),
    }
}

fn list(tree: &Node, problems: &mut Problems) -> Option<List> {
    let fields = Fields::read(tree, Place::default(), LIST, problems)?;
    if let Some(version) = fields.get("version") {
        version.choice(&[("1", ())], problems);
    }
    let tolerated = fields
        .get("toleratedFailurePercentage")
        .and_then(|field| field.number(&(0..=100), problems));
    let registries = fields
        .get("registries")
        .map(|field| registries(field, problems))
        .unwrap_or_default();
    let prune = fields.get("prune").and_then(|field| prune(field, problems));
    let defaults = Defaults::read(fields.get("defaults"), problems);
    let of_registries = registries.values().map(|rules| Common {
        properties: &rules.properties,
        place: &rules.place,
        keys: &rules.keys,
        prefix: "Source",
    });
    let shared = Shared {
        checked: check::shared(of_registries.chain([defaults.common()]), problems),
        defaults,
        registries: &registries,
    };
    let entries = fields
        .get("sync")
        .map(|field| entries(field, &shared, problems))
        .unwrap_or_default();
    check::conflicts(&entries, problems);
    Some(List {
        prune,
        tolerated_failure_percentage: tolerated.unwrap_or_default(),
        entries,
        registries,
    })
}

fn prune(field: &Field<'_>, problems: &mut Problems) -> Option<Prune> {
    let fields = Fields::read(field.node, field.place.clone(), PRUNE, problems)?;
    let share = fields.get("maxShare")?;
    let max_share = share.number(&(1..=100), problems)?;
    Some(Prune { max_share })
}

/// The properties that all entries share.
struct Shared<'a> {
    defaults: Defaults,
    registries: &'a BTreeMap<String, RegistryRules>,
    /// The problems that are told where they stand.
    checked: Checked,
}

/// The defaults of entries.
#[derive(Default)]
struct Defaults {
    place: Place,
    /// The keys that are there.
    keys: Vec<(&'static str, Place)>,
    tags: Option<Arc<TagFilter>>,
    destinations: Option<Arc<[Destination]>>,
    template: Option<Arc<Template>>,
    properties: Arc<Properties>,
}

impl Defaults {
    fn read(field: Option<&Field<'_>>, problems: &mut Problems) -> Self {
        /// Keys that are an entry's own.
        const OWN: [&str; 2] = ["source", "type"];
        let Some(field) = field else {
            return Self::default();
        };
        let own = |known: &&Property| OWN.contains(&known.name);
        let table: Vec<Property> = ENTRY.iter().filter(|known| !own(known)).copied().collect();
        let Some(fields) = Fields::read(field.node, field.place.clone(), &table, problems) else {
            return Self::default();
        };
        Self {
            place: field.place.clone(),
            keys: fields.places(),
            tags: tags(&fields, problems),
            destinations: destinations(&fields, problems),
            template: template(&fields, problems),
            properties: Arc::new(properties(&fields, problems)),
        }
    }

    /// Returns true if a key is there, be its value right or wrong.
    fn has(&self, key: &str) -> bool {
        self.keys.iter().any(|(known, _)| *known == key)
    }

    fn common(&self) -> Common<'_> {
        Common {
            properties: &self.properties,
            place: &self.place,
            keys: &self.keys,
            prefix: "",
        }
    }
}

fn entries(field: &Field<'_>, shared: &Shared<'_>, problems: &mut Problems) -> Vec<Entry> {
    let Kind::List(items) = &field.node.kind else {
        let name = field.node.name();
        field.problem(problems, format_args!("expected a list, got {name}"));
        return Vec::new();
    };
    if items.is_empty() {
        field.problem(problems, "the list is empty: expected at least one entry");
    }
    if field.is_too_long(MAX_ENTRIES, problems) {
        return Vec::new();
    }
    let entries = items.iter().enumerate().filter_map(|(index, item)| {
        let place = Place {
            entry: Some(index),
            ..field.place.item(index, item.line)
        };
        entry(item, place, shared, problems)
    });
    entries.collect()
}

fn entry(node: &Node, place: Place, shared: &Shared<'_>, problems: &mut Problems) -> Option<Entry> {
    let fields = Fields::read(node, place, ENTRY, problems)?;
    let tags = tags(&fields, problems);
    let source = source(&fields, tags, shared, problems);
    let template = template(&fields, problems)
        .or_else(|| shared.defaults.template.clone())
        .or_else(|| TEMPLATE.parse().ok().map(Arc::new));
    let keys = ["destination", "destinations"];
    let has_own = keys.iter().any(|key| fields.get(key).is_some());
    let has_default = keys.iter().any(|key| shared.defaults.has(key));
    let destinations = destinations(&fields, problems).or_else(|| {
        let defaults = shared.defaults.destinations.clone();
        defaults.filter(|_| !has_own)
    });
    let mut own = properties(&fields, problems);
    if !has_own && !has_default {
        problems.push(Problem::new(
            &fields.place,
            "destination is required: here, or for all entries in defaults",
        ));
    }
    let source = source?;
    if let Some(rules) = shared.registries.get(source.repository().registry()) {
        for (name, value) in &rules.properties {
            own.entry(name).or_insert_with(|| value.clone());
        }
    }
    let common = Arc::clone(&shared.defaults.properties);
    let entry = Entry {
        source_access: source_access(&own, &common),
        place: fields.place.clone(),
        source,
        destinations: destinations?,
        template: template?,
        own,
        common,
    };
    check::entry(&entry, &fields, &shared.checked, problems);
    Some(entry)
}

fn source_access(own: &Properties, common: &Properties) -> crate::deploy::Access {
    let names = ["Credentials", "RoleArn", "ExternalId"];
    let given = names.iter().filter_map(|name| {
        let of_source = format!("Source{name}");
        let value = own.get(&of_source).or_else(|| common.get(&of_source))?;
        Some(((*name).to_owned(), value.clone()))
    });
    access(&given.collect())
}

/// The source with its filter, as the entry's own keys say it.
fn source(
    fields: &Fields<'_>,
    tags: Option<Arc<TagFilter>>,
    shared: &Shared<'_>,
    problems: &mut Problems,
) -> Option<Source> {
    #[derive(Clone, Copy, PartialEq)]
    enum Type {
        Image,
        Repository,
    }
    const TYPES: &[(&str, Type)] = &[("image", Type::Image), ("repository", Type::Repository)];
    let kind = fields
        .get("type")
        .and_then(|field| field.choice(TYPES, problems));
    let field = fields.get("source")?;
    let reference: Reference = field.parse(problems)?;
    let is_image = reference.tag().is_some() || reference.digest().is_some();
    let mut contradiction = |name: &str, text: &str| {
        if let Some(field) = fields.get(name) {
            field.problem(problems, text);
        }
    };
    match (is_image, kind) {
        (true, Some(Type::Repository)) => {
            contradiction("type", "the source is one image: it has a tag or a digest");
        }
        (false, Some(Type::Image)) => {
            contradiction(
                "type",
                "the source is a repository: give it a tag or a digest",
            );
        }
        _ => {}
    }
    if is_image {
        contradiction("tags", "the source is one image: it has a tag or a digest");
        return Some(Source::Image(reference));
    }
    let all = || {
        let is_said = kind == Some(Type::Repository);
        is_said.then(|| Arc::new(TagFilter::all()))
    };
    let has_own = fields.get("tags").is_some();
    let default = shared.defaults.tags.clone().filter(|_| !has_own);
    let tags = tags.or(default).or_else(all);
    let is_given = has_own || shared.defaults.has("tags");
    if tags.is_none() && !is_given && kind != Some(Type::Image) {
        field.problem(
            problems,
            "it has neither tag nor digest: give it one, or give tags beside it (tags: {} for all)",
        );
    }
    Some(Source::Repository {
        repository: reference.repository().clone(),
        tags: tags?,
    })
}

fn tags(fields: &Fields<'_>, problems: &mut Problems) -> Option<Arc<TagFilter>> {
    let field = fields.get("tags")?;
    TagFilter::read(field, problems).map(Arc::new)
}

fn template(fields: &Fields<'_>, problems: &mut Problems) -> Option<Arc<Template>> {
    let field = fields.get("template")?;
    template_of_registry(field, problems).map(Arc::new)
}

fn destinations(fields: &Fields<'_>, problems: &mut Problems) -> Option<Arc<[Destination]>> {
    let one = fields.get("destination").cloned();
    let several = fields
        .get("destinations")
        .filter(|field| !field.is_too_long(MAX_DESTINATIONS, problems))
        .map(Field::items);
    let mut all: Vec<Field<'_>> = one.into_iter().collect();
    all.extend(several.into_iter().flatten());
    let read = all
        .iter()
        .filter_map(|field| Destination::read(field, problems));
    let read: Vec<Destination> = read.collect();
    (!read.is_empty()).then(|| read.into())
}

/// The keys that are properties of `Custom::ECRImage`.
fn properties(fields: &Fields<'_>, problems: &mut Problems) -> Properties {
    let known = fields
        .all()
        .filter(|field| PROPERTIES.contains(&field.name));
    let properties = known.map(|field| {
        let value = field.node.value(&field.place, problems);
        let value = match (field.name, value) {
            ("referrers", Value::Bool(true)) => Value::from("copy"),
            ("referrers", Value::Bool(false)) => Value::from("none"),
            ("createRepository", value) => members(value, CREATE_REPOSITORY),
            ("pullAccess", value) => pull_access(value),
            (_, value) => value,
        };
        (property(field.name), value)
    });
    properties.collect()
}

/// `PullAccess`, with its members and those of its items as `Custom::ECRImage` calls them.
fn pull_access(value: Value) -> Value {
    let mut value = members(value, GRANTS);
    for (list, table) in [("Principals", CONDITIONED), ("Services", SERVICE)] {
        if let Some(Value::Array(items)) = value.get_mut(list) {
            for item in items {
                *item = members(item.take(), table);
            }
        }
    }
    value
}

/// A map whose members are called as in a table. One that is there by both names is left as it
/// is, and is refused as an unknown one.
fn members(value: Value, table: &[Property]) -> Value {
    let Value::Object(map) = value else {
        return value;
    };
    let called = |name: &str| {
        let called = property(name);
        let is_known = table.iter().any(|known| known.name == called);
        if is_known && !map.contains_key(&called) {
            called
        } else {
            name.to_owned()
        }
    };
    let members = map
        .iter()
        .map(|(name, value)| (called(name), value.clone()));
    Value::Object(members.collect())
}
