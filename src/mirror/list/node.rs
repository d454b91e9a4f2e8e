//! A document as a tree, with the line of each part. Both YAML and JSON become one.

use std::rc::Rc;

use serde_json::{Map, Number, Value};

use super::problem::{Place, Problem, Problems};
use crate::cloudformation::scalar;

/// A part of a document. Parts that are shared by an alias are there once.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) line: Option<u32>,
    pub(super) kind: Kind,
    /// The room that the part takes with all its aliases written out, in bytes.
    pub(super) weight: u64,
}

#[derive(Debug)]
pub(super) enum Kind {
    Null,
    /// A text, with whether it is one by its quotes.
    Text {
        text: String,
        is_quoted: bool,
    },
    List(Vec<Rc<Node>>),
    Map(Vec<Member>),
}

/// A member of a map. A name may be there twice: it is the reader that refuses it.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) line: Option<u32>,
    pub(super) value: Rc<Node>,
}

/// The weight of a part without its text.
const WEIGHT: u64 = 32;

impl Node {
    pub(super) fn new(line: Option<u32>, kind: Kind) -> Self {
        let parts: u64 = match &kind {
            Kind::Null => 0,
            Kind::Text { text, .. } => text.len() as u64,
            Kind::List(items) => sum(items.iter().map(|item| item.weight)),
            Kind::Map(members) => sum(members.iter().map(|member| {
                let name = member.name.len() as u64;
                member.value.weight.saturating_add(name)
            })),
        };
        Self {
            line,
            kind,
            weight: parts.saturating_add(WEIGHT),
        }
    }

    /// The tree of a JSON value, which knows no lines.
    pub(super) fn of(value: &Value) -> Self {
        let kind = match value {
            Value::Array(items) => {
                Kind::List(items.iter().map(|item| Rc::new(Self::of(item))).collect())
            }
            Value::Object(map) => Kind::Map(
                map.iter()
                    .map(|(name, value)| Member {
                        name: name.clone(),
                        line: None,
                        value: Rc::new(Self::of(value)),
                    })
                    .collect(),
            ),
            other => scalar(other).map_or(Kind::Null, |text| Kind::Text {
                text,
                is_quoted: other.is_string(),
            }),
        };
        Self::new(None, kind)
    }

    /// The part as the value of a property. A number or boolean is one only where nothing of its
    /// text is lost: `1.10` and `007` stay texts.
    pub(super) fn value(&self, place: &Place, problems: &mut Problems) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Text { text, is_quoted } if *is_quoted => Value::String(text.clone()),
            Kind::Text { text, .. } => plain(text),
            Kind::List(items) => {
                let items = items
                    .iter()
                    .enumerate()
                    .map(|(position, item)| item.value(&place.item(position, item.line), problems));
                Value::Array(items.collect())
            }
            Kind::Map(members) => {
                let mut map = Map::new();
                for member in members {
                    let at = place.member(&member.name, member.line);
                    let value = member.value.value(&at, problems);
                    if map.insert(member.name.clone(), value).is_some() {
                        problems.push(Problem::new(&at, "it is there twice"));
                    }
                }
                Value::Object(map)
            }
        }
    }

    /// Names the part without showing it.
    pub(super) fn name(&self) -> &'static str {
        match self.kind {
            Kind::Null => "nothing",
            Kind::Text { .. } => "a text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
        }
    }

    /// The text, if it is one and not empty.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text { text, .. } => Some(text.trim()),
            _ => None,
        }
    }

    /// Returns true if the part says nothing: templates often leave such.
    pub(super) fn is_empty(&self) -> bool {
        match &self.kind {
            Kind::Null => true,
            Kind::Text { text, .. } => text.trim().is_empty(),
            _ => false,
        }
    }
}

fn sum(weights: impl Iterator<Item = u64>) -> u64 {
    weights.fold(0, u64::saturating_add)
}

fn plain(text: &str) -> Value {
    let text = text.trim();
    if let Ok(boolean) = text.parse() {
        return Value::Bool(boolean);
    }
    match text.parse::<i64>() {
        Ok(number) if number.to_string() == text => Value::Number(Number::from(number)),
        _ => Value::String(text.to_owned()),
    }
}
