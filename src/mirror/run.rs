//! One run of a mirror: how it is called, and where its objects are.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The mirror of an input that names none.
const DEFAULT_MIRROR: &str = "mirror";
/// The longest name of an execution or a mirror: Step Functions takes no longer ones.
const MAX_NAME: usize = 80;

/// A run, as every call of the function names it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Run {
    /// The bucket of the mirror's objects.
    pub bucket: String,
    /// The name of the execution.
    pub id: String,
    /// The execution's input.
    #[serde(default)]
    pub input: Input,
}

/// The input of an execution.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Input {
    /// The mirror whose run this is. What one mirror wrote, only that one prunes.
    #[serde(default)]
    pub mirror: Option<String>,
    /// The list: its address in S3, or itself. Without it, the run has its own copy.
    #[serde(default)]
    pub list: Option<Value>,
    /// The mode.
    #[serde(default)]
    pub mode: Mode,
}

/// The mode of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Copies what is missing or has moved, and prunes where the list says so.
    #[default]
    Sync,
    /// Only reports what would be done.
    DryRun,
    /// Removes every tag that the mirror wrote.
    Remove,
}

/// A run whose names cannot be parts of a key.
#[derive(Debug, thiserror::Error)]
#[error(
    "{name:?} cannot be the {part} of a run: expected letters, digits, '-', '_' and '.', at most 80"
)]
pub struct InvalidRun {
    name: String,
    part: &'static str,
}

impl Run {
    /// Refuses names that would lead to other objects than the run's own.
    pub(super) fn check(&self) -> Result<(), InvalidRun> {
        for (part, name) in [("Id", self.id.as_str()), ("Mirror", self.mirror())] {
            let is_fit = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            let is_name = !name.is_empty() && name.len() <= MAX_NAME && name.chars().all(is_fit);
            if !is_name || name.starts_with('.') {
                return Err(InvalidRun {
                    name: name.to_owned(),
                    part,
                });
            }
        }
        Ok(())
    }

    /// The mirror's name.
    pub fn mirror(&self) -> &str {
        self.input.mirror.as_deref().unwrap_or(DEFAULT_MIRROR)
    }

    /// The key of an object of the run.
    pub fn key(&self, name: &str) -> String {
        format!("runs/{}/{name}", self.id)
    }

    /// The key of the tags that the mirror wrote.
    pub fn ledger_key(&self) -> String {
        format!("mirrors/{}/ledger.json", self.mirror())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run(value: Value) -> Run {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_an_input_leaves_out_has_a_default() {
        let bare = run(json!({"Bucket": "b", "Id": "r"}));
        assert_eq!((bare.mirror(), bare.input.mode), ("mirror", Mode::Sync));
        assert_eq!(bare.key("list"), "runs/r/list");
        let input = json!({"Mirror": "m", "Mode": "dry-run", "List": "s3://b/k", "Other": 1});
        let full = run(json!({"Bucket": "b", "Id": "r", "Input": input}));
        assert_eq!((full.mirror(), full.input.mode), ("m", Mode::DryRun));
        assert_eq!(full.ledger_key(), "mirrors/m/ledger.json");
    }

    #[test]
    fn names_do_not_lead_to_other_objects() {
        for (id, mirror, fit) in [
            ("r-1_2.3", "m", true),
            ("../x", "m", false),
            ("a/b", "m", false),
            ("", "m", false),
            ("r", "..", false),
            ("r", "m m", false),
        ] {
            let run = run(json!({"Bucket": "b", "Id": id, "Input": {"Mirror": mirror}}));
            assert_eq!(run.check().is_ok(), fit, "{id} {mirror}");
        }
    }
}
