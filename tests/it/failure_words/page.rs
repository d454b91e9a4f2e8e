//! The table is that of docs/failures.md: what the page says of peers, a cell shows.

use std::path::{Path, PathBuf};

/// The sections of the page that tell of peers.
const SECTIONS: [&str; 3] = [
    "## S3 and other AWS services\n",
    "## Registries\n",
    "## Web servers\n",
];

/// Rows that no cell shows, each with the test that does: they are of settings, of what an image
/// is, of time that no test takes, or of certificates.
const ELSEWHERE: [(&str, &str); 26] = [
    (
        "… failed: … in … was not reached; a function in a VPC needs a way to it, such as …",
        "what_is_not_reached_names_the_endpoint_that_a_vpc_may_lack",
    ),
    (
        "repository … was created without its lifecycle policy, and later deployments leave it as it is: set the policy, or delete the repository and deploy again",
        "a_repository_without_the_policy_that_it_was_to_have_is_told",
    ),
    (
        "the image is … not at …",
        "a_failure_names_what_is_done_and_the_next_attempt_does_the_rest",
    ),
    (
        "the same image cannot be called … instead of … while RemovalPolicy is delete: …",
        "the_same_image_under_another_first_name_would_be_taken_away",
    ),
    (
        "images may not come from …: its registry is not among those of the template's parameter SourceRegistries…",
        "an_image_comes_from_no_other_registry",
    ),
    (
        "images may not go to …: its registry is not among those of the template's parameter DestinationRegistries…",
        "what_the_function_reads_goes_to_no_other_registry",
    ),
    (
        "refusing to send the credentials of … to …: …",
        "credentials_go_to_the_registrys_own_token_server_only",
    ),
    (
        "secret … is not for …: …",
        "a_secret_goes_to_the_registries_that_the_operator_names",
    ),
    (
        "secret … holds no registry credentials: expected JSON with texts in the fields …",
        "cdks_file_says_whose_logins_a_build_uses",
    ),
    (
        "ECR's bucket of layers denies access: …",
        "a_bucket_behind_an_endpoint_and_other_registries_have_their_own",
    ),
    (
        "… was not reached: a function in a VPC needs a way to it, such as a NAT gateway",
        "the_endpoints_of_a_vpc_are_those_of_the_region",
    ),
    (
        "no image for …; there is …",
        "a_missing_platform_lists_what_there_is",
    ),
    (
        "the tag points to … and the registry refuses to move it to …; where tags are immutable, use a new tag, or push by digest without one",
        "an_immutable_tag_keeps_its_image",
    ),
    (
        "the pull quota of … is used up…",
        "a_quota_is_explained_and_not_hammered",
    ),
    (
        "… stood still for … seconds",
        "a_silent_registry_is_given_up",
    ),
    (
        "… its certificate is for another name: see that the host is right",
        "a_wrong_certificate_is_told_after_one_attempt",
    ),
    (
        "… its certificate is not valid at this time: renew it",
        "a_wrong_certificate_is_told_after_one_attempt",
    ),
    (
        "… its certificate was issued by an authority that is not known here: …",
        "a_wrong_certificate_is_told_after_one_attempt",
    ),
    (
        "… its certificate is not to be trusted, as one that it signed itself: …",
        "a_wrong_certificate_is_told_after_one_attempt",
    ),
    (
        "… it does not speak TLS on this port: see that the port is right",
        "a_port_without_tls_is_told_after_one_attempt",
    ),
    (
        "… its answer stopped in the middle",
        "an_answer_that_stops_in_the_middle_was_reached",
    ),
    (
        "… no connection was made in time",
        "a_host_that_takes_no_connection_is_told",
    ),
    (
        "the image has a Docker schema 1 manifest, which registries no longer take: …",
        "schema_1_says_what_to_do",
    ),
    (
        "… it takes … MiB to decompress, and there are …: give the function more memory, or compress it with a smaller window",
        "a_layer_that_can_never_fit_is_told_with_what_it_needs",
    ),
    (
        "the index lists this attestation, and it is not there: …",
        "attestations_that_are_not_there_are_named_with_what_to_do",
    ),
    (
        "the image has more than …",
        "an_image_that_is_nested_too_deep_is_told",
    ),
];

/// The rows of the page whose words are in none of these sentences.
pub(super) fn unseen(sentences: &[&str]) -> Vec<String> {
    let page = read(&rooted("docs/failures.md"));
    let sections = SECTIONS.iter().flat_map(|heading| {
        let (_, section) = page.split_once(heading).expect("a section");
        section.lines().take_while(|line| !line.starts_with("## "))
    });
    let rows = sections.filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let rows: Vec<&str> = rows.collect();
    assert!(rows.len() > 50, "{}", rows.len());
    let is_elsewhere = |row: &str| ELSEWHERE.iter().any(|(known, _)| *known == row);
    let is_seen = |row: &&str| sentences.iter().any(|sentence| has(sentence, row));
    let unseen = rows
        .iter()
        .filter(|row| !is_elsewhere(row) && !is_seen(row));
    unseen.map(ToString::to_string).collect()
}

/// Whether a sentence has the words of a row in their order.
fn has(sentence: &str, row: &str) -> bool {
    let mut rest = sentence;
    row.split('…').map(str::trim).all(|words| {
        let found = rest.split_once(words);
        rest = found.map_or("", |(_, after)| after);
        found.is_some()
    })
}

#[test]
fn what_no_cell_shows_has_a_test_of_its_own() {
    let page = read(&rooted("docs/failures.md"));
    let code: String = ["src", "tests/it"]
        .iter()
        .flat_map(|folder| sources(&rooted(folder)))
        .map(|path| read(&path))
        .collect();
    for (row, test) in ELSEWHERE {
        assert!(page.contains(&format!("| `{row}` |")), "no row: {row}");
        assert!(code.contains(&format!("fn {test}(")), "no test: {test}");
    }
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let (folders, files): (Vec<_>, Vec<_>) = paths.partition(|path| path.is_dir());
    let below = folders.iter().flat_map(|folder| sources(folder));
    files.into_iter().chain(below).collect()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("a text")
}

fn rooted(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
