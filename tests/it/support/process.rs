//! Programs that a test starts: ready before they are used, gone when the test ends.

use std::fs::File;
use std::io::{Seek, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const READY_WITHIN: Duration = Duration::from_secs(30);

/// A program that listens on loopback, with a directory of its own. Killed when dropped.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    directory: TempDir,
}

impl Server {
    /// Starts what `command` makes of a free address and a fresh directory, and waits until it
    /// accepts connections.
    pub(crate) fn start(name: &str, command: impl FnOnce(SocketAddr, &Path) -> Command) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let address = free_address();
        let log = File::create(log_path(directory.path())).expect("a log file");
        let child = command(address, directory.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle of the log"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}; run scripts/test"));
        let mut server = Self {
            child,
            address,
            directory,
        };
        server.wait_until_ready(name);
        server
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the program has written so far, to either stream.
    pub(crate) fn log(&self) -> String {
        let bytes = std::fs::read(log_path(self.directory.path())).expect("a log file");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The processes that the program has started itself.
    pub(crate) fn children(&self) -> Vec<u32> {
        let processes = std::fs::read_dir("/proc").expect("the processes of Linux");
        let numbers = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        numbers
            .filter(|process| parent(*process) == Some(self.child.id()))
            .collect()
    }

    fn wait_until_ready(&mut self, name: &str) {
        let deadline = Instant::now() + READY_WITHIN;
        while TcpStream::connect(self.address).is_err() {
            if let Some(status) = self.child.try_wait().expect("the state of a child") {
                panic!("{name} ended with {status}:\n{}", self.log());
            }
            assert!(
                Instant::now() < deadline,
                "{name} is not ready:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The process that started this one.
fn parent(process: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // After the name, which is in brackets: the state, then the parent.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

/// A loopback address that nothing listens on.
pub(crate) fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("the address of a listener")
}

/// The standard output of a program that must succeed.
pub(crate) fn output(command: &mut Command) -> Vec<u8> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?} does not start: {error}; run scripts/test"));
    assert!(
        output.status.success(),
        "{command:?} ended with {}:\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// The standard output of a program that must succeed, given its standard input.
pub(crate) fn output_of(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(input)
        .expect("a temporary file that takes bytes");
    file.rewind().expect("a file that can be read again");
    let output = command
        .stdin(file)
        .output()
        .unwrap_or_else(|error| panic!("{command:?} does not start: {error}; run scripts/test"));
    assert!(
        output.status.success(),
        "{command:?} ended with {}:\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// Where `scripts/test` has put a program that is not the system's, named by its path there.
pub(crate) fn tool(path: &str) -> PathBuf {
    let tools = std::env::var_os("LONGSHORE_TEST_TOOLS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools"),
        PathBuf::from,
    );
    let tool = tools.join(path);
    assert!(
        tool.exists(),
        "{} is missing: run scripts/test",
        tool.display()
    );
    tool
}

fn log_path(directory: &Path) -> PathBuf {
    directory.join("log")
}
