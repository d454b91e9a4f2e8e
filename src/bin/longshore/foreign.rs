//! Words of other tools, answered by ours.

use clap::error::{ContextKind, ContextValue};

/// Commands of docker, skopeo, crane, regctl and oras, and what does the same here.
const COMMANDS: &[(&[&str], &str)] = &[
    (
        &["cp", "pull", "push", "save", "load", "export", "import"],
        "longshore copy SOURCE DESTINATION",
    ),
    (
        &["tag", "retag"],
        "longshore copy HOST/NAME:OLD HOST/NAME:NEW",
    ),
    (&["ls"], "longshore tags REPOSITORY"),
    (&["manifest"], "longshore inspect --raw IMAGE"),
    (&["config"], "longshore inspect --config IMAGE"),
    (&["show", "describe", "image"], "longshore inspect IMAGE"),
    (
        &["rm", "rmi", "del", "remove"],
        "longshore delete REFERENCE",
    ),
    (&["auth", "signin"], "longshore login REGISTRY"),
    (&["mirror"], "longshore sync LIST"),
    (&["append", "mutate"], "longshore build DIRECTORY"),
    (&["serve", "registry"], "longshore local"),
    (&["version"], "longshore --version"),
];

const CREDENTIALS: &str =
    "--source-credentials and --destination-credentials, with file:PATH, env:NAME or -";

/// Options of the same tools.
const OPTIONS: &[(&[&str], &str)] = &[
    (
        &[
            "--creds",
            "--src-creds",
            "--dest-creds",
            "--src-password",
            "--dest-password",
            "--src-username",
            "--dest-username",
            "--credentials",
        ],
        CREDENTIALS,
    ),
    (
        &["--password", "--pass"],
        "--password-stdin, with the password on standard input",
    ),
    (
        &["--authfile", "--src-authfile", "--dest-authfile"],
        "the variable REGISTRY_AUTH_FILE",
    ),
    (
        &["--all", "--multi-arch"],
        "nothing: all platforms are copied unless --platform chooses some",
    ),
    (
        &["--override-arch", "--override-os", "--arch", "--os"],
        "--platform OS/ARCHITECTURE",
    ),
    (
        &[
            "--tls-verify",
            "--src-tls-verify",
            "--dest-tls-verify",
            "--insecure",
        ],
        "LONGSHORE_ALLOW_LOOPBACK=1 for a registry on this machine; others take TLS",
    ),
    (&["--force"], "--yes"),
    (&["--format"], "--json"),
    (
        &["--assume-role", "--role", "--role-arn"],
        "--source-role and --destination-role",
    ),
];

/// What is to be written instead of what the parser does not know.
pub(crate) fn answer(error: &clap::Error) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let (word, ours) = text(ContextKind::InvalidSubcommand)
        .and_then(|word| known(COMMANDS, word))
        .or_else(|| text(ContextKind::InvalidArg).and_then(|word| known(OPTIONS, word)))?;
    Some(format!("`{word}` is a word of other tools: write {ours}"))
}

/// A word of a table. It is shown as it is there, without a value behind it.
fn known(
    table: &[(&[&'static str], &'static str)],
    word: &str,
) -> Option<(&'static str, &'static str)> {
    let word = word.split(['=', ' ']).next()?;
    table.iter().find_map(|(words, ours)| {
        let known = words.iter().find(|known| **known == word)?;
        Some((*known, *ours))
    })
}
