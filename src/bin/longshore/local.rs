//! `longshore local`.

use std::process::ExitCode;

use anyhow::Context;
use longshore::local::Environment;
use serde_json::json;

use crate::args::LocalArgs;
use crate::output;
use crate::place::stand_ins;

pub(crate) async fn run(args: LocalArgs) -> anyhow::Result<ExitCode> {
    let mut options = stand_ins(&args.kept)?;
    options.registry.address = args.registry;
    options.bucket.address = args.bucket;
    options.aws.address = args.api;
    let kept = match &args.kept.data {
        Some(folder) => format!("kept in {}", folder.display()),
        None => "gone when this ends; keep it with --data DIRECTORY".to_owned(),
    };
    let buckets: Vec<_> = options.bucket.folders.keys().cloned().collect();
    let environment = Environment::start(options).await;
    let environment = environment.context("cannot start the embedded registry and bucket")?;

    let registry = environment.registry.address();
    output::note(&format!("registry  http://{registry} ({kept})"));
    let buckets = if buckets.is_empty() {
        "none".to_owned()
    } else {
        buckets.join(", ")
    };
    output::note(&format!(
        "buckets   {} ({buckets})",
        environment.bucket.base_url()
    ));
    output::note(&format!("AWS       {}", environment.aws.base_url()));
    output::note("\nRead an image from the registry:");
    output::note(&format!(
        "  skopeo inspect --tls-verify=false docker://{registry}/NAME:TAG"
    ));
    output::note("\nLet the Lambda, the SDKs and this command use all of it:");
    let variables = environment.variables();
    if args.json {
        output::result(&format!("{:#}", json!({ "variables": variables })));
    } else {
        for (name, value) in variables {
            output::result(&format!("export {name}='{value}'"));
        }
    }
    tokio::signal::ctrl_c()
        .await
        .context("cannot wait for an interrupt")?;
    environment.stop().await;
    Ok(ExitCode::SUCCESS)
}
