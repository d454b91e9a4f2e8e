//! Docker's credential helpers.

use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use crate::redact::Secret;

/// The time that a helper may take, which may ask a person.
const WITHIN: Duration = Duration::from_mins(1);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Kept {
    secret: String,
}

/// The password that a helper has for a registry. One that fails has none.
pub(super) async fn ask(helper: &str, registry: &str) -> Option<Secret> {
    let asked = timeout(WITHIN, run(helper, registry)).await.ok()?;
    let kept: Kept = serde_json::from_slice(&asked.ok()?).ok()?;
    (!kept.secret.is_empty()).then(|| Secret::new(kept.secret))
}

async fn run(helper: &str, registry: &str) -> std::io::Result<Vec<u8>> {
    let mut child = Command::new(format!("docker-credential-{helper}"))
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        // A helper that reads nothing may still answer.
        let _ = input.write_all(format!("{registry}\n").as_bytes()).await;
    }
    let output = child.wait_with_output().await?;
    Ok(if output.status.success() {
        output.stdout
    } else {
        Vec::new()
    })
}
