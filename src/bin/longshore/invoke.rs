//! `longshore invoke`.

use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use futures_util::future::BoxFuture;
use longshore::cloudformation::{Delivery, Handler, Invocation, log_subscriber};
use longshore::content::BoxError;
use longshore::copy::Meter;
use longshore::deploy::{
    Deploy, Deployed, Deployer, Granted, Image, Memo, MemoPlace, PolicyPart, PushedImage,
};
use longshore::local::ResponseUrl;
use longshore::policy::Grants;
use serde_json::Value;
use serde_json::value::to_raw_value;
use tokio::time::Instant;
use tracing::level_filters::LevelFilter;

use crate::args::InvokeArgs;
use crate::output;
use crate::place::Place;
use crate::progress::{Progress, moved};

/// The longest time that a Lambda runs.
const TIME: Duration = Duration::from_mins(15);
/// The longest wait for an answer that was sent to this very process.
const DELIVERY: Duration = Duration::from_secs(5);

pub(crate) async fn run(args: InvokeArgs) -> anyhow::Result<ExitCode> {
    let mut event = read(&args.event)?;
    let receiver = ResponseUrl::start()
        .await
        .context("cannot listen for the answer")?;
    event["ResponseURL"] = receiver.url().into();
    let event = to_raw_value(&event).context("cannot write the event")?;

    let logs = log_subscriber(LevelFilter::WARN, false, std::io::stderr);
    let _ = tracing::subscriber::set_global_default(logs);
    let place = Place::start(&args.place).await?;
    let watched = Arc::new(Watched::new(place.deployer()));
    let handler = Handler::new(watched.clone(), Delivery::new(true)?);
    let invocation = Invocation {
        id: "local".to_owned(),
        deadline: Instant::now() + TIME,
        function: String::new(),
        log_group: String::new(),
    };
    handler.handle(&event, &invocation).await?;
    let Some(answer) = receiver.next_answer(DELIVERY).await else {
        bail!("the handler ended without an answer");
    };
    place.stop().await;
    receiver.stop().await;
    show(&answer.body, &watched, &args)
}

fn read(path: &Path) -> anyhow::Result<Value> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let event: Value = serde_json::from_slice(&text)
        .with_context(|| format!("{} is no event: it is no JSON document", path.display()))?;
    if !event.is_object() {
        bail!("{} is no event: expected a JSON object", path.display());
    }
    if event["RequestType"].is_null() {
        bail!(
            "{} is no event of CloudFormation: it has no RequestType; events/ in the repository has \
             examples",
            path.display()
        );
    }
    Ok(event)
}

fn show(body: &[u8], watched: &Watched, args: &InvokeArgs) -> anyhow::Result<ExitCode> {
    let answer: Value = serde_json::from_slice(body).context("the answer is no JSON document")?;
    output::result(&format!("{answer:#}"));
    if answer["Status"] != "SUCCESS" {
        return Ok(ExitCode::FAILURE);
    }
    if let Some(meter) = watched.meter() {
        output::note(&moved(&meter.report()));
    }
    if let Some(uri) = answer["Data"]["ImageTagUri"].as_str() {
        output::note(&look(uri, args));
    }
    Ok(ExitCode::SUCCESS)
}

/// The way to look at the result.
fn look(uri: &str, args: &InvokeArgs) -> String {
    if !args.place.local {
        return format!("look at it: longshore inspect {uri}");
    }
    match &args.place.kept.data {
        Some(folder) => format!(
            "look at it: longshore inspect --local --data {} {uri}",
            folder.display()
        ),
        None => format!(
            "the embedded registry is gone; keep it with --data DIRECTORY, \
             then: longshore inspect --local --data DIRECTORY {uri}"
        ),
    }
}

/// Deploys, and shows what is done on the way.
struct Watched {
    deployer: Deployer,
    meter: Mutex<Option<Arc<Meter>>>,
}

impl Watched {
    fn new(deployer: Deployer) -> Self {
        let meter = Mutex::default();
        Self { deployer, meter }
    }

    /// What counted the deployment, if there was one.
    fn meter(&self) -> Option<Arc<Meter>> {
        self.meter
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Deploy for Watched {
    fn deploy<'a>(
        &'a self,
        image: &'a Image,
        meter: &'a Arc<Meter>,
    ) -> BoxFuture<'a, Result<Deployed, BoxError>> {
        Box::pin(async {
            *self.meter.lock().unwrap_or_else(PoisonError::into_inner) = Some(meter.clone());
            let _progress = Progress::show(meter, false);
            self.deployer.deploy(image, meter).await
        })
    }

    fn remove<'a>(&'a self, pushed: &'a PushedImage) -> BoxFuture<'a, Result<(), BoxError>> {
        self.deployer.remove(pushed)
    }

    fn untag<'a>(&'a self, pushed: &'a PushedImage) -> BoxFuture<'a, Result<(), BoxError>> {
        self.deployer.untag(pushed)
    }

    fn recall<'a>(&'a self, place: &'a MemoPlace) -> BoxFuture<'a, Result<Memo, BoxError>> {
        self.deployer.recall(place)
    }

    fn note<'a>(
        &'a self,
        place: &'a MemoPlace,
        memo: &'a Memo,
    ) -> BoxFuture<'a, Result<(), BoxError>> {
        self.deployer.note(place, memo)
    }

    fn forget<'a>(&'a self, place: &'a MemoPlace) -> BoxFuture<'a, Result<(), BoxError>> {
        self.deployer.forget(place)
    }

    fn grant<'a>(
        &'a self,
        part: &'a PolicyPart,
        grants: &'a Grants,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Granted, BoxError>> {
        self.deployer.grant(part, grants, deadline)
    }

    fn revoke<'a>(
        &'a self,
        part: &'a PolicyPart,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<(), BoxError>> {
        self.deployer.revoke(part, deadline)
    }
}
