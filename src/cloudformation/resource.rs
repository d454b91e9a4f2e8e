//! The resources that there are, and which of them a request means.

use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::time::Instant;

use super::done::{Done, FAILED_CREATE};
use super::error::Failure;
use super::executions::Executions;
use super::request::{Action, Request};
use super::response::Attributes;
use super::{cdk_ecr_deployment, ecr_image, ecr_mirror, ecr_pull_policy};
use crate::copy::Meter;
use crate::deploy::Deploy;

/// The type of resources that have none of their own.
const GENERAL: &str = "AWS::CloudFormation::CustomResource";
/// The resources' types, for whoever asks for another.
const KNOWN: &str =
    "Custom::ECRImage, Custom::ECRPullPolicy, Custom::ECRMirror or Custom::CDKECRDeployment";
/// How long after the end the deadline of a policy is. It is the handler that stops work and hands
/// it on; the policy's own deadline is there to explain in time what is waited for.
const LATER: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resource {
    Image,
    PullPolicy,
    Mirror,
    CdkEcrDeployment,
}

impl Resource {
    /// The resource that a request means. One of CloudFormation's general type is told by its
    /// properties.
    fn of(request: &Request) -> Option<Self> {
        let has = |name: &str| {
            let properties = request.properties.as_ref();
            properties.is_ok_and(|properties| properties.contains_key(name))
        };
        match request.resource_type.as_str() {
            "Custom::CDKECRDeployment" => Some(Self::CdkEcrDeployment),
            "Custom::ECRPullPolicy" => Some(Self::PullPolicy),
            "Custom::ECRMirror" => Some(Self::Mirror),
            GENERAL | "" if has("SrcImage") => Some(Self::CdkEcrDeployment),
            GENERAL | "" if has("Repository") => Some(Self::PullPolicy),
            GENERAL | "" if has("StateMachineArn") => Some(Self::Mirror),
            "Custom::ECRImage" | GENERAL | "" => Some(Self::Image),
            _ => None,
        }
    }
}

/// Returns true if the request is about a mirror, whose runs answer.
pub(super) fn is_of_mirror(request: &Request) -> bool {
    Resource::of(request) == Some(Resource::Mirror)
}

/// By what resources come about.
#[derive(Clone)]
pub(super) struct Means {
    pub(super) deploy: Arc<dyn Deploy>,
    pub(super) executions: Option<Arc<dyn Executions>>,
}

/// Does what the request asks for, by `end`. `None`: it is under way elsewhere, and answered from
/// there.
pub(super) async fn bring_about(
    means: Means,
    request: Arc<Request>,
    event: Option<Box<RawValue>>,
    meter: Arc<Meter>,
    end: Instant,
) -> Result<Option<Done>, Failure> {
    let Some(event) = event else {
        return bring_about_here(&*means.deploy, &request, &meter, end)
            .await
            .map(Some);
    };
    let was_made = !was_never_made(&request);
    match (&request.action, means.executions.as_deref()) {
        (Action::Other(name), _) => Err(unknown(name)),
        (Action::Delete, None) => Ok(Some(left(&request))),
        (_, None) => Err(Failure::NoStateMachines {
            resource: request.logical_resource_id.clone(),
        }),
        (Action::Delete, Some(executions)) => {
            ecr_mirror::delete(executions, &request, &event, was_made).await
        }
        (_, Some(executions)) => ecr_mirror::put(executions, &request, &event).await,
    }
}

async fn bring_about_here(
    deploy: &dyn Deploy,
    request: &Request,
    meter: &Arc<Meter>,
    end: Instant,
) -> Result<Done, Failure> {
    let deadline = end + LATER;
    let resource = Resource::of(request);
    match (&request.action, resource) {
        (Action::Other(name), _) => Err(unknown(name)),
        (Action::Delete, Some(Resource::Image)) if !was_never_made(request) => {
            ecr_image::delete(deploy, request, deadline).await
        }
        (Action::Delete, Some(Resource::PullPolicy)) => {
            ecr_pull_policy::delete(deploy, request, deadline).await
        }
        (Action::Delete, _) => Ok(left(request)),
        (_, Some(Resource::Image)) => ecr_image::put(deploy, request, meter, deadline).await,
        (_, Some(Resource::PullPolicy)) => ecr_pull_policy::put(deploy, request, deadline).await,
        (_, Some(Resource::CdkEcrDeployment)) => {
            cdk_ecr_deployment::put(deploy, request, meter).await
        }
        (_, None | Some(Resource::Mirror)) => Err(Failure::UnknownResource {
            resource_type: request.resource_type.clone(),
            known: KNOWN,
        }),
    }
}

/// A Delete of what was not made, or of what a Delete has nothing to undo of.
fn left(request: &Request) -> Done {
    Done {
        physical_resource_id: request.physical_resource_id.clone(),
        attributes: Attributes::new(),
    }
}

fn unknown(action: &str) -> Failure {
    Failure::UnknownAction {
        action: action.to_owned(),
    }
}

fn was_never_made(request: &Request) -> bool {
    request.physical_resource_id.starts_with(FAILED_CREATE)
}
