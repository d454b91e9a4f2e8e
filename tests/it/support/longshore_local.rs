//! `longshore local`, run as a program.

use std::path::Path;
use std::process::Command;

use super::process::Server;

/// The embedded stand-ins, serving what a folder keeps.
pub(crate) struct LongshoreLocal {
    server: Server,
}

impl LongshoreLocal {
    pub(crate) fn start(data: &Path) -> Self {
        let server = Server::start("longshore local", |address, _| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_longshore"));
            command
                .args(["local", "--bucket", "127.0.0.1:0", "--api", "127.0.0.1:0"])
                .arg("--registry")
                .arg(address.to_string())
                .arg("--data")
                .arg(data);
            command
        });
        Self { server }
    }

    /// How `skopeo` names an image here.
    pub(crate) fn name(&self, image: &str) -> String {
        format!("docker://{}/{image}", self.server.address())
    }
}
