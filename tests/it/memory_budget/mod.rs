//! What a small function does with whatever asks for much memory: it bounds it, takes turns, or says
//! what is wrong. The kernel kills what takes more.

mod answers;
mod archives;
mod decoders;
mod flows;
mod peer;

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::MemoryLimit;

/// MiB that the programs have.
const MEBIBYTES: u64 = 256;

/// The rows of the table in docs/operations.md, and the test that runs the worst of each.
const ROWS: [(&str, &str, &str); 20] = [
    (
        "archive's layer under way",
        "flows",
        "archives_are_read_ahead_within_bounds",
    ),
    (
        "blob of a registry of 48 MiB",
        "flows",
        "large_blobs_are_read_ahead_within_bounds",
    ),
    (
        "layers being compressed",
        "flows",
        "archives_are_read_ahead_within_bounds",
    ),
    (
        "decoders of zstd layers",
        "decoders",
        "layers_that_ask_for_much_memory_take_turns",
    ),
    (
        "blobs under way",
        "flows",
        "slow_destinations_hold_up_within_bounds",
    ),
    (
        "chunks, for registries",
        "flows",
        "chunks_for_many_destinations_take_turns",
    ),
    (
        "manifest, a config",
        "answers",
        "manifests_configs_and_errors_are_bounded",
    ),
    (
        "manifests of one image",
        "answers",
        "an_image_of_the_most_manifests_is_copied",
    ),
    (
        "blobs of one image",
        "answers",
        "an_image_of_too_many_blobs_is_refused",
    ),
    (
        "manifests of earlier images",
        "answers",
        "earlier_images_are_learned_from_within_bounds",
    ),
    ("list of tags", "answers", "lists_of_tags_are_bounded"),
    (
        "list of referrers",
        "answers",
        "manifests_configs_and_errors_are_bounded",
    ),
    (
        "token server's answer",
        "answers",
        "token_servers_answers_are_bounded",
    ),
    (
        "error of a registry",
        "answers",
        "manifests_configs_and_errors_are_bounded",
    ),
    ("answer of AWS", "answers", "answers_of_aws_are_bounded"),
    (
        "head of an answer",
        "answers",
        "endless_headers_are_given_up",
    ),
    (
        "keys of addresses",
        "answers",
        "keys_of_redirects_are_bounded",
    ),
    (
        "archive's index",
        "archives",
        "an_archive_of_the_most_names_is_read",
    ),
    (
        "extension of a tar's entry",
        "archives",
        "long_extensions_are_read",
    ),
    (
        "properties of a resource",
        "answers",
        "an_event_of_intricate_properties_is_answered",
    ),
];

/// Runs a program within so much memory, of which it is told.
fn within<A: AsRef<OsStr>>(
    mebibytes: u64,
    arguments: impl IntoIterator<Item = A>,
    variables: &[(&str, String)],
) -> Output {
    let limit = MemoryLimit::new(mebibytes);
    Command::new(limit.within(Path::new(env!("CARGO_BIN_EXE_longshore"))))
        .args(arguments)
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", mebibytes.to_string())
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .output()
        .unwrap()
}

/// What the program said, which ended by itself.
fn ended(what: &str, run: &Output) -> String {
    let said = [&run.stdout[..], &run.stderr[..]].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(
        run.status.code().is_some(),
        "{what}: {}: {said}",
        run.status
    );
    said
}

#[test]
fn every_row_of_the_table_is_tested() {
    let page = include_str!("../../../docs/operations.md");
    let (_, memory) = page.split_once("\n## Memory\n").unwrap();
    let (_, table) = memory.split_once("| ---: | --- |\n").unwrap();
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let rows: Vec<&str> = rows.collect();
    assert_eq!(rows.len(), ROWS.len(), "{rows:#?}");
    for (row, (what, file, test)) in rows.iter().zip(ROWS) {
        assert!(row.contains(what), "{row}: expected {what:?}");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/memory_budget");
        let text = std::fs::read_to_string(path.join(file).with_extension("rs")).unwrap();
        assert!(text.contains(&format!("fn {test}()")), "{file}: no {test}");
    }
}
