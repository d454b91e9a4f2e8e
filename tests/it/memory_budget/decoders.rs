//! Layers and archives whose decoders ask for much memory.

use std::io::Write;
use std::process::{Command, Output};

use longshore::oci::Digest;
use serde_json::json;

use super::within;
use crate::support::{output_of, stderr};

const DESTINATION: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:1";

/// A small frame whose decoder keeps `2^log` bytes.
fn demanding(plain: &[u8], log: u32) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.long_distance_matching(true).unwrap();
    encoder.window_log(log).unwrap();
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn tar(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder
            .append_data(&mut header, name, bytes.as_slice())
            .unwrap();
    }
    builder.into_inner().unwrap()
}

/// What `docker save` would write of an image with `count` layers, each of which wants `2^log`
/// bytes and is 130 MB of zeros.
fn archive(count: u8, log: u32) -> Vec<u8> {
    let (mut entries, mut names, mut diff_ids) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..count {
        let mut plain = vec![0; 130 << 20];
        plain[0] = number;
        diff_ids.push(Digest::sha256(&plain));
        names.push(format!("{number}/layer.tar"));
        entries.push((format!("{number}/layer.tar"), demanding(&plain, log)));
    }
    let config = json!({
        "architecture": "amd64", "os": "linux",
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    let manifest = json!([{ "Config": "config.json", "RepoTags": ["a:1"], "Layers": names }]);
    entries.push(("config.json".to_owned(), config.to_string().into_bytes()));
    entries.push((
        "manifest.json".to_owned(),
        manifest.to_string().into_bytes(),
    ));
    tar(&entries)
}

/// Copies an archive to the stand-ins with so much memory, of which the program is told.
fn copy(archive: &[u8], mebibytes: u64) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("archive.tar");
    std::fs::write(&path, archive).unwrap();
    let source = format!("docker-archive:{}", path.display());
    let arguments = [
        "copy",
        "--local",
        "--concurrency",
        "32",
        &source,
        DESTINATION,
    ];
    within(mebibytes, arguments, &[])
}

#[test]
#[ignore = "needs real parts: run scripts/test"]
fn layers_that_ask_for_much_memory_take_turns() {
    let run = copy(&archive(4, 27), 256);
    assert!(run.status.success(), "{:?}: {}", run.status, stderr(&run));
}

#[test]
#[ignore = "needs real parts: run scripts/test"]
fn a_layer_that_can_never_fit_is_told_with_what_it_needs() {
    let run = copy(&archive(1, 27), 200);
    let said = stderr(&run);
    assert_eq!(run.status.code(), Some(1), "{said}");
    assert!(said.contains("takes 128 MiB to decompress"), "{said}");
    assert!(said.contains("give the function more memory"), "{said}");
}

#[test]
#[ignore = "needs real parts: run scripts/test"]
fn many_small_windows_take_turns_too() {
    let run = copy(&archive(16, 23), 256);
    assert!(run.status.success(), "{:?}: {}", run.status, stderr(&run));
}

#[test]
#[ignore = "needs real parts: run scripts/test"]
fn an_archive_with_the_largest_dictionary_is_read_twice() {
    let plain = archive(2, 20);
    let packed = output_of(Command::new("xz").args(["-9", "--threads=1"]), &plain);
    let run = copy(&packed, 256);
    assert!(run.status.success(), "{:?}: {}", run.status, stderr(&run));
}
