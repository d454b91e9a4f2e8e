//! Reading properties one by one. CloudFormation sends whatever the template's author wrote:
//! booleans and numbers arrive as such or as text, lists as lists or as text with commas. All
//! that is wrong is reported at once, so that it takes one deployment to hear of it.

use std::error::Error as StdError;
use std::fmt;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::invalid_properties::{InvalidProperties, Properties};
use super::property::Property;
use super::text;

/// Longest text of one problem, in bytes.
pub(crate) const MAX_PROBLEM: usize = 400;
/// How alike two names are, from 0 to 1, to think of one as the other misspelt.
const ALIKE: f64 = 0.7;

/// Reads the properties of one resource and collects what is wrong with them.
pub(super) struct Reader<'a> {
    properties: &'a Properties,
    problems: Vec<String>,
}

impl<'a> Reader<'a> {
    /// Reads `properties`, of which those of `table` are known.
    pub(super) fn new(properties: &'a Properties, table: &[Property]) -> Self {
        let unknown = properties
            .keys()
            .filter(|name| !table.iter().any(|known| known.name == *name))
            .map(|name| unknown(name, table));
        let mut reader = Self {
            properties,
            problems: unknown.collect(),
        };
        reader.require(table);
        reader
    }

    /// Reads `properties`, and passes over those that `table` does not know.
    pub(super) fn lenient(properties: &'a Properties, table: &[Property]) -> Self {
        let mut reader = Self {
            properties,
            problems: Vec::new(),
        };
        reader.require(table);
        reader
    }

    fn require(&mut self, table: &[Property]) {
        for known in table.iter().filter(|known| known.required) {
            if !self.has(known.name) {
                self.problems.push(format!("{} is required", known.name));
            }
        }
    }

    /// Ends the reading: `value` if nothing was wrong with it, nor with anything else.
    pub(super) fn finish<T>(self, value: Option<T>) -> Result<T, InvalidProperties> {
        match value {
            Some(value) if self.problems.is_empty() => Ok(value),
            _ => Err(InvalidProperties::new(self.problems)),
        }
    }

    /// Notes that `name` cannot be used, and why.
    pub(super) fn problem(&mut self, name: &str, why: impl fmt::Display) {
        let mut problem = format!("{name}: {why}");
        text::truncate(&mut problem, MAX_PROBLEM);
        self.problems.push(problem);
    }

    /// A text. Empty ones count as absent: a template's condition often leaves them.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        let value = self.value(name)?;
        let text = scalar(value);
        if text.is_none() {
            self.problem(name, format_args!("expected text, got {}", kind(value)));
        }
        text
    }

    /// A text that is read as a `T`.
    pub(super) fn parse<T>(&mut self, name: &str) -> Option<T>
    where
        T: FromStr<Err: StdError + 'static>,
    {
        let text = self.text(name)?;
        self.parse_text(name, &text)
    }

    /// A text of this property that is read as a `T`.
    pub(super) fn parse_text<T>(&mut self, name: &str, text: &str) -> Option<T>
    where
        T: FromStr<Err: StdError + 'static>,
    {
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.problem(name, text::chain(&error));
                None
            }
        }
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(name)?;
        let found = choices
            .iter()
            .find(|(word, _)| word.eq_ignore_ascii_case(&text));
        if found.is_none() {
            let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
            self.problem(
                name,
                format_args!("expected {}, got {text:?}", words.join(" or ")),
            );
        }
        found.map(|(_, value)| *value)
    }

    /// A whole number.
    pub(super) fn number(
        &mut self,
        name: &str,
        range: RangeInclusive<usize>,
    ) -> Option<NonZeroUsize> {
        let text = self.text(name)?;
        let number = text.parse().ok().filter(|number| range.contains(number));
        if number.is_none() {
            let (from, to) = range.into_inner();
            self.problem(
                name,
                format_args!("expected a whole number from {from} to {to}, got {text:?}"),
            );
        }
        number.and_then(NonZeroUsize::new)
    }

    /// A list of texts, or one text with commas between them.
    pub(super) fn list(&mut self, name: &str) -> Vec<String> {
        let Some(value) = self.value(name) else {
            return Vec::new();
        };
        let Some(items) = list_of(value) else {
            self.problem(
                name,
                format_args!("expected a list of texts, got {}", kind(value)),
            );
            return Vec::new();
        };
        items
    }

    /// A list of texts that are read as `T`s.
    pub(super) fn parse_list<T>(&mut self, name: &str) -> Vec<T>
    where
        T: FromStr<Err: StdError + 'static>,
    {
        let items = self.list(name);
        items
            .iter()
            .filter_map(|item| self.parse_text(name, item))
            .collect()
    }

    /// A map of texts to texts.
    pub(super) fn map(&mut self, name: &str) -> Vec<(String, String)> {
        let Some(value) = self.value(name) else {
            return Vec::new();
        };
        let entries = value.as_object().and_then(|map| {
            map.iter()
                .map(|(key, value)| Some((key.clone(), scalar(value)?)))
                .collect()
        });
        entries.unwrap_or_else(|| {
            self.problem(
                name,
                format_args!("expected a map of texts, got {}", kind(value)),
            );
            Vec::new()
        })
    }

    /// A text that holds JSON, or that JSON itself.
    pub(super) fn json<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let read = match self.value(name)? {
            Value::String(text) => serde_json::from_str(text),
            value => T::deserialize(value),
        };
        match read {
            Ok(value) => Some(value),
            Err(error) => {
                self.problem(name, format_args!("malformed JSON: {error}"));
                None
            }
        }
    }

    /// A map.
    pub(super) fn object(&mut self, name: &str) -> Option<&'a Properties> {
        let value = self.value(name)?;
        if value.as_object().is_none() {
            self.problem(name, format_args!("expected a map, got {}", kind(value)));
        }
        value.as_object()
    }

    /// The items of a list, whatever they are. One value is a list of itself.
    pub(super) fn items(&self, name: &str) -> Vec<&'a Value> {
        match self.value(name) {
            None => Vec::new(),
            Some(Value::Array(items)) => items.iter().collect(),
            Some(item) => vec![item],
        }
    }

    /// Reads a map within a property, of whose members those of `table` are known. What is wrong
    /// with it is told under `path`.
    pub(super) fn within<T>(
        &mut self,
        path: &str,
        map: &'a Properties,
        table: &[Property],
        read: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let mut reader = Self::new(map, table);
        let value = read(&mut reader);
        for problem in reader.problems {
            self.problem(path, problem);
        }
        value
    }

    /// Returns true if the property is there and not empty.
    pub(super) fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    fn value(&self, name: &str) -> Option<&'a Value> {
        self.properties.get(name).filter(|value| match value {
            Value::Null => false,
            Value::String(text) => !text.trim().is_empty(),
            _ => true,
        })
    }
}

