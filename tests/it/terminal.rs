//! Commands that ask the person at the terminal: `script` gives them one.

use std::io::{BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use longshore::local::{Auth, Registry, RegistryOptions};
use longshore::redact::Secret;

use crate::support::Images;

const PASSWORD: &str = "correct-horse";
/// The longest wait for a command to say something.
const PATIENCE: Duration = Duration::from_secs(30);

/// A command on a terminal.
struct Terminal {
    child: Child,
    keyboard: ChildStdin,
    output: Receiver<u8>,
    seen: String,
}

impl Terminal {
    fn run(arguments: &str, docker: &Path) -> Self {
        let command = format!("{} {arguments}", env!("CARGO_BIN_EXE_longshore"));
        let mut child = Command::new("script")
            .args(["-qec", &command, "/dev/null"])
            .env("LONGSHORE_ALLOW_LOOPBACK", "1")
            .env("DOCKER_CONFIG", docker)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            keyboard: child.stdin.take().unwrap(),
            output: bytes(child.stdout.take().unwrap()),
            child,
            seen: String::new(),
        }
    }

    /// Types a line once the command has asked for it.
    fn answer(&mut self, question: &str, line: &str) {
        while !self.seen.ends_with(question) {
            let byte = self.output.recv_timeout(PATIENCE);
            let byte = byte.unwrap_or_else(|_| panic!("{question} is not in {:?}", self.seen));
            self.seen.push(byte.into());
        }
        // The question is written before the terminal is told to hide the answer.
        thread::sleep(Duration::from_millis(200));
        writeln!(self.keyboard, "{line}").unwrap();
    }

    /// All that the terminal showed, and the exit status.
    fn end(mut self) -> (String, Option<i32>) {
        while let Ok(byte) = self.output.recv_timeout(PATIENCE) {
            self.seen.push(byte.into());
        }
        let status = self.child.wait().unwrap();
        (self.seen, status.code())
    }
}

/// The output of a program, as it comes.
fn bytes(stdout: ChildStdout) -> Receiver<u8> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for byte in BufReader::new(stdout).bytes().map_while(Result::ok) {
            if sender.send(byte).is_err() {
                return;
            }
        }
    });
    receiver
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real parts: run scripts/test"]
async fn a_deletion_is_asked_for() {
    let registry = Registry::start(RegistryOptions::default()).await.unwrap();
    let images = Images::at(registry.address(), "app");
    let image = images.image("linux/amd64", &[]).await;
    images.tag("1", &image).await;
    let folder = tempfile::tempdir().unwrap();
    let named = images.named(":1");
    for (answer, code, end) in [
        ("n", 1, "nothing was deleted"),
        ("", 1, "nothing was deleted"),
        ("y", 0, "deleted: "),
    ] {
        let mut terminal = Terminal::run(&format!("delete {named}"), folder.path());
        terminal.answer("Delete it? [y/N] ", answer);
        let (seen, status) = terminal.end();
        assert_eq!(status, Some(code), "{seen}");
        assert!(seen.contains(&format!("to be deleted: {named}")), "{seen}");
        assert!(seen.lines().last().unwrap().starts_with(end), "{seen}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real parts: run scripts/test"]
async fn a_password_is_asked_for_and_not_shown() {
    let auth = Auth::Basic {
        user: "me".to_owned(),
        password: Secret::new(PASSWORD),
    };
    let options = RegistryOptions {
        auth,
        ..RegistryOptions::default()
    };
    let registry = Registry::start(options).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let login = format!("login {}", registry.address());
    for (password, code, end) in [
        ("wrong-battery", 1, "does not take this login"),
        (PASSWORD, 0, "kept in "),
    ] {
        let mut terminal = Terminal::run(&login, folder.path());
        terminal.answer("User: ", "me");
        terminal.answer("Password: ", password);
        let (seen, status) = terminal.end();
        assert_eq!(status, Some(code), "{seen}");
        assert!(seen.contains(end), "{seen}");
        assert!(!seen.contains(password), "{seen}");
    }
    assert!(folder.path().join("config.json").exists());
}
