//! Stopping a command by a signal, with nothing of it left behind.

use std::future::poll_fn;
use std::process::ExitCode;
use std::task::Poll;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use crate::output;

/// Signals that ask a program to end.
const SIGNALS: [u8; 3] = [HANGUP, 2, 15];
const HANGUP: u8 = 1;
/// What a shell adds to a signal's number for the exit status.
const BY_SIGNAL: u8 = 128;

/// Runs a command that has builders and files of its own. A signal that asks it to end drops it:
/// its builders end, and its files are removed.
pub(crate) async fn or_stopped(
    command: impl Future<Output = anyhow::Result<ExitCode>>,
) -> anyhow::Result<ExitCode> {
    let mut signals = Vec::new();
    for number in SIGNALS {
        if number == HANGUP && is_ignored(number) {
            continue;
        }
        let listener = signal(SignalKind::from_raw(number.into()));
        signals.push((number, listener.context("cannot wait for signals")?));
    }
    let signalled = poll_fn(|context| {
        for (number, listener) in &mut signals {
            if listener.poll_recv(context).is_ready() {
                return Poll::Ready(*number);
            }
        }
        Poll::Pending
    });
    let number = tokio::select! {
        done = command => return done,
        number = signalled => number,
    };
    output::warn("longshore: stopped by a signal");
    Ok(ExitCode::from(BY_SIGNAL + number))
}

/// Returns true if whoever started this program lets it ignore a signal, as `nohup` does. Linux
/// tells.
fn is_ignored(signal: u8) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut lines = status.lines();
    let ignored = lines.find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & (1 << (signal - 1)) != 0)
}