/// A text, number or boolean as text.
pub(crate) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The items of a list, or of a text with commas. Empty ones are left out.
pub(super) fn list_of(value: &Value) -> Option<Vec<String>> {
    let items: Vec<String> = match value {
        Value::Array(items) => items.iter().map(scalar).collect::<Option<_>>()?,
        other => scalar(other)?
            .split(',')
            .map(|item| item.trim().to_owned())
            .collect(),
    };
    Some(items.into_iter().filter(|item| !item.is_empty()).collect())
}

/// What a value is, without showing it.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

fn unknown(name: &str, table: &[Property]) -> String {
    let mut problem = format!("unknown property {name:?}: {}", hint(name, table));
    text::truncate(&mut problem, MAX_PROBLEM);
    problem
}

/// The name that an unknown one is likely to mean, or else all names that are known.
pub(crate) fn hint(name: &str, table: &[Property]) -> String {
    let alike =
        |known: &&Property| strsim::jaro_winkler(&known.name.to_lowercase(), &name.to_lowercase());
    let nearest = table
        .iter()
        .max_by(|a, b| alike(a).total_cmp(&alike(b)))
        .filter(|known| alike(known) >= ALIKE);
    nearest.map_or_else(
        || {
            let names: Vec<_> = table.iter().map(|known| known.name).collect();
            format!("expected {}", names.join(", "))
        },
        |known| format!("did you mean {}?", known.name),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn properties(value: Value) -> Properties {
        match value {
            Value::Object(map) => map,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn scalars_arrive_as_text_or_as_themselves() {
        let given = properties(json!({
            "a": "3", "b": 3, "c": true, "d": "true", "e": " x ", "f": "", "g": null,
        }));
        let mut reader = Reader::new(&given, &[]);
        assert_eq!(reader.number("a", 1..=5), reader.number("b", 1..=5));
        assert_eq!(reader.text("c").as_deref(), Some("true"));
        assert_eq!(reader.text("d").as_deref(), Some("true"));
        assert_eq!(reader.text("e").as_deref(), Some("x"));
        assert_eq!(reader.text("f"), None);
        assert_eq!(reader.text("g"), None);
    }

    #[test]
    fn lists_arrive_as_lists_or_with_commas() {
        for list in [
            json!(["a", 1]),
            json!("a,1"),
            json!(" a , 1 ,"),
            json!(["a", "", 1]),
        ] {
            assert_eq!(list_of(&list).unwrap(), ["a", "1"], "{list}");
        }
        assert_eq!(list_of(&json!([["a"]])), None);
        assert_eq!(list_of(&json!({"a": 1})), None);
    }

    #[test]
    fn every_problem_is_told_and_their_number_is_bounded() {
        let none = Properties::new();
        let mut reader = Reader::new(&none, &[]);
        for n in 0..20 {
            reader.problem("X", format!("{n} {}", "ä".repeat(4000)));
        }
        let text = reader.finish(Some(())).unwrap_err().to_string();
        assert!(
            text.contains("X: 7") && text.ends_with("and 12 more"),
            "{text}"
        );
        assert!(text.len() < 4000);
    }

    #[test]
    fn a_wrong_type_is_named_without_its_value() {
        let given =
            properties(json!({"Text": ["hidden"], "List": {"a": "hidden"}, "Map": "hidden"}));
        let mut reader = Reader::new(&given, &[]);
        reader.text("Text");
        reader.list("List");
        reader.map("Map");
        let problems = reader.problems.split_off(3);
        assert_eq!(
            problems,
            [
                "Text: expected text, got a list",
                "List: expected a list of texts, got a map",
                "Map: expected a map of texts, got a text"
            ]
        );
    }
}
