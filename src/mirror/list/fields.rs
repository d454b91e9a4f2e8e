//! Reading the members of a map by their table. All that is wrong is collected.

use std::error::Error as StdError;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::node::{Kind, Node};
use super::problem::{Place, Problem, Problems};
use super::table::foreign;
use crate::cloudformation::{Property, chain, hint};

/// The members of a map that its table knows.
pub(super) struct Fields<'a> {
    pub(super) place: Place,
    members: Vec<Field<'a>>,
}

/// A member of a map.
#[derive(Clone)]
pub(super) struct Field<'a> {
    pub(super) name: &'static str,
    pub(super) place: Place,
    pub(super) node: &'a Node,
}

impl<'a> Fields<'a> {
    /// The members of a map, of which those of `table` are known. `None`: it is no map.
    pub(super) fn read(
        node: &'a Node,
        place: Place,
        table: &[Property],
        problems: &mut Problems,
    ) -> Option<Self> {
        let Kind::Map(members) = &node.kind else {
            let name = node.name();
            problems.push(Problem::new(
                &place,
                format_args!("expected a map, got {name}"),
            ));
            return None;
        };
        let mut fields = Self {
            place,
            members: Vec::new(),
        };
        for member in members {
            let place = fields.place.member(&member.name, member.line);
            let Some(known) = table.iter().find(|known| is_name(known.name, &member.name)) else {
                if !is_extension(&member.name) && !problems.is_full() {
                    problems.push(Problem::new(&place, unknown(&member.name, table)));
                }
                continue;
            };
            if fields.members.iter().any(|field| field.name == known.name) {
                problems.push(Problem::new(&place, "it is there twice"));
                continue;
            }
            fields.members.push(Field {
                name: known.name,
                place,
                node: &member.value,
            });
        }
        for known in table.iter().filter(|known| known.required) {
            if fields.get(known.name).is_none() {
                let name = known.name;
                problems.push(Problem::new(
                    &fields.place,
                    format_args!("{name} is required"),
                ));
            }
        }
        Some(fields)
    }

    /// A member that is there and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&Field<'a>> {
        let mut members = self.members.iter();
        members.find(|field| field.name == name && !field.node.is_empty())
    }

    /// A member that is there, be it an empty text.
    pub(super) fn written(&self, name: &str) -> Option<&Field<'a>> {
        let mut members = self.members.iter();
        members.find(|field| field.name == name && !matches!(field.node.kind, Kind::Null))
    }

    /// All members that are not empty.
    pub(super) fn all(&self) -> impl Iterator<Item = &Field<'a>> {
        self.members.iter().filter(|field| !field.node.is_empty())
    }

    /// The place where the members stand.
    pub(super) fn places(&self) -> Vec<(&'static str, Place)> {
        let places = self.all().map(|field| (field.name, field.place.clone()));
        places.collect()
    }

    /// The text of a member.
    pub(super) fn text(&self, name: &str, problems: &mut Problems) -> Option<&'a str> {
        self.get(name)?.text(problems)
    }
}

impl<'a> Field<'a> {
    /// Notes what is wrong here.
    pub(super) fn problem(&self, problems: &mut Problems, text: impl fmt::Display) {
        problems.push(Problem::new(&self.place, text));
    }

    pub(super) fn text(&self, problems: &mut Problems) -> Option<&'a str> {
        let text = self.node.text();
        if text.is_none() {
            let name = self.node.name();
            self.problem(problems, format_args!("expected text, got {name}"));
        }
        text
    }

    /// A text that is read as a `T`.
    pub(super) fn parse<T>(&self, problems: &mut Problems) -> Option<T>
    where
        T: FromStr<Err: StdError + 'static>,
    {
        match self.text(problems)?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.problem(problems, chain(&error));
                None
            }
        }
    }

    /// A whole number.
    pub(super) fn number<T: FromStr + PartialOrd + fmt::Display>(
        &self,
        range: &RangeInclusive<T>,
        problems: &mut Problems,
    ) -> Option<T> {
        let text = self.text(problems)?;
        let number = text.parse().ok().filter(|number| range.contains(number));
        if number.is_none() {
            let (from, to) = (range.start(), range.end());
            self.problem(
                problems,
                format_args!("expected a whole number from {from} to {to}, got {text:?}"),
            );
        }
        number
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(
        &self,
        choices: &[(&str, T)],
        problems: &mut Problems,
    ) -> Option<T> {
        let text = self.text(problems)?;
        let mut known = choices.iter();
        let found = known.find(|(word, _)| word.eq_ignore_ascii_case(text));
        if found.is_none() {
            let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
            let words = words.join(" or ");
            self.problem(problems, format_args!("expected {words}, got {text:?}"));
        }
        found.map(|(_, value)| *value)
    }

    /// Returns true if a list has more items than it may have, which is told.
    pub(super) fn is_too_long(&self, most: usize, problems: &mut Problems) -> bool {
        let Kind::List(items) = &self.node.kind else {
            return false;
        };
        let many = items.len();
        if many > most {
            self.problem(
                problems,
                format_args!("expected at most {most} items, got {many}"),
            );
        }
        many > most
    }

    /// The items of a list, or the one item that stands in its place.
    pub(super) fn items(&self) -> Vec<Self> {
        let Kind::List(items) = &self.node.kind else {
            return vec![self.clone()];
        };
        let items = items.iter().enumerate().map(|(position, item)| Self {
            name: self.name,
            place: self.place.item(position, item.line),
            node: item,
        });
        items.collect()
    }
}

/// Returns true if a name in a document is that of a table: either case of the first letter is.
fn is_name(known: &str, name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(|first| {
        known.starts_with(first.to_ascii_lowercase()) && known[1..] == *letters.as_str()
    })
}

/// Returns true if a key is the author's own, such as one that holds anchors.
fn is_extension(name: &str) -> bool {
    name.starts_with("x-") || name.starts_with("X-")
}

fn unknown(name: &str, table: &[Property]) -> String {
    let known = table.iter().any(|known| known.name == name);
    match foreign(name).filter(|_| !known) {
        Some(instead) => format!("unknown key: {instead}"),
        None => format!("unknown key: {}", hint(name, table)),
    }
}
