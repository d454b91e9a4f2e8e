//! The Lambda.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lambda_runtime::{Context, Error, LambdaEvent, service_fn};
use longshore::aws::Clients;
use longshore::cloudformation::{self, Delivery, Handler, Invocation};
use longshore::deploy::{self, Deployer, Reach};
use longshore::registry::Client;
use serde_json::value::RawValue;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

#[tokio::main]
async fn main() -> Result<(), Error> {
    cloudformation::init_logs();
    let handler = &handler().await?;
    let answer = |event: LambdaEvent<Box<RawValue>>| async move {
        let (event, context) = event.into_parts();
        let answered = handler.handle(&event, &invocation(context)).await;
        answered.map_err(Error::from)
    };
    lambda_runtime::run(service_fn(answer)).await
}

/// Builds the clients, once and side by side. None of them sends anything yet.
async fn handler() -> Result<Handler, Error> {
    let config = deploy::registry_config(|name| std::env::var(name).ok())?;
    let allow_loopback = config.allow_loopback;
    let registries = spawn_blocking(|| Client::new(config));
    let delivery = spawn_blocking(move || Delivery::new(allow_loopback));
    let (aws, registries, delivery) = tokio::join!(Clients::load(), registries, delivery);
    let deployer = Deployer::new(Reach::new(registries??, aws));
    Ok(Handler::new(Arc::new(deployer), delivery??))
}

fn invocation(context: Context) -> Invocation {
    let deadline = UNIX_EPOCH + Duration::from_millis(context.deadline);
    let left = deadline
        .duration_since(SystemTime::now())
        .unwrap_or_default();
    Invocation {
        id: context.request_id,
        deadline: Instant::now() + left,
        function: context.invoked_function_arn,
        log_group: context.env_config.log_group.clone(),
    }
}
