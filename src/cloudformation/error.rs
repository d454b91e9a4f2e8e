//! Why a request failed, and why the handler itself did.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::failed_record::End;
use super::invalid_properties::{InvalidProperties, UnreadableProperties};
use crate::content::BoxError;
use crate::deploy::Kind;

/// Why a resource could not be brought to the state that was asked for. Its chain becomes the
/// `Reason` of the answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The properties are malformed.
    #[error("the properties of {resource} cannot be used")]
    Properties {
        /// The resource's name in the template.
        resource: String,
        /// What is wrong with them.
        #[source]
        problems: InvalidProperties,
    },
    /// The properties are no properties.
    #[error("the properties of {resource} cannot be used")]
    Unreadable {
        /// The resource's name in the template.
        resource: String,
        /// What is wrong with them.
        #[source]
        reason: UnreadableProperties,
    },
    /// No such resource.
    #[error("{resource_type:?} is not a resource of this function: expected {known}")]
    UnknownResource {
        /// What the template asks for.
        resource_type: String,
        /// The images that there are.
        known: &'static str,
    },
    /// No such request.
    #[error("{action:?} is not a request of CloudFormation: expected Create, Update or Delete")]
    UnknownAction {
        /// What the event asks for.
        action: String,
    },
    /// The image is not at its destination.
    #[error("cannot deploy {image} to {destination}")]
    Deploy {
        /// The source, as the template names it.
        image: String,
        /// The destination repository.
        destination: String,
        /// What went wrong.
        #[source]
        source: BoxError,
    },
    /// The image is still at its destination.
    #[error("cannot remove {image}")]
    Remove {
        /// The image's URI.
        image: String,
        /// What went wrong.
        #[source]
        source: BoxError,
    },
    /// Tags that were dropped still point to the image.
    #[error("cannot remove the tags {tags} from {image}, which no longer has them")]
    Untag {
        /// The image's URI.
        image: String,
        /// The tags, with commas between them.
        tags: String,
        /// What went wrong.
        #[source]
        source: BoxError,
    },
    /// What is replaced would take the image along that replaces it.
    #[error(
        "the same image cannot be called {new} instead of {old} while RemovalPolicy is delete: \
         the removal of the old name would take it from {repository}; keep the first destination, \
         or set RemovalPolicy to retain in an update before this one"
    )]
    Shared {
        /// The repository that both have.
        repository: String,
        /// The physical ID from before.
        old: String,
        /// The physical ID that was asked for.
        new: String,
    },
    /// The repository's policy does not let those pull who should.
    #[error("cannot grant pulls from {repository}")]
    Grant {
        /// The repository.
        repository: String,
        /// What went wrong.
        #[source]
        source: BoxError,
    },
    /// The repository's policy still lets those pull who should no more.
    #[error("cannot remove what was granted on {repository}")]
    Revoke {
        /// The repository.
        repository: String,
        /// What went wrong.
        #[source]
        source: BoxError,
    },
    /// A mirror's runs could not be stopped, or the next one not started.
    #[error("{verb} {resource}")]
    Mirror {
        /// What was to be done.
        verb: &'static str,
        /// The resource's name in the template.
        resource: String,
        /// What went wrong.
        #[source]
        source: BoxError,
    },
    /// The run for this very request has ended, and its answer did not come.
    #[error(
        "the run {run} of {resource} has ended and gave no answer: see its report or the \
         execution's history, and deploy again"
    )]
    RunEnded {
        /// The resource's name in the template.
        resource: String,
        /// The name of the execution.
        run: String,
    },
    /// There is nothing to start runs by.
    #[error("{resource} needs AWS Step Functions: mirror a list here by `longshore sync`")]
    NoStateMachines {
        /// The resource's name in the template.
        resource: String,
    },
    /// The time is up.
    #[error(
        "{what} was not done within {} seconds, {limit}: it came to {progress}{}",
        after.as_secs(),
        Advised(waited, limit.advice())
    )]
    OutOfTime {
        /// What should have been done.
        what: String,
        /// How far it came.
        progress: String,
        /// How long it was tried.
        after: Duration,
        /// Whose time it is, and how there is more of it.
        limit: Limit,
        /// What it was waiting for.
        waited: Waited,
    },
    /// Work that one invocation could not do, and of which another would do no more.
    #[error(
        "{what} makes no progress: not one more blob was done in the function's {} seconds \
         (it came to {progress}){}",
        after.as_secs(),
        Advised(
            waited,
            "give the function more time or memory, with which it also has more network, or make \
             the largest layer smaller"
        )
    )]
    NoProgress {
        /// What should have been done.
        what: String,
        /// How far it came.
        progress: String,
        /// How long it was tried.
        after: Duration,
        /// What it was waiting for.
        waited: Waited,
    },
    /// Work that one invocation could not do, and no other could be begun.
    #[error(
        "{what} takes more than one invocation (it came to {progress}), and the function cannot \
         invoke itself"
    )]
    Successor {
        /// What should have been done.
        what: String,
        /// How far it came.
        progress: String,
        /// Why it was not invoked.
        #[source]
        source: BoxError,
    },
    /// The function's own settings cannot be used.
    #[error("the function is not set up: see to its environment variables")]
    NotSetUp(#[source] Arc<dyn StdError + Send + Sync>),
    /// The platform ends the function.
    #[error("{what} was stopped: the function is being shut down (it came to {progress})")]
    Stopped {
        /// What should have been done.
        what: String,
        /// How far it came.
        progress: String,
    },
    /// The invocation ended before it could answer. Another one answers for it.
    #[error("{what} was not done: {end}")]
    Ended {
        /// What should have been done.
        what: String,
        /// The way in which the invocation ended.
        end: End,
    },
    /// A defect of this program.
    #[error("{what} failed by a defect of the function: {message}")]
    Panicked {
        /// What should have been done.
        what: String,
        /// What the panic said.
        message: String,
    },
}

