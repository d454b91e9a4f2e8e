//! Archives of many names, long names and large descriptions.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use longshore::oci::{Digest, MediaType};
use serde_json::{Value, json};

use super::{MEBIBYTES, ended, within};
use crate::support::Archive;

const DESTINATION: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:1";
/// A document may have so many bytes.
const DOCUMENT: usize = 4 << 20;

/// Copies an archive to the stand-ins; what was said.
fn copied(what: &str, archive: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("archive.tar");
    std::fs::write(&path, archive).unwrap();
    let source = format!("docker-archive:{}", path.display());
    let run = within(MEBIBYTES, ["copy", "--local", &source, DESTINATION], &[]);
    ended(what, &run)
}

/// An entry as it stands in a tar.
fn entry(kind: tar::EntryType, name: &str, data: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_path(name).unwrap();
    header.set_entry_type(kind);
    header.set_size(data.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(data);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

/// An image, and `before` it in the same archive.
fn beside(mut before: Vec<u8>) -> Vec<u8> {
    before.extend(Archive::of(&[b"layer"]).tar());
    before
}

#[test]
#[ignore = "needs real parts: run scripts/test"]
fn an_archive_of_the_most_names_is_read() {
    let names = |count: usize, length: usize| {
        let mut tar = Vec::new();
        for number in 0..count {
            let name = format!("{number:0length$}");
            if length > 90 {
                tar.extend(entry(tar::EntryType::GNULongName, "long", name.as_bytes()));
            }
            tar.extend(entry(tar::EntryType::Regular, &name[..length.min(90)], b""));
        }
        beside(tar)
    };
    let said = copied("many names", &names(65_000, 60));
    assert!(said.contains("app@sha256:"), "{said}");
    let said = copied("long names", &names(4_000, 4_090));
    assert!(said.contains("app@sha256:"), "{said}");
    let said = copied("too many names", &names(200_000, 20));
    assert!(
        said.contains("the number of files in the archive"),
        "{said}"
    );
}

#[test]
#[ignore = "needs real parts: run scripts/test"]
fn long_extensions_are_read() {
    let record = |value: usize| {
        let body = format!(" comment={}\n", "x".repeat(value));
        let length = body.len() + (body.len() + 7).to_string().len();
        format!("{length}{body}").into_bytes()
    };
    let extended = |length: usize| {
        let mut tar = Vec::new();
        for number in 0..64 {
            tar.extend(entry(tar::EntryType::XHeader, "pax", &record(length)));
            tar.extend(entry(tar::EntryType::Regular, &number.to_string(), b""));
        }
        beside(tar)
    };
    let said = copied("long extensions", &extended(1_048_000));
    assert!(said.contains("app@sha256:"), "{said}");
    let said = copied("too long an extension", &extended(2 << 20));
    assert!(said.contains("the length of a tar extension"), "{said}");
}

#[test]
#[ignore = "needs real parts: run scripts/test"]
fn descriptions_of_the_largest_size_are_read() {
    let list = |one: &str| {
        let many = one.repeat(DOCUMENT / one.len() - 1);
        many.trim_end_matches(',').to_owned()
    };
    let distinct = (0..100_000).map(|number| format!(r#"{{"Config":"{number}"}}"#));
    let distinct: Vec<_> = distinct.collect();
    let junk = list(r#"{"":0},"#);
    for (what, document) in [
        ("the same images", list(r#"{"Config":""},"#)),
        ("different images", distinct.join(",")),
        (
            "names",
            format!(r#"{{"Config":"","RepoTags":[{}]}}"#, list(r#""","#)),
        ),
        (
            "layers",
            format!(r#"{{"Config":"","Layers":[{}]}}"#, list(r#""","#)),
        ),
        (
            "other members",
            format!(r#"{{"Config":"","Junk":[{junk}]}}"#),
        ),
    ] {
        let document = format!("[{}]", &document);
        let document = &document.as_bytes()[..document.len().min(DOCUMENT)];
        let said = copied(
            what,
            &entry(tar::EntryType::Regular, "manifest.json", document),
        );
        assert!(said.contains("cannot read the image"), "{what}: {said}");
    }
}

#[test]
#[ignore = "needs real parts: run scripts/test"]
fn layouts_of_large_manifests_are_read() {
    let config = r#"{"os":"linux","architecture":"amd64"}"#;
    let of = |media_type: MediaType, text: &str| -> Value {
        json!({"mediaType": media_type, "digest": Digest::sha256(text.as_bytes()), "size": text.len()})
    };
    let blob = |text: &str| {
        let name = format!("blobs/sha256/{}", Digest::sha256(text.as_bytes()).hex());
        entry(tar::EntryType::Regular, &name, text.as_bytes())
    };
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&blob(config)).unwrap();
    let mut entries = Vec::new();
    for number in 0..64 {
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MediaType::OCI_MANIFEST,
            "config": of(MediaType::OCI_CONFIG, config), "layers": [],
            "annotations": {"padding": format!("{number}{}", "x".repeat(DOCUMENT - 1000))},
        });
        let manifest = manifest.to_string();
        entries.push(of(MediaType::OCI_MANIFEST, &manifest));
        packed.write_all(&blob(&manifest)).unwrap();
    }
    let index =
        json!({"schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": entries});
    let index = index.to_string();
    packed.write_all(&blob(&index)).unwrap();
    let root = json!({"schemaVersion": 2, "manifests": [of(MediaType::OCI_INDEX, &index)]});
    let root = entry(
        tar::EntryType::Regular,
        "index.json",
        root.to_string().as_bytes(),
    );
    packed.write_all(&root).unwrap();
    packed
        .write_all(&entry(
            tar::EntryType::Regular,
            "oci-layout",
            b"{\"imageLayoutVersion\":\"1.0.0\"}",
        ))
        .unwrap();
    packed.write_all(&[0; 1024]).unwrap();
    let said = copied("large manifests", &packed.finish().unwrap());
    assert!(said.contains("bytes of manifests"), "{said}");
}
