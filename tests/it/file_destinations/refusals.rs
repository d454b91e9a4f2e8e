//! What cannot be written, and what the command says of it.

use std::fs;

use super::EXAMPLE;
use crate::support::{longshore, stderr};

/// Who runs it, what was typed behind `copy`, and what the sentence must name. `DIR` is a folder with
/// `notes.txt`, `folder` (with a file), `broken` (a layout without a readable index) and `own.tar`.
const REFUSALS: &[(&str, &[&str])] = &[
    (
        "EXAMPLE oci-archive:DIR/folder",
        &["is a directory", "oci:"],
    ),
    ("EXAMPLE oci:DIR/notes.txt", &["is a file", "oci-archive:"]),
    (
        "EXAMPLE oci:DIR/folder",
        &["no OCI layout", "empty directory"],
    ),
    ("EXAMPLE oci:DIR/broken", &["index.json", "malformed"]),
    (
        "EXAMPLE docker-archive:DIR/notes.txt",
        &["no archive of images", "remove it"],
    ),
    (
        "EXAMPLE oci-archive:DIR/none/a.tar",
        &["no directory", "create it"],
    ),
    (
        "EXAMPLE oci-archive:DIR/a.tar:App/Name",
        &["malformed NAME", "app:1.0"],
    ),
    (
        "EXAMPLE oci:/sys/layout",
        &["may not be written to", "permissions"],
    ),
    (
        "EXAMPLE oci-archive:",
        &["names no file", "oci-archive:PATH"],
    ),
    ("EXAMPLE oci:-", &["oci-archive:-"]),
    ("EXAMPLE app.tar", &["docker-archive:app.tar"]),
    ("EXAMPLE docker-daemon:app:1", &["docker load"]),
    (
        "EXAMPLE oci-archive:/dev/full",
        &["no space left", "elsewhere"],
    ),
    (
        "docker-archive:DIR/own.tar docker-archive:DIR/own.tar",
        &["is the source", "rename it"],
    ),
    (
        "--append EXAMPLE oci-archive:DIR/own.tar",
        &["no index.json", "docker-archive:"],
    ),
    (
        "--append EXAMPLE docker-archive:-",
        &["--append", "standard output"],
    ),
    (
        "--append --local EXAMPLE localhost:5000/app:1",
        &["--append", "no destination is one"],
    ),
    (
        "--tag 2 EXAMPLE docker-archive:DIR/a.tar",
        &["needs a repository's name", "docker-archive:PATH:NAME"],
    ),
    (
        "--referrers copy EXAMPLE docker-archive:DIR/a.tar",
        &["no room for referrers", "oci-archive"],
    ),
    (
        "EXAMPLE oci-archive:DIR/a.tar --to oci-archive:DIR/a.tar:x",
        &["is named twice"],
    ),
    (
        "docker-archive:DIR/none.tar oci-archive:DIR/a.tar",
        &["cannot read", "none.tar"],
    ),
];

#[test]
fn what_cannot_be_written_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let notes = "not an archive, and someone's own";
    fs::write(at("notes.txt"), notes).unwrap();
    fs::create_dir(at("folder")).unwrap();
    fs::write(at("folder/file"), "").unwrap();
    fs::create_dir(at("broken")).unwrap();
    fs::write(at("broken/oci-layout"), "{}").unwrap();
    fs::write(at("broken/index.json"), "no JSON").unwrap();
    let example = &EXAMPLE["docker-archive:".len()..];
    fs::copy(example, at("own.tar")).unwrap();

    for (typed, parts) in REFUSALS {
        let typed = typed.replace("EXAMPLE", EXAMPLE);
        let typed = typed.replace("DIR", &folder.path().display().to_string());
        let words: Vec<&str> = typed.split(' ').collect();
        let run = longshore(&[&["copy"], &words[..]].concat());
        let told = stderr(&run);
        assert!(!run.status.success(), "{typed}: {told}");
        for part in *parts {
            assert!(told.contains(part), "{typed}: {told}");
        }
        assert!(run.stdout.is_empty(), "{typed}");
    }
    assert_eq!(fs::read_to_string(at("notes.txt")).unwrap(), notes);
    assert_eq!(fs::read(at("own.tar")).unwrap(), fs::read(example).unwrap());
    let entries = fs::read_dir(folder.path()).unwrap();
    assert_eq!(entries.count(), 4, "nothing half is left");
}
