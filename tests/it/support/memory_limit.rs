//! A limit of memory for a process, held by the kernel: it kills what goes beyond, as Lambda does.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use super::process::output;

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A control group with a limit. It is removed with this.
pub(crate) struct MemoryLimit {
    group: PathBuf,
    scripts: TempDir,
}

impl MemoryLimit {
    pub(crate) fn new(mebibytes: u64) -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("longshore-{}-{number}", std::process::id());
        let bytes = mebibytes << 20;
        // Linux has two versions of control groups.
        let (group, file) = if Path::new("/sys/fs/cgroup/memory").exists() {
            let group = Path::new("/sys/fs/cgroup/memory").join(name);
            (group, "memory.limit_in_bytes")
        } else {
            root_shell("echo +memory > /sys/fs/cgroup/cgroup.subtree_control");
            (Path::new("/sys/fs/cgroup").join(name), "memory.max")
        };
        let shown = group.display();
        root_shell(&format!("mkdir {shown} && echo {bytes} > {shown}/{file}"));
        Self {
            group,
            scripts: tempfile::tempdir().expect("a temporary directory"),
        }
    }

    /// A program that is `program` within the limit.
    pub(crate) fn within(&self, program: &Path) -> PathBuf {
        let script = self.scripts.path().join("limited");
        let sudo = sudo().join(" ");
        let (group, program) = (self.group.display(), program.display());
        let text = format!(
            "#!/bin/sh\nset -e\necho $$ | {sudo} tee {group}/cgroup.procs >&2\nexec {program} \"$@\"\n"
        );
        std::fs::write(&script, text).expect("a script");
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&script, executable).expect("a program");
        script
    }
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        // A group can be removed when the last of its processes has ended.
        let group = self.group.display();
        let tries = format!("for i in $(seq 50); do rmdir {group} && exit; sleep 0.1; done");
        let _ = root(&tries).stderr(std::process::Stdio::null()).status();
    }
}

fn root_shell(command: &str) {
    output(&mut root(command));
}

fn root(command: &str) -> Command {
    let words = [sudo().as_slice(), &["sh", "-c", command]].concat();
    let mut shell = Command::new(words[0]);
    shell.args(&words[1..]);
    shell
}

/// What is put before a command that only root may run.
fn sudo() -> Vec<&'static str> {
    let user = output(Command::new("id").arg("-u"));
    if user == b"0\n" { vec![] } else { vec!["sudo"] }
}
