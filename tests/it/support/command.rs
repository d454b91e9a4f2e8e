//! `longshore` as a person runs it.

use std::process::{Command, Output};

/// Runs without any AWS or proxy settings of whoever runs the tests.
pub(crate) fn longshore(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_longshore"))
        .args(arguments)
        .env_clear()
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap()
}

/// What a command told a person.
pub(crate) fn stderr(run: &Output) -> String {
    String::from_utf8_lossy(&run.stderr).into_owned()
}
