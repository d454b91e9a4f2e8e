//! Manifests of media types that are not known, understood by the members that manifests share.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Descriptor;

/// A manifest of an unknown media type: what it names, as far as its members are those of the
/// manifests that are known. One that names nothing so is copied as it stands.
#[derive(Clone, Debug, Default)]
pub struct OtherManifest {
    /// The blobs that `config`, `layers` and `blobs` name: image manifests have the first two, and
    /// the artifact manifests that were before them have the last.
    pub blobs: Vec<Descriptor>,
    /// The manifests that `manifests` names.
    pub manifests: Vec<Descriptor>,
    /// The manifest that this one is about.
    pub subject: Option<Descriptor>,
}

/// The members as they stand: a tree of their values would take a hundred times what they have.
#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow, default)]
    config: Option<&'a RawValue>,
    #[serde(borrow, default)]
    layers: Option<&'a RawValue>,
    #[serde(borrow, default)]
    blobs: Option<&'a RawValue>,
    #[serde(borrow, default)]
    manifests: Option<&'a RawValue>,
    #[serde(borrow, default)]
    subject: Option<&'a RawValue>,
}

impl OtherManifest {
    /// Reads a manifest's document. Fails where something that has a digest and a size is no
    /// descriptor all the same, since what it names would be missing in a copy.
    pub(super) fn of(document: &[u8]) -> serde_json::Result<Self> {
        let document: Document<'_> = serde_json::from_slice(document)?;
        let mut blobs = Vec::new();
        for member in [document.config, document.layers, document.blobs] {
            blobs.extend(descriptors(member)?);
        }
        Ok(Self {
            blobs,
            manifests: descriptors(document.manifests)?,
            subject: descriptors(document.subject)?.pop(),
        })
    }
}

/// The descriptors in a member: one, or a list of them.
fn descriptors(member: Option<&RawValue>) -> serde_json::Result<Vec<Descriptor>> {
    let Some(member) = member else {
        return Ok(Vec::new());
    };
    let entries: Vec<&RawValue> = match serde_json::from_str(member.get()) {
        Ok(entries) => entries,
        Err(_) => vec![member],
    };
    let named = entries.into_iter().filter(|entry| is_descriptor(entry));
    named
        .map(|entry| serde_json::from_str(entry.get()))
        .collect()
}

/// Returns true if something has a text for a digest, and a number for a size.
fn is_descriptor(entry: &RawValue) -> bool {
    #[derive(Deserialize)]
    struct Shape<'a> {
        #[serde(borrow)]
        digest: &'a RawValue,
        #[serde(borrow)]
        size: &'a RawValue,
    }
    let shape: Result<Shape<'_>, _> = serde_json::from_str(entry.get());
    shape.is_ok_and(|shape| {
        let is_number = |c: char| c == '-' || c.is_ascii_digit();
        shape.digest.get().starts_with('"') && shape.size.get().starts_with(is_number)
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use serde_json::json;

    use crate::oci::{Digest, Manifest, MediaType, RawManifest};

    fn parse(document: &serde_json::Value) -> Manifest {
        let media_type = "application/vnd.example+json".into();
        let raw = RawManifest::new(&media_type, document.to_string().into());
        assert_eq!(*raw.media_type(), media_type, "never another one's");
        raw.parse().unwrap()
    }

    #[test]
    fn names_what_known_members_name() {
        let named = |text: &str| json!({"mediaType": "a/b", "digest": Digest::sha256(text.as_bytes()), "size": 1});
        let manifest = parse(&json!({
            "mediaType": MediaType::OCI_MANIFEST,
            "config": named("config"),
            "layers": [named("layer"), {"digest": "sha256:abc"}, 7],
            "blobs": [named("blob")],
            "manifests": [named("manifest")],
            "subject": named("subject"),
            "others": [named("other")],
        }));
        let digests = |texts: &[&str]| -> Vec<_> {
            texts
                .iter()
                .map(|text| Digest::sha256(text.as_bytes()))
                .collect()
        };
        let blobs: Vec<_> = manifest.blobs().map(|blob| blob.digest.clone()).collect();
        assert_eq!(blobs, digests(&["config", "layer", "blob"]));
        let entries = manifest.entries().iter();
        let entries: Vec<_> = entries.map(|entry| entry.digest.clone()).collect();
        assert_eq!(entries, digests(&["manifest"]));
        let subject = manifest.subject().map(|subject| subject.digest.clone());
        assert_eq!(subject, digests(&["subject"]).pop());
    }

    #[test]
    fn what_cannot_be_checked_is_refused() {
        let document = json!({"blobs": [{"digest": "md5:abc", "size": 1}]}).to_string();
        let raw = RawManifest::new(&"application/vnd.example+json".into(), document.into());
        assert!(raw.parse().is_err());
    }

    #[test]
    fn a_type_that_says_nothing_is_read_from_the_document() {
        for (document, expected) in [
            (json!({"mediaType": "a/b"}), "a/b"),
            (json!({"config": {}}), MediaType::OCI_MANIFEST.as_str()),
            (json!({"manifests": []}), MediaType::OCI_INDEX.as_str()),
            (json!({}), "application/json"),
        ] {
            let raw = RawManifest::new(&"application/json".into(), document.to_string().into());
            assert_eq!(raw.media_type().as_str(), expected);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_manifest_or_none(bytes in any::<Vec<u8>>(), text in "[\\[\\]{}:,\"a-z0-9]{0,60}") {
            for bytes in [Bytes::from(bytes), Bytes::from(text)] {
                let raw = RawManifest::new(&"application/vnd.example+json".into(), bytes);
                let _ = raw.parse();
            }
        }
    }
}
