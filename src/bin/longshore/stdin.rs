//! Archives that come over stdin, as from `docker save` or Nix.

use std::io::{self, IsTerminal};
use std::path::Path;

use anyhow::{Context, bail};
use longshore::deploy::Location;

use crate::output;

/// The file by which stdin can be opened again.
pub(crate) const PATH: &str = "/dev/stdin";

/// Makes a source that is stdin one that can be read in any order. A file that was redirected is
/// one already; what comes over a pipe goes into a temporary file without a name, which takes the
/// place of stdin.
pub(crate) async fn settle(source: &Location) -> anyhow::Result<()> {
    if !is_read_by(source) || std::fs::metadata(PATH).is_ok_and(|stdin| stdin.is_file()) {
        return Ok(());
    }
    if io::stdin().is_terminal() {
        bail!("the archive is to come over stdin, which is a terminal: pipe it in");
    }
    let folder = std::env::temp_dir();
    output::note(&format!(
        "longshore: keeping the archive of stdin in {} meanwhile",
        folder.display()
    ));
    // A thread that nobody waits for: a signal ends the command while more may come.
    let (done, spooled) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || done.send(spool()));
    let spooling = spooled.await?;
    let length = spooling.with_context(|| {
        format!(
            "cannot keep the archive of stdin in {}; TMPDIR names another folder",
            folder.display()
        )
    })?;
    if length == 0 {
        bail!("nothing came over stdin: see that the command before the pipe works");
    }
    Ok(())
}

/// Returns true if a source is what comes over stdin.
pub(crate) fn is_read_by(source: &Location) -> bool {
    matches!(source, Location::File(at) if at.path == Path::new(PATH))
}

fn spool() -> io::Result<u64> {
    let mut file = tempfile::tempfile()?;
    let length = io::copy(&mut io::stdin().lock(), &mut file)?;
    rustix::stdio::dup2_stdin(&file)?;
    Ok(length)
}
