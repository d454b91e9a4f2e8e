//! The provider of CloudFormation's custom resources: from an event to exactly one answer.
//!
//! A request is read in two steps ([`Request`]): its envelope first, so that whoever waits gets
//! an answer; then the properties of the resource. The work runs under a deadline that leaves
//! time for the answer, and whatever becomes of it — an error, a panic, a hang — ends in one
//! [`Answer`] within CloudFormation's limits, which [`Delivery`] brings.

mod budget;
mod cdk_ecr_deployment;
mod continuation;
mod delivery;
mod done;
mod ecr_image;
mod ecr_mirror;
mod ecr_pull_policy;
mod error;
mod executions;
mod failed_record;
mod grants;
mod handler;
mod invalid_properties;
mod invocation;
mod logs;
mod metrics;
mod property;
mod reader;
mod reason;
mod reply;
mod request;
mod resource;
mod response;
mod salvage;
mod text;

#[cfg(test)]
mod tests;

pub use cdk_ecr_deployment::PROPERTIES as CDK_ECR_DEPLOYMENT_PROPERTIES;
pub use continuation::{Continuation, Successor};
pub use delivery::{AttemptError, Delivered, Delivery, DeliveryError};
pub use ecr_image::{
    CREATE_REPOSITORY, DESTINATIONS, PROPERTIES as ECR_IMAGE_PROPERTIES, image_of,
};
pub use ecr_mirror::PROPERTIES as ECR_MIRROR_PROPERTIES;
pub use ecr_pull_policy::PROPERTIES as ECR_PULL_POLICY_PROPERTIES;
pub use error::{Error, Failure, Limit, NoRequest, Waited};
pub use executions::{Begun, Executions};
pub use failed_record::End;
pub use grants::GRANTS;
pub(crate) use grants::{CONDITIONED, SERVICE};
pub use handler::Handler;
pub(crate) use invalid_properties::SHOWN_PROBLEMS;
pub use invalid_properties::{InvalidProperties, Properties, UnreadableProperties};
pub use invocation::Invocation;
pub use logs::{init as init_logs, subscriber as log_subscriber};
pub(crate) use metrics::MIRROR_TARGET;
pub use metrics::{
    DIMENSION as METRIC_DIMENSION, METRICS, MIRROR_DIMENSION, MIRROR_METRICS,
    NAMESPACE as METRIC_NAMESPACE,
};
pub use property::Property;
pub(crate) use property::{optional, required};
pub(crate) use reader::{MAX_PROBLEM, hint, scalar};
pub use request::{Action, Reply, Request};
pub use response::{Answer, Attributes, Outcome};
pub(crate) use text::{chain, plain, sentence, truncate};
