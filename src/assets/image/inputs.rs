//! The options of a build as they enter the asset's hash: JSON, as CDK writes it.

use serde_json::Value;

use super::{ImageAsset, Input, named};

/// CDK raises this when the same options mean another image.
const VERSION: &str = "1.21.0";

impl ImageAsset {
    /// The options that enter the hash.
    pub(super) fn inputs(&self) -> String {
        let platforms = self.platforms.join(",");
        let given = [
            (Input::ExtraHash, "user", text(self.extra_hash.as_ref())),
            (
                Input::BuildArgs,
                "buildArgs",
                self.map(Input::BuildArgs, &self.build_args),
            ),
            (
                Input::BuildContexts,
                "buildContexts",
                self.map(Input::BuildContexts, &self.build_contexts),
            ),
            (
                Input::BuildSecrets,
                "buildSecrets",
                self.map(Input::BuildSecrets, &self.build_secrets),
            ),
            (Input::BuildSsh, "buildSsh", text(self.build_ssh.as_ref())),
            (Input::Target, "target", text(self.target.as_ref())),
            (Input::File, "file", text(self.file.as_ref())),
            (
                Input::RepositoryName,
                "repositoryName",
                text(self.repository_name.as_ref()),
            ),
            (
                Input::NetworkMode,
                "networkMode",
                wrapped("mode", self.network.as_ref()),
            ),
            (
                Input::Platform,
                "platform",
                wrapped("platform", Some(&platforms)),
            ),
            (Input::Outputs, "outputs", self.list(&self.outputs)),
        ];
        let mut members: Vec<String> = given
            .into_iter()
            .filter(|(input, ..)| !self.not_hashed.contains(input))
            .filter_map(|(_, name, value)| Some(member(name, &value?)))
            .collect();
        members.push(member("version", &json(VERSION)));
        object(&members)
    }

    fn map(&self, input: Input, pairs: &[(String, String)]) -> Option<String> {
        let is_given = !pairs.is_empty() || self.empty.contains(&input);
        is_given.then(|| map(pairs))
    }

    fn list(&self, values: &[String]) -> Option<String> {
        let is_given = !values.is_empty() || self.empty.contains(&Input::Outputs);
        is_given.then(|| list(values))
    }
}

fn json(text: &str) -> String {
    Value::from(text).to_string()
}

fn member(name: &str, value: &str) -> String {
    format!("{}:{value}", json(name))
}

fn object(members: &[String]) -> String {
    format!("{{{}}}", members.join(","))
}

fn text(text: Option<&String>) -> Option<String> {
    named(text).map(json)
}

/// An instance of one of CDK's classes, which has one field.
fn wrapped(field: &str, value: Option<&String>) -> Option<String> {
    named(value).map(|value| object(&[member(field, &json(value))]))
}

fn list(values: &[String]) -> String {
    let values: Vec<String> = values.iter().map(|value| json(value)).collect();
    format!("[{}]", values.join(","))
}

/// An object as JavaScript has it: a name has one value, the last that was given, and names that
/// are numbers come first, by number.
fn map(pairs: &[(String, String)]) -> String {
    let mut members: Vec<(&str, &str)> = Vec::new();
    for (name, value) in pairs {
        match members.iter_mut().find(|(present, _)| present == name) {
            Some((_, present)) => *present = value,
            None => members.push((name, value)),
        }
    }
    members.sort_by_key(|(name, _)| index(name).unwrap_or(u64::MAX));
    let members: Vec<String> = members
        .into_iter()
        .map(|(name, value)| member(name, &json(value)))
        .collect();
    object(&members)
}

/// The number that a name is, if JavaScript takes it for an index.
fn index(name: &str) -> Option<u64> {
    let number: u64 = name.parse().ok()?;
    (number < u64::from(u32::MAX) && number.to_string() == name).then_some(number)
}