impl Failure {
    /// The kind of the failure, for callers that decide by it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Properties { .. }
            | Self::Unreadable { .. }
            | Self::UnknownResource { .. }
            | Self::UnknownAction { .. }
            | Self::Shared { .. }
            | Self::NoStateMachines { .. }
            | Self::NotSetUp(_) => Kind::Invalid,
            Self::Deploy { source, .. }
            | Self::Remove { source, .. }
            | Self::Untag { source, .. }
            | Self::Grant { source, .. }
            | Self::Revoke { source, .. }
            | Self::Mirror { source, .. }
            | Self::Successor { source, .. } => Kind::of(&**source),
            Self::OutOfTime { .. } | Self::NoProgress { .. } => Kind::OutOfTime,
            Self::Stopped { .. } => Kind::Stopped,
            Self::RunEnded { .. } | Self::Ended { .. } | Self::Panicked { .. } => Kind::Failed,
        }
    }
}

/// The peer that work was waiting for when its time was up, and for how long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waited(pub Option<(String, Duration)>);

/// The shortest wait that is told: shorter ones are how work goes on.
const SHORTEST_WAIT: Duration = Duration::from_secs(2);

/// What was waited for, or else the advice for work that nobody held up.
struct Advised<'a>(&'a Waited, &'static str);

impl fmt::Display for Advised<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.0 {
            Some((peer, time)) if *time >= SHORTEST_WAIT => {
                write!(
                    f,
                    "; for the last {} seconds it waited for {peer} (see to that host)",
                    time.as_secs()
                )
            }
            _ => write!(f, "; {}", self.1),
        }
    }
}

/// Whose time is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The function's.
    Function,
    /// The resource's.
    Service,
    /// Everybody's.
    Invocations,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Function => "all that the function has",
            Self::Service => "all that CloudFormation waits for the resource",
            Self::Invocations => {
                "the time of the last of as many invocations as a request may take"
            }
        })
    }
}

impl Limit {
    /// The way in which there is more time.
    fn advice(self) -> &'static str {
        match self {
            Self::Function | Self::Invocations => "give the function more time or memory",
            Self::Service => {
                "give the resource a longer ServiceTimeout, or the function more memory"
            }
        }
    }
}

/// Why an invocation of the handler fails: nobody heard an answer, or it is the caller who hears
/// it this way.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The event asks for nothing.
    #[error(transparent)]
    NoRequest(#[from] NoRequest),
    /// CloudFormation did not get the answer.
    #[error("the answer could not be delivered")]
    Undelivered(#[source] super::DeliveryError),
    /// The request failed, and it is the caller who answers CloudFormation.
    #[error("{reason}")]
    Failed {
        /// The kind of the failure.
        kind: Kind,
        /// A sentence and its causes, fit to be shown.
        reason: String,
    },
}

impl Error {
    /// The kind of the failure, for whoever invoked the function.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NoRequest(_) => Kind::Invalid,
            Self::Undelivered(_) => Kind::Undelivered,
            Self::Failed { kind, .. } => *kind,
        }
    }
}

/// An event that is no request: nobody waits for an answer to it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoRequest {
    /// Not a JSON object.
    #[error("the event is not a JSON object; {EXPECTED}")]
    NotAnObject(#[source] serde_json::Error),
    /// Neither `RequestType` nor `ResponseURL`.
    #[error("the event has neither a RequestType nor a ResponseURL; {EXPECTED}")]
    NothingAsked,
}

const EXPECTED: &str = "this function is the provider of CloudFormation custom resources and is \
    invoked by the stacks that name it as ServiceToken. To try it by hand, send an event such as \
    {\"RequestType\": \"Create\", \"ResourceType\": \"Custom::ECRImage\", \
    \"ResourceProperties\": {\"Source\": \"…\", \"Destination\": \"…\"}}: without a ResponseURL \
    the answer is returned";
