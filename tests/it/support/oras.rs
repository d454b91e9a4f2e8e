//! The Python client of ORAS.

use std::path::Path;
use std::process::Command;

use super::docker_registry::PASSWORD;
use super::process::{output, tool};

/// Pushes a folder's chart, and its SBOM as a referrer of the chart. Gives the digests of both.
pub(crate) fn push(target: &str, folder: &Path) -> [String; 2] {
    let printed = run("push", target, folder);
    let mut digests = printed.lines().map(str::to_owned);
    std::array::from_fn(|_| digests.next().expect("a digest"))
}

/// Pulls the files of an artifact into a folder.
pub(crate) fn pull(target: &str, folder: &Path) {
    run("pull", target, folder);
}

fn run(action: &str, target: &str, folder: &Path) -> String {
    let printed = output(
        Command::new(tool("venv/bin/python3"))
            .arg("tests/it/oras/artifact.py")
            .args([action, target])
            .arg(folder)
            .env("ORAS_USER", "AWS")
            .env("ORAS_PASS", PASSWORD),
    );
    String::from_utf8(printed).expect("text")
}
