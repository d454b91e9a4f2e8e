//! Checks of entries by the reader of `Custom::ECRImage`, and of entries beside each other, before
//! any registry is asked.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::conflicts::Conflicts;
use super::entry::{Entry, Source};
use super::fields::Fields;
use super::problem::{Place, Problem, Problems};
use super::table::DESTINATION;
use crate::cloudformation::{InvalidProperties, Properties, image_of};
use crate::oci::{Digest, Tag};

/// An image that stands in for those of a source.
const STAND_IN_TAG: &str = "1.0.0";
const STAND_IN_SOURCE: &str = "public.ecr.aws/a/a:1.0.0";
const STAND_IN_DESTINATION: &str = "123456789012.dkr.ecr.us-east-1.amazonaws.com/a:1.0.0";

/// The problems of properties that entries share.
pub(super) type Checked = BTreeSet<String>;

/// Properties that entries share, with the places of their keys.
pub(super) struct Common<'a> {
    pub(super) properties: &'a Properties,
    pub(super) place: &'a Place,
    pub(super) keys: &'a [(&'static str, Place)],
    /// The prefix of the properties' names before those of the keys.
    pub(super) prefix: &'static str,
}

/// Checks what entries share, and tells what is wrong where it stands.
pub(super) fn shared<'a>(
    shared: impl Iterator<Item = Common<'a>>,
    problems: &mut Problems,
) -> Checked {
    let mut checked = Checked::new();
    for common in shared {
        for problem in wrong(common.properties.clone()) {
            let (name, text) = split(&problem);
            let key = key(name.strip_prefix(common.prefix).unwrap_or(name));
            let mut known = common.keys.iter();
            let place = known.find(|(known, _)| *known == key);
            let place = place.map_or(common.place, |(_, place)| place);
            problems.push(Problem::new(place, text));
            checked.insert(problem);
        }
    }
    checked
}

fn wrong(mut properties: Properties) -> Vec<String> {
    properties.insert("Source".to_owned(), Value::from(STAND_IN_SOURCE));
    properties.insert("Destinations".to_owned(), json!([STAND_IN_DESTINATION]));
    image_of(&properties)
        .err()
        .map_or_else(Vec::new, |invalid| invalid.problems().to_vec())
}

/// Checks an entry by itself.
pub(super) fn entry(
    entry: &Entry,
    fields: &Fields<'_>,
    checked: &Checked,
    problems: &mut Problems,
) {
    let before = problems.len();
    templates(entry, problems);
    if problems.len() > before {
        return;
    }
    let tag = stand_in(entry);
    let digest = Digest::sha256(b"");
    let properties = match entry.properties(tag.as_ref(), Some(&digest)) {
        Ok(properties) => properties,
        Err(problem) => return problems.push(problem),
    };
    let invalid = image_of(&properties).err();
    let wrong = invalid.as_ref().map(InvalidProperties::problems);
    let destinations = entry.places(tag.as_ref());
    let wrong = wrong.unwrap_or_default().iter();
    for problem in wrong.filter(|problem| !checked.contains(*problem)) {
        let (name, text) = split(problem);
        problems.push(match destination(name, &destinations) {
            Some(place) => of_destination(entry, place, text),
            None => Problem::new(&place(name, fields), text),
        });
    }
    circles(entry, tag.as_ref(), problems);
}

/// Notes the values that templates ask for and the source does not have.
fn templates(entry: &Entry, problems: &mut Problems) {
    for destination in &*entry.destinations {
        let (template, _) = entry.template_of(destination);
        match entry.source() {
            Source::Image(image) if image.tag().is_none() && template.names_tag() => {
                problems.push(entry.at(
                    destination,
                    "the source has no tag for {tag}: it is named by its digest alone",
                ));
            }
            Source::Repository { tags, .. } if !template.follows_tag() && !tags.is_for_one() => {
                problems.push(entry.at(
                    destination,
                    "all tags of the source would go to one tag: leave it out, or put {tag} into it",
                ));
            }
            _ => {}
        }
    }
}

/// Destinations that are the source itself.
fn circles(entry: &Entry, tag: Option<&Tag>, problems: &mut Problems) {
    let source = entry.source().repository();
    let targets = entry.destinations(tag).unwrap_or_default();
    let places = entry.places(tag);
    for (target, mut place) in targets.iter().zip(places) {
        let is_circle = target.repository == *source
            && match entry.source() {
                Source::Image(image) => image.tag().is_none_or(|tag| target.tags.contains(tag)),
                Source::Repository { .. } => true,
            };
        if is_circle {
            place.entry = Some(entry.index());
            problems.push(Problem::new(
                &place,
                format_args!("{source} is the source itself"),
            ));
        }
    }
}

fn stand_in(entry: &Entry) -> Option<Tag> {
    match entry.source() {
        Source::Image(image) => image.tag().cloned(),
        Source::Repository { tags, .. } => match tags.names() {
            Some(names) => names.first().cloned(),
            None => STAND_IN_TAG.parse().ok(),
        },
    }
}

/// Two entries for one destination, as far as it is known before tags are listed.
pub(super) fn conflicts(entries: &[Entry], problems: &mut Problems) {
    let mut conflicts = Conflicts::default();
    for entry in entries {
        let tags: Vec<Option<&Tag>> = match entry.source() {
            Source::Image(_) => vec![None],
            Source::Repository { tags, .. } => {
                tags.names().unwrap_or_default().iter().map(Some).collect()
            }
        };
        for tag in tags {
            // What is wrong with a name is told already.
            for target in entry.destinations(tag).unwrap_or_default() {
                let names = target.tags.iter().map(|tag| target.repository.tagged(tag));
                names
                    .filter_map(|name| conflicts.take(entry, &name))
                    .for_each(|problem| problems.push(problem));
            }
        }
    }
}

/// The property that a problem begins with, and what is wrong with it.
fn split(problem: &str) -> (&str, &str) {
    problem.split_once(": ").unwrap_or(("", problem))
}

/// The key of a property.
fn key(property: &str) -> String {
    let mut letters = property.chars();
    let first = letters.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

/// The place where a destination stands that a problem is about.
fn destination<'a>(name: &str, destinations: &'a [Place]) -> Option<&'a Place> {
    let position = name.strip_prefix("Destinations[")?.strip_suffix(']')?;
    destinations.get(position.parse::<usize>().ok()?)
}

fn of_destination(entry: &Entry, place: &Place, text: &str) -> Problem {
    let place = Place {
        entry: Some(entry.index()),
        ..place.clone()
    };
    let member = text.split_once(": ").map(|(name, text)| (key(name), text));
    let known = member.filter(|(key, _)| DESTINATION.iter().any(|known| known.name == key));
    match known {
        Some((key, text)) => Problem::new(&place.member(&key, place.line), text),
        None => Problem::new(&place, text),
    }
}

/// The place where a property of an entry stands in the document.
fn place(name: &str, fields: &Fields<'_>) -> Place {
    let here = &fields.place;
    let key = key(name);
    match fields.get(&key) {
        Some(field) => field.place.clone(),
        None if key.is_empty() => here.clone(),
        None => here.member(&key, here.line),
    }
}
