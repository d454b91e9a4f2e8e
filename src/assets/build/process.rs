//! Running another program: what it says is passed on, and its last lines are kept.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::assets::{Error, Report};

/// The number of lines of a program that fails that are shown.
const LAST_LINES: usize = 20;
/// The time that a program may take to end when it is asked, and when it is killed.
const TO_END: Duration = Duration::from_secs(5);
const TO_BE_KILLED: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(10);
/// Longer lines are cut.
const LINE: usize = 2000;

/// A program and what it is run with.
pub(in crate::assets) struct Program<'a> {
    pub(in crate::assets) name: &'a OsStr,
    pub(in crate::assets) arguments: &'a [OsString],
    pub(in crate::assets) directory: &'a Path,
    /// The variables that its environment has beside those of this program.
    pub(in crate::assets) variables: &'a [(&'static str, PathBuf)],
    /// After this it is killed.
    pub(in crate::assets) within: Duration,
}

impl Program<'_> {
    /// Runs it to its end. Dropping the future ends it: it is asked first, and killed if it stays.
    /// Answers the lines of its standard output
    /// that came last.
    ///
    /// Arguments are in no error: they may be secrets.
    pub(in crate::assets) async fn run(&self, report: Report<'_>) -> Result<Vec<String>, Error> {
        let child = Command::new(self.name)
            .args(self.arguments)
            .current_dir(self.directory)
            .env("BUILDX_NO_DEFAULT_ATTESTATIONS", "1")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| self.failed(source))?;
        let mut running = Running(child);
        let child = &mut running.0;
        let (all, output) = (LastLines::default(), LastLines::default());
        let read_output = read_lines(child.stdout.take(), |line| {
            report(line);
            output.push(line);
            all.push(line);
        });
        let read_errors = read_lines(child.stderr.take(), |line| {
            report(line);
            all.push(line);
        });
        let ended = timeout(self.within, async {
            tokio::try_join!(read_output, read_errors)?;
            child.wait().await
        });
        let status = match ended.await {
            Ok(status) => status.map_err(|source| self.failed(source))?,
            Err(_) => {
                return Err(Error::ProgramSlow {
                    program: self.display(),
                    after: self.within,
                });
            }
        };
        if !status.success() {
            return Err(Error::ProgramFailed {
                program: self.display(),
                status: status.to_string(),
                last_lines: all.take(),
            });
        }
        Ok(output.take())
    }

    fn display(&self) -> String {
        self.name.to_string_lossy().into_owned()
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Program {
            program: self.display(),
            source,
        }
    }
}

/// A program that has ended when this is dropped: what it reads or writes can go then.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let pid = self
            .0
            .id()
            .and_then(|id| Pid::from_raw(id.try_into().ok()?));
        // One that has been waited for has no ID any more.
        let Some(pid) = pid else { return };
        // Asked, it stops what it began elsewhere, such as a build in a daemon.
        let _ = kill_process(pid, Signal::TERM);
        if !self.ends_within(TO_END) {
            let _ = self.0.start_kill();
            self.ends_within(TO_BE_KILLED);
        }
    }
}

impl Running {
    /// Blocks, since nothing else goes on in a program that is being stopped.
    fn ends_within(&mut self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        while matches!(self.0.try_wait(), Ok(None)) {
            if Instant::now() > until {
                return false;
            }
            std::thread::sleep(POLL);
        }
        true
    }
}

#[derive(Default)]
struct LastLines(Mutex<VecDeque<String>>);

impl LastLines {
    fn push(&self, line: &str) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LAST_LINES {
            lines.pop_front();
        }
        lines.push_back(line.to_owned());
    }

    fn take(self) -> Vec<String> {
        let lines = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        lines.into()
    }
}

/// Reads lines, those of progress bars too, until the stream ends.
async fn read_lines<R: AsyncRead + Unpin>(
    stream: Option<R>,
    mut take: impl FnMut(&str),
) -> io::Result<()> {
    let Some(mut stream) = stream else {
        return Ok(());
    };
    let mut buffer = vec![0; 8 * 1024];
    let mut line = Vec::new();
    loop {
        let read = stream.read(&mut buffer).await?;
        for &byte in &buffer[..read] {
            if byte == b'\n' || byte == b'\r' {
                take_line(&mut line, &mut take);
            } else if line.len() < LINE {
                line.push(byte);
            }
        }
        if read == 0 {
            take_line(&mut line, &mut take);
            return Ok(());
        }
    }
}

fn take_line(line: &mut Vec<u8>, take: &mut impl FnMut(&str)) {
    let text = String::from_utf8_lossy(line);
    let shown: String = text.chars().filter(|c| !c.is_control()).collect();
    if !shown.trim().is_empty() {
        take(shown.trim_end());
    }
    line.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn shell(script: &str, within: Duration) -> (Result<Vec<String>, Error>, Vec<String>) {
        let arguments = ["-c".into(), script.into()];
        let program = Program {
            name: OsStr::new("sh"),
            arguments: &arguments,
            directory: Path::new("/"),
            variables: &[],
            within,
        };
        let reported = Mutex::new(Vec::new());
        let report = |line: &str| reported.lock().unwrap().push(line.to_owned());
        let result = program.run(&report).await;
        (result, reported.into_inner().unwrap())
    }

    const MINUTE: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn lines_are_passed_on_and_the_last_of_them_returned() {
        let (result, reported) = shell("seq 1 30; echo bye >&2", MINUTE).await;
        assert_eq!(result.unwrap().last().unwrap(), "30");
        assert_eq!(reported.len(), 31);
    }

    #[tokio::test]
    async fn a_failure_shows_the_last_lines() {
        let (result, _) = shell("seq 1 30 >&2; printf 'a\\033[1mb\\rc' >&2; exit 3", MINUTE).await;
        let error = result.unwrap_err().to_string();
        assert!(error.contains("sh failed"), "{error}");
        assert!(error.contains("exit status: 3"), "{error}");
        assert!(
            error.contains("\n13\n") && !error.contains("\n12\n"),
            "{error}"
        );
        assert!(error.contains("\na[1mb\nc"), "{error}");
    }

    #[tokio::test]
    async fn an_endless_line_is_cut() {
        let (_, reported) = shell("head -c 100000 /dev/zero | tr '\\0' a", MINUTE).await;
        assert_eq!(reported, ["a".repeat(LINE)]);
    }

    #[tokio::test]
    async fn what_does_not_end_is_stopped() {
        let (result, _) = shell("sleep 600", Duration::from_millis(50)).await;
        assert!(
            matches!(result, Err(Error::ProgramSlow { .. })),
            "{result:?}"
        );
    }

    #[tokio::test]
    async fn a_program_has_ended_when_nobody_waits_for_it_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let asked = folder.path().join("asked");
        let script = format!(
            "trap 'echo > {}; exit' TERM; echo ready; while :; do sleep 0.01; done",
            asked.display()
        );
        let arguments = ["-c".into(), script.into()];
        let program = Program {
            name: OsStr::new("sh"),
            arguments: &arguments,
            directory: Path::new("/"),
            variables: &[],
            within: MINUTE,
        };
        let ready = tokio::sync::Notify::new();
        let report = |_: &str| ready.notify_one();
        tokio::select! {
            _ = program.run(&report) => panic!("it does not end by itself"),
            () = ready.notified() => {}
        }
        assert!(asked.exists());
    }
}
