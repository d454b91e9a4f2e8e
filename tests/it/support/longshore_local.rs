//! `longshore local`, run as a program.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::process::Server;

/// The variable that is printed last.
const LAST: &str = "LONGSHORE_REGISTRY_OVERRIDE";
const PRINTED_WITHIN: Duration = Duration::from_secs(10);

/// The embedded stand-ins, serving what a folder keeps.
pub(crate) struct LongshoreLocal {
    server: Server,
    variables: BTreeMap<String, String>,
}

impl LongshoreLocal {
    pub(crate) fn start(data: &Path) -> Self {
        let server = Server::start("longshore local", |address, _| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_longshore"));
            command
                .current_dir(env!("CARGO_MANIFEST_DIR"))
                .args(["local", "--bucket", "127.0.0.1:0", "--api", "127.0.0.1:0"])
                .arg("--registry")
                .arg(address.to_string())
                .arg("--data")
                .arg(data);
            command
        });
        let mut variables = printed(&server);
        // Here it plays the registries of ECR Public as well.
        let registries = &variables[LAST];
        let registries = format!("{registries},public.ecr.aws=http://{}", server.address());
        variables.insert(LAST.to_owned(), registries);
        Self { server, variables }
    }

    /// How `skopeo` names an image here.
    pub(crate) fn name(&self, image: &str) -> String {
        format!("docker://{}/{image}", self.server.address())
    }

    /// The environment in which the Lambda and the command use these stand-ins.
    pub(crate) fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }
}

/// The variables that the program prints, as a shell reads them.
fn printed(server: &Server) -> BTreeMap<String, String> {
    let deadline = Instant::now() + PRINTED_WITHIN;
    loop {
        let log = server.log();
        let lines = log.lines().filter_map(|line| line.strip_prefix("export "));
        let variables: BTreeMap<String, String> = lines
            .filter_map(|line| line.strip_suffix('\'')?.split_once("='"))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        if variables.contains_key(LAST) {
            return variables;
        }
        assert!(Instant::now() < deadline, "no variables:\n{log}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
