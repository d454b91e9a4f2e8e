//! Stopping a command by a signal, with nothing of it left behind.

use std::process::ExitCode;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use crate::output;

/// What a shell adds to a signal's number for the exit status.
const BY_SIGNAL: u8 = 128;
const HANGUP: u8 = 1;
const INTERRUPT: u8 = 2;
const TERMINATE: u8 = 15;

/// Runs a command that has builders and files of its own. A signal that asks it to end drops it:
/// its builders end, and its files are removed.
pub(crate) async fn or_stopped(
    command: impl Future<Output = anyhow::Result<ExitCode>>,
) -> anyhow::Result<ExitCode> {
    let listen = |kind| signal(kind).context("cannot wait for signals");
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hangup = match is_ignored(HANGUP) {
        true => None,
        false => Some(listen(SignalKind::hangup())?),
    };
    let hung_up = async {
        match &mut hangup {
            Some(hangup) => hangup.recv().await,
            None => std::future::pending().await,
        }
    };
    let number = tokio::select! {
        done = command => return done,
        _ = hung_up => HANGUP,
        _ = interrupt.recv() => INTERRUPT,
        _ = terminate.recv() => TERMINATE,
    };
    output::note("longshore: stopped by a signal");
    Ok(ExitCode::from(BY_SIGNAL + number))
}

/// Whether whoever started this program wants it to ignore a signal, as `nohup` does. Linux tells.
fn is_ignored(signal: u8) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut lines = status.lines();
    let ignored = lines.find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & (1 << (signal - 1)) != 0)
}
