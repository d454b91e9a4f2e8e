//! The work on one item: copied to all its destinations, in as many turns as it takes.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tracing::{Instrument, Span, info};

use super::error::Error;
use super::item::Item;
use super::outcome::Outcome;
use crate::cloudformation::{Continuation, image_of};
use crate::copy::Meter;
use crate::deploy::{Deploy, Deployed, Image, PolicyPart, arn_of};
use crate::policy::{Grants, Owner};

/// The result of one turn of an item.
#[derive(Clone, Debug, PartialEq)]
pub enum Turn {
    /// It is at its destinations.
    Done(Outcome),
    /// It takes another turn, which is to know this.
    Continue(Continuation),
}

/// Copies items of one mirror.
#[derive(Clone)]
pub struct Copier {
    deploy: Arc<dyn Deploy>,
    /// In whose name policies are written.
    mirror: String,
}

impl Copier {
    /// Has `deploy` copy the items of the mirror of this name.
    pub fn new(deploy: Arc<dyn Deploy>, mirror: impl Into<String>) -> Self {
        Self {
            deploy,
            mirror: mirror.into(),
        }
    }

    /// Copies an item until it is done or the time is up. `meter` counts what is done of it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the work; a tag never names something incomplete.
    pub async fn turn(
        &self,
        item: &Item,
        before: Continuation,
        meter: &Arc<Meter>,
        until: Instant,
    ) -> Result<Turn, Error> {
        let started = Instant::now();
        let wanted = image_of(&item.properties);
        let (mut image, grants) = wanted.map_err(|problems| Error::Properties {
            item: item.source.clone(),
            problems,
        })?;
        image.resume = before.checkpoint.clone();
        info!(
            item = item.id,
            source = item.source,
            turn = before.invocation,
            "copying"
        );
        // A task of its own: if it blocks its thread, this one still sees the end.
        let mut task = JoinSet::new();
        let (this, of_item, counted) = (self.clone(), item.clone(), Arc::clone(meter));
        let work = async move {
            let grants = grants.as_ref();
            this.bring(&of_item.source, &image, grants, &counted, until)
                .await
        };
        task.spawn(work.instrument(Span::current()));
        tokio::select! {
            biased;
            Some(ended) = task.join_next() => {
                let deployed = ended.unwrap_or_else(|error| Err(panicked(error)))?;
                Ok(Turn::Done(Outcome::copied(item, &deployed, &meter.report())))
            }
            () = sleep_until(until) => match before.next(meter) {
                Some(next) => Ok(Turn::Continue(next)),
                None => Err(Error::NoProgress {
                    item: item.source.clone(),
                    after: started.elapsed(),
                }),
            },
        }
    }

    async fn bring(
        &self,
        item: &str,
        image: &Image,
        grants: Option<&Grants>,
        meter: &Arc<Meter>,
        until: Instant,
    ) -> Result<Deployed, Error> {
        let deployed = self.deploy.deploy(image, meter).await;
        let deployed = deployed.map_err(|source| Error::Copy {
            item: item.to_owned(),
            source,
        })?;
        let Some(grants) = grants else {
            return Ok(deployed);
        };
        for target in &image.targets {
            let Some(arn) = arn_of(&target.repository) else {
                continue;
            };
            let part = PolicyPart {
                repository: target.repository.clone(),
                owner: Owner::new(&self.mirror, &arn),
                access: target.access.clone(),
            };
            let granted = self.deploy.grant(&part, grants, until).await;
            granted.map_err(|source| Error::Grant {
                item: item.to_owned(),
                source,
            })?;
        }
        Ok(deployed)
    }
}

fn panicked(error: tokio::task::JoinError) -> Error {
    let payload = error.try_into_panic().ok();
    let message = payload.as_ref().and_then(|payload| {
        let text = payload.downcast_ref::<&str>().map(ToString::to_string);
        text.or_else(|| payload.downcast_ref::<String>().cloned())
    });
    Error::Panicked(message.unwrap_or_else(|| "it was stopped".to_owned()))
}
