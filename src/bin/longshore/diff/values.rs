//! Values of two configs that differ.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// A value that differs. What one side does not have is `None`.
#[derive(Debug, PartialEq)]
pub(super) struct Change {
    /// The place where it stands, such as `config.Env.PATH`.
    pub(super) path: String,
    pub(super) before: Option<Value>,
    pub(super) after: Option<Value>,
}

/// The values that differ, by their paths. Diff IDs are left out: layers are compared by them.
pub(super) fn changes(before: &Value, after: &Value) -> Vec<Change> {
    let mut found = Vec::new();
    compare("", Some(before), Some(after), &mut found);
    found.retain(|change| !change.path.starts_with("rootfs.diff_ids"));
    found
}

fn compare(path: &str, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<Change>) {
    if before == after {
        return;
    }
    if let (Some(before), Some(after)) = (before, after)
        && let Some((before, after)) = members(path, before).zip(members(path, after))
    {
        let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
        for name in names {
            let path = match (path, &name) {
                ("", Key::Name(name)) => (*name).to_owned(),
                (path, Key::Name(name)) => format!("{path}.{name}"),
                (path, Key::Position(position)) => format!("{path}[{position}]"),
            };
            let value = |members: &Members<'_>| members.get(name).cloned();
            let (before, after) = (value(&before), value(&after));
            compare(&path, before.as_ref(), after.as_ref(), found);
        }
        return;
    }
    found.push(Change {
        path: path.to_owned(),
        before: before.cloned(),
        after: after.cloned(),
    });
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key<'a> {
    Name(&'a str),
    Position(usize),
}

type Members<'a> = BTreeMap<Key<'a>, Value>;

/// What a value consists of, if it is more than one.
fn members<'a>(path: &str, value: &'a Value) -> Option<Members<'a>> {
    match value {
        Value::Object(members) => Some(of_object(members)),
        Value::Array(items) if path.ends_with("Env") => Some(items.iter().map(variable).collect()),
        Value::Array(items) => {
            let items = items.iter().cloned().enumerate();
            Some(items.map(|(at, item)| (Key::Position(at), item)).collect())
        }
        _ => None,
    }
}

fn of_object(members: &Map<String, Value>) -> Members<'_> {
    let members = members.iter();
    members
        .map(|(name, value)| (Key::Name(name), value.clone()))
        .collect()
}

/// A variable of the environment, by its name.
fn variable(item: &Value) -> (Key<'_>, Value) {
    let text = item.as_str().unwrap_or_default();
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    (Key::Name(name), Value::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_that_differ_have_their_paths() {
        let before = json!({
            "architecture": "amd64",
            "config": {"Env": ["A=1", "PATH=/bin"], "Cmd": ["a", "b"], "User": "x"},
            "history": [{"created_by": "one"}],
            "rootfs": {"diff_ids": ["a"]},
        });
        let after = json!({
            "architecture": "amd64",
            "config": {"Env": ["PATH=/bin", "A=2", "B=3"], "Cmd": ["a"]},
            "history": [{"created_by": "one"}, {"created_by": "two"}],
            "rootfs": {"diff_ids": ["b", "c"]},
        });
        let shown: Vec<_> = changes(&before, &after)
            .into_iter()
            .map(|change| (change.path, change.before, change.after))
            .collect();
        let change = |path: &str, before: Option<Value>, after: Option<Value>| {
            (path.to_owned(), before, after)
        };
        assert_eq!(
            shown,
            [
                change("config.Cmd[1]", Some(json!("b")), None),
                change("config.Env.A", Some(json!("1")), Some(json!("2"))),
                change("config.Env.B", None, Some(json!("3"))),
                change("config.User", Some(json!("x")), None),
                change("history[1]", None, Some(json!({"created_by": "two"}))),
            ]
        );
        assert_eq!(changes(&before, &before), []);
        assert_eq!(changes(&json!(1), &json!("1")).len(), 1);
    }
}
