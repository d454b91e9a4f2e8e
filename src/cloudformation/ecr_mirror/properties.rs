//! The properties of one mirror, as the template has them.

use serde_json::Value;

use super::table::PROPERTIES;
use crate::cloudformation::invalid_properties::{InvalidProperties, Properties};
use crate::cloudformation::reader::Reader;

/// The mirror that a request asks for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wanted {
    pub(super) home: Home,
    pub(super) list: List,
    pub(super) waits: bool,
}

/// The place where a mirror runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Home {
    /// ARN of the state machine.
    pub(super) machine: String,
    pub(super) bucket: String,
}

/// The place where the list is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum List {
    /// In the template.
    Inline(Value),
    /// In S3, under this address.
    At(String),
}

/// Reads the properties of a Create or an Update.
pub(super) fn read(properties: &Properties) -> Result<Wanted, InvalidProperties> {
    let mut reader = Reader::new(properties, PROPERTIES);
    let home = read_home(&mut reader);
    let list = read_list(&mut reader, properties);
    let waits = read_waits(&mut reader);
    read_removes(&mut reader);
    let wanted = home
        .zip(list)
        .map(|(home, list)| Wanted { home, list, waits });
    reader.finish(wanted)
}

/// The place where the mirror of these properties runs, if that can be told.
pub(super) fn home(properties: &Properties) -> Option<Home> {
    read_home(&mut Reader::lenient(properties, &[]))
}

/// The list of these properties, if it can be used.
pub(super) fn list(properties: &Properties) -> Option<List> {
    read_list(&mut Reader::lenient(properties, &[]), properties)
}

/// Returns true if Delete removes what the mirror wrote. What cannot be read keeps it.
pub(super) fn removes(properties: &Properties) -> bool {
    read_removes(&mut Reader::lenient(properties, &[]))
}

fn read_home(reader: &mut Reader<'_>) -> Option<Home> {
    let machine = reader.text("StateMachineArn");
    let machine = machine.filter(|arn| {
        let is_machine = is_machine(arn);
        if !is_machine {
            let expected = "expected the ARN of a state machine, \
                arn:aws:states:<region>:<account>:stateMachine:<name>";
            reader.problem("StateMachineArn", format_args!("{expected}, got {arn:?}"));
        }
        is_machine
    });
    let bucket = reader.text("Bucket");
    let bucket = bucket.filter(|name| {
        let is_bucket = is_bucket(name);
        if !is_bucket {
            let expected = "expected the name of a bucket";
            reader.problem("Bucket", format_args!("{expected}, got {name:?}"));
        }
        is_bucket
    });
    machine
        .zip(bucket)
        .map(|(machine, bucket)| Home { machine, bucket })
}

/// The list itself is read by who plans.
fn read_list(reader: &mut Reader<'_>, properties: &Properties) -> Option<List> {
    match properties.get("List")? {
        list @ Value::Object(map) if !map.is_empty() => Some(List::Inline(list.clone())),
        Value::String(text) if is_object(text.trim()) => Some(List::At(text.trim().to_owned())),
        Value::String(text) if text.trim().is_empty() => None,
        Value::String(text) => {
            let expected = "expected a map, or s3://bucket/key of a list";
            reader.problem("List", format_args!("{expected}, got {text:?}"));
            None
        }
        Value::Object(_) => {
            reader.problem("List", "the list is empty");
            None
        }
        Value::Null => None,
        _ => {
            reader.problem("List", "expected a map, or s3://bucket/key of a list");
            None
        }
    }
}

fn read_waits(reader: &mut Reader<'_>) -> bool {
    let choices = [("true", true), ("false", false)];
    reader.choice("Wait", &choices).unwrap_or(true)
}

fn read_removes(reader: &mut Reader<'_>) -> bool {
    let choices = [("retain", false), ("delete", true)];
    reader.choice("RemovalPolicy", &choices).unwrap_or(false)
}

/// An alias or a version of a machine is none of ours: runs are found by the machine itself.
fn is_machine(arn: &str) -> bool {
    let parts: Vec<&str> = arn.split(':').collect();
    matches!(
        *parts,
        ["arn", partition, "states", region, account, "stateMachine", name]
            if [partition, region, account, name].iter().all(|part| !part.is_empty())
    )
}

fn is_bucket(name: &str) -> bool {
    let is_fit = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
    (3..=63).contains(&name.len()) && name.bytes().all(is_fit)
}

fn is_object(uri: &str) -> bool {
    let place = uri.strip_prefix("s3://").and_then(|at| at.split_once('/'));
    place.is_some_and(|(bucket, key)| is_bucket(bucket) && !key.is_empty())
}
