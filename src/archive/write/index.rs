//! `index.json` of a layout that is written, with all that stood there before.

use serde_json::{Map, Value, json};

use super::WriteError;
use crate::oci::{Descriptor, Digest, MediaType, Reference, Tag};

/// The file that names the images.
pub(super) const INDEX: &str = "index.json";
/// The file that says that this is a layout, and what is in it.
pub(super) const MARKER: &str = "oci-layout";
pub(super) const MARKER_CONTENT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The place where containerd, and Docker with its image store, look for the whole name.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// A manifest that the index lists.
#[derive(Clone)]
pub(super) struct Listed {
    pub(super) descriptor: Descriptor,
    pub(super) name: Option<String>,
}

/// The index as a document, of which every member is kept.
pub(super) struct IndexDocument(Map<String, Value>);

impl IndexDocument {
    /// The index of a layout that holds nothing.
    pub(super) fn empty() -> Self {
        let mut members = Map::new();
        members.insert("schemaVersion".to_owned(), json!(2));
        members.insert("mediaType".to_owned(), json!(MediaType::OCI_INDEX));
        members.insert("manifests".to_owned(), json!([]));
        Self(members)
    }

    pub(super) fn parse(bytes: &[u8], place: &str) -> Result<Self, WriteError> {
        let parsed = serde_json::from_slice(bytes);
        parsed.map(Self).map_err(|source| WriteError::Document {
            place: place.to_owned(),
            entry: INDEX,
            source,
        })
    }

    /// Lists a manifest. Its name is taken from the manifest that had it; one that has no other
    /// name is not listed any more.
    pub(super) fn list(&mut self, listed: &Listed) {
        let manifests = self.0.entry("manifests").or_insert_with(|| json!([]));
        if !manifests.is_array() {
            *manifests = json!([]);
        }
        let Some(manifests) = manifests.as_array_mut() else {
            return;
        };
        let digest = &listed.descriptor.digest;
        match &listed.name {
            None if manifests.iter().any(|entry| is(entry, digest)) => return,
            None => {}
            Some(name) => {
                manifests.retain(|entry| !is_named(entry, name));
                // The same manifest needs no entry without a name beside this one.
                manifests.retain(|entry| !(is(entry, digest) && entry["annotations"].is_null()));
            }
        }
        manifests.push(entry(listed));
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        Value::Object(self.0.clone()).to_string().into_bytes()
    }
}

fn is(entry: &Value, digest: &Digest) -> bool {
    entry["digest"].as_str() == Some(&digest.to_string())
}

fn is_named(entry: &Value, name: &str) -> bool {
    entry["annotations"][REF_NAME].as_str() == Some(name)
}

fn entry(listed: &Listed) -> Value {
    let mut descriptor = listed.descriptor.clone();
    if let Some(name) = &listed.name {
        let annotations = &mut descriptor.annotations;
        annotations.insert(REF_NAME.to_owned(), name.clone());
        if let Some(whole) = whole_name(name) {
            annotations.insert(CONTAINERD_NAME.to_owned(), whole);
        }
    }
    json!(descriptor)
}

/// A name with its registry and its tag, where it is more than a tag.
fn whole_name(name: &str) -> Option<String> {
    if name.parse::<Tag>().is_ok() {
        return None;
    }
    let reference: Reference = name.parse().ok()?;
    let latest = Tag::latest();
    let tag = reference.tag().unwrap_or(&latest);
    Some(reference.repository().tagged(tag).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(content: &str, name: Option<&str>) -> Listed {
        let digest = Digest::sha256(content.as_bytes());
        Listed {
            descriptor: Descriptor::new(MediaType::OCI_MANIFEST, digest, 1),
            name: name.map(str::to_owned),
        }
    }

    fn shown(index: &IndexDocument) -> Vec<(String, Value)> {
        let index: Value = serde_json::from_slice(&index.bytes()).unwrap();
        let entries = index["manifests"].as_array().unwrap().iter();
        let shown = |entry: &Value| {
            let digest = entry["digest"].as_str().unwrap().to_owned();
            (digest, entry["annotations"][REF_NAME].clone())
        };
        entries.map(shown).collect()
    }

    #[test]
    fn a_name_is_of_one_manifest_and_others_stay() {
        let digest = |content: &str| Digest::sha256(content.as_bytes()).to_string();
        let mut index = IndexDocument::empty();
        for (content, name) in [
            ("a", None),
            ("a", None),
            ("a", Some("1")),
            ("a", Some("2")),
            ("b", Some("1")),
            ("b", None),
        ] {
            index.list(&listed(content, name));
        }
        assert_eq!(
            shown(&index),
            [(digest("a"), json!("2")), (digest("b"), json!("1"))]
        );
    }

    #[test]
    fn members_that_are_not_known_are_kept() {
        let text =
            r#"{"schemaVersion":2,"manifests":[{"digest":"x","more":1}],"annotations":{"a":"b"}}"#;
        let mut index = IndexDocument::parse(text.as_bytes(), "oci:a").unwrap();
        index.list(&listed("a", Some("app:1")));
        let value: Value = serde_json::from_slice(&index.bytes()).unwrap();
        assert_eq!(value["annotations"]["a"], "b");
        assert_eq!(value["manifests"][0]["more"], 1);
        assert_eq!(
            value["manifests"][1]["annotations"][CONTAINERD_NAME],
            "docker.io/library/app:1"
        );
    }
}
