//! Kinds of failures: what a caller can decide by, whatever the words are.

use std::error::Error as StdError;
use std::fmt;
use std::iter::successors;

use reqwest::StatusCode;

use super::Error;
use crate::aws::Missing;
use crate::{archive, aws, content, copy, policy, registry, web};

/// The kind of a failure. Its text is stable: state machines match on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Kind {
    /// The source has no such image, object or platform.
    SourceMissing,
    /// The destination has no such repository.
    DestinationMissing,
    /// A registry or AWS denies access, or the function's operator does.
    Denied,
    /// A registry or AWS wants fewer requests, or a quota is used up.
    Throttled,
    /// A registry or AWS fails on its side.
    Unavailable,
    /// No connection was made, or it broke.
    Unreachable,
    /// The bytes are not those that were named.
    Corrupt,
    /// A tag points elsewhere and cannot be moved.
    Conflict,
    /// The request, its properties or its list cannot be used.
    Invalid,
    /// The time is up.
    OutOfTime,
    /// The platform ends the function.
    Stopped,
    /// CloudFormation did not get the answer.
    Undelivered,
    /// Anything else.
    Failed,
}

impl Kind {
    /// All of them, in the order in which a page shows them.
    pub const ALL: &[Self] = &[
        Self::SourceMissing,
        Self::DestinationMissing,
        Self::Denied,
        Self::Throttled,
        Self::Unavailable,
        Self::Unreachable,
        Self::Corrupt,
        Self::Conflict,
        Self::Invalid,
        Self::OutOfTime,
        Self::Stopped,
        Self::Undelivered,
        Self::Failed,
    ];

    /// The kind of an error: of the first of its causes that has one.
    pub fn of(error: &(dyn StdError + 'static)) -> Self {
        let mut causes = successors(Some(error), |error| (*error).source());
        causes.find_map(of_cause).unwrap_or(Self::Failed)
    }

    /// Returns true if the same request may succeed when it is made again later.
    pub fn is_passing(self) -> bool {
        matches!(
            self,
            Self::Throttled | Self::Unavailable | Self::Unreachable | Self::Stopped
        )
    }

    /// The name without the prefix of its text.
    fn word(self) -> &'static str {
        match self {
            Self::SourceMissing => "SourceMissing",
            Self::DestinationMissing => "DestinationMissing",
            Self::Denied => "Denied",
            Self::Throttled => "Throttled",
            Self::Unavailable => "Unavailable",
            Self::Unreachable => "Unreachable",
            Self::Corrupt => "Corrupt",
            Self::Conflict => "Conflict",
            Self::Invalid => "Invalid",
            Self::OutOfTime => "OutOfTime",
            Self::Stopped => "Stopped",
            Self::Undelivered => "Undelivered",
            Self::Failed => "Failed",
        }
    }
}

/// As Lambda's `errorType` has it, such as `Longshore.Denied`.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Longshore.{}", self.word())
    }
}

fn of_cause(error: &(dyn StdError + 'static)) -> Option<Kind> {
    None.or_else(|| as_a(error).and_then(of_deploy))
        .or_else(|| as_a(error).and_then(of_copy))
        .or_else(|| as_a(error).and_then(of_content))
        .or_else(|| as_a(error).map(|error| of_registry(error, Kind::SourceMissing)))
        .or_else(|| as_a(error).map(of_aws))
        .or_else(|| as_a(error).map(of_web))
        .or_else(|| as_a(error).map(of_archive))
        .or_else(|| as_a(error).and_then(of_policy))
}

/// The error as an `E`, boxed or not: a cause may be either.
fn as_a<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let boxed = || error.downcast_ref::<Box<E>>().map(|boxed| &**boxed);
    error.downcast_ref::<E>().or_else(boxed)
}

/// `None` where a cause says more.
fn of_deploy(error: &Error) -> Option<Kind> {
    match error {
        Error::Object(error) | Error::Create(error) => Some(of_aws(error)),
        Error::Web(error) => Some(of_web(error)),
        Error::File { .. }
        | Error::NoImage { .. }
        | Error::NoTags { .. }
        | Error::Platform { .. } => Some(Kind::SourceMissing),
        Error::Archive { source, .. } => Some(of_archive(source)),
        Error::ForbiddenSource { .. } | Error::ForbiddenDestination { .. } => Some(Kind::Denied),
        Error::Repository { source, .. }
        | Error::Resolve { source, .. }
        | Error::Tags { source, .. } => Some(of_registry(source, Kind::SourceMissing)),
        Error::Config { .. } => Some(Kind::Corrupt),
        Error::NoRepository { .. } => Some(Kind::DestinationMissing),
        Error::Copy(error) => of_copy(error),
        Error::Advised { source, .. } | Error::Partly { source, .. } => of_deploy(source),
        Error::Policy(error) => of_policy(error),
        Error::Selector { .. }
        | Error::NoRegistry { .. }
        | Error::NoPolicy { .. }
        | Error::Grants { .. }
        | Error::AllowedSetup(_)
        | Error::Setup(_)
        | Error::WebSetup(_) => Some(Kind::Invalid),
        Error::Remove { .. } | Error::NoDeletion { .. } | Error::Memo { .. } | Error::Write(_) => {
            None
        }
    }
}

fn of_copy(error: &copy::Error) -> Option<Kind> {
    let missing = match error.side {
        copy::Side::Source => Kind::SourceMissing,
        copy::Side::Destination => Kind::DestinationMissing,
    };
    match &*error.cause {
        copy::Cause::Content(error) => of_bytes(error, missing),
        copy::Cause::Manifest(_) | copy::Cause::Config(_) => Some(Kind::Corrupt),
        copy::Cause::NoPlatform { .. } | copy::Cause::NoAttestation(_) => Some(Kind::SourceMissing),
        copy::Cause::Tag(_) => Some(Kind::Conflict),
        _ => None,
    }
}

fn of_content(error: &content::Error) -> Option<Kind> {
    of_bytes(error, Kind::SourceMissing)
}

/// The kind of an error of content, where `missing` is that of content that is not there.
fn of_bytes(error: &content::Error, missing: Kind) -> Option<Kind> {
    match error {
        content::Error::Digest { .. } | content::Error::Size { .. } => return Some(Kind::Corrupt),
        content::Error::Stalled { .. } => return Some(Kind::Unreachable),
        _ => {}
    }
    let missing = if error.is_read() {
        Kind::SourceMissing
    } else {
        missing
    };
    let registry = error.downcast_ref();
    registry
        .map(|error| of_registry(error, missing))
        .or_else(|| error.downcast_ref().map(of_aws))
        .or_else(|| error.downcast_ref().map(of_web))
        .or_else(|| error.downcast_ref().map(of_archive))
}

fn of_registry(error: &registry::Error, missing: Kind) -> Kind {
    use registry::Error;
    match error {
        Error::Quota(_) => Kind::Throttled,
        Error::Response { .. } if error.is_tag_immutable() => Kind::Conflict,
        Error::Response { status, .. } => of_status(*status, missing),
        Error::Transport { .. } | Error::Timeout { .. } => Kind::Unreachable,
        Error::Exhausted { source, .. } => of_registry(source, missing),
        // What a token server lacks is no image.
        Error::TokenServer { source, .. } => of_registry(source, Kind::Failed),
        Error::Credentials { source, .. } => of_bytes(source, Kind::Denied).unwrap_or(Kind::Failed),
        Error::Realm { .. } => Kind::Denied,
        Error::Local { .. }
        | Error::Beyond { .. }
        | Error::Insecure { .. }
        | Error::Host { .. }
        | Error::Redirects { .. } => Kind::Invalid,
        Error::ManifestDigest { .. } => Kind::Corrupt,
        _ => Kind::Failed,
    }
}

fn of_status(status: StatusCode, missing: Kind) -> Kind {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Kind::Denied,
        StatusCode::NOT_FOUND => missing,
        StatusCode::TOO_MANY_REQUESTS => Kind::Throttled,
        StatusCode::REQUEST_TIMEOUT => Kind::Unavailable,
        status if status.is_server_error() => Kind::Unavailable,
        _ => Kind::Failed,
    }
}

fn of_aws(error: &aws::Error) -> Kind {
    use aws::Error;
    match error {
        Error::Denied { .. }
        | Error::RoleDenied { .. }
        | Error::BadCredentials { .. }
        | Error::NoCredentials { .. }
        | Error::SecretRegistry { .. }
        | Error::Foreign { .. } => Kind::Denied,
        Error::NotFound { missing, .. } => match missing {
            Missing::Repository => Kind::DestinationMissing,
            Missing::Secret => Kind::Denied,
            Missing::StateMachine | Missing::Execution => Kind::Invalid,
            _ => Kind::SourceMissing,
        },
        Error::SecretFormat { .. } | Error::SecretFields { .. } => Kind::Invalid,
        Error::Throttled { .. } => Kind::Throttled,
        Error::Unavailable { .. } => Kind::Unavailable,
        Error::Unreachable { .. } | Error::Connection { .. } | Error::Interrupted { .. } => {
            Kind::Unreachable
        }
        Error::Unfinished { source, .. } => of_aws(source),
        _ => Kind::Failed,
    }
}

fn of_web(error: &web::Error) -> Kind {
    use web::Error;
    match error {
        Error::Host { .. } | Error::Denied { .. } => Kind::Denied,
        Error::NotFound { .. } => Kind::SourceMissing,
        Error::Status { status, .. } => of_status(*status, Kind::SourceMissing),
        Error::Transport { .. } | Error::Timeout { .. } => Kind::Unreachable,
        Error::Exhausted { source, .. } => of_web(source),
        Error::Local { .. } | Error::Insecure { .. } | Error::Redirects { .. } => Kind::Invalid,
        _ => Kind::Failed,
    }
}

fn of_archive(error: &archive::Error) -> Kind {
    use archive::Error;
    match error {
        Error::Read(error) => of_bytes(error, Kind::SourceMissing).unwrap_or(Kind::Failed),
        Error::NoImage { .. } | Error::Empty | Error::NotFound { .. } => Kind::SourceMissing,
        Error::Ambiguous { .. } => Kind::Invalid,
        Error::Memory { .. } | Error::Compress { .. } | Error::TooLarge { .. } => Kind::Failed,
        _ => Kind::Corrupt,
    }
}

fn of_policy(error: &policy::Error) -> Option<Kind> {
    use policy::{Error, StoreError};
    match error {
        Error::Store(StoreError::RepositoryNotFound(_)) => Some(Kind::DestinationMissing),
        Error::Store(StoreError::Other(error)) => of_bytes(error, Kind::DestinationMissing),
        Error::PrincipalNotFound { .. } | Error::Refused { .. } | Error::Variable { .. } => {
            Some(Kind::Invalid)
        }
        Error::Contended { .. } => Some(Kind::Conflict),
        Error::Deadline { .. } => Some(Kind::OutOfTime),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use reqwest::Method;

    use super::*;
    use crate::oci::Digest;
    use crate::redact::RedactedUrl;

    fn answered(status: u16) -> registry::Error {
        registry::Error::Response {
            method: Method::GET,
            url: RedactedUrl::new(&"https://h/v2/app/manifests/1".parse().unwrap()),
            status: StatusCode::from_u16(status).unwrap(),
            errors: Vec::new(),
            retry_after: None,
        }
    }

    fn copied(side: copy::Side, cause: content::Error) -> Error {
        Error::Copy(Box::new(copy::Error {
            operation: copy::Operation::Fetch,
            side,
            place: "h/app".to_owned(),
            subject: "blob".to_owned(),
            cause: Box::new(cause.into()),
        }))
    }

    #[test]
    fn a_status_is_told_apart_by_its_side() {
        use copy::Side::{Destination, Source};
        for (status, side, kind) in [
            (404, Source, Kind::SourceMissing),
            (404, Destination, Kind::DestinationMissing),
            (401, Source, Kind::Denied),
            (403, Destination, Kind::Denied),
            (429, Source, Kind::Throttled),
            (500, Destination, Kind::Unavailable),
            (503, Source, Kind::Unavailable),
            (400, Source, Kind::Failed),
        ] {
            let error = copied(side, answered(status).into());
            assert_eq!(Kind::of(&error), kind, "{status}");
        }
    }

    #[test]
    fn wrappers_do_not_hide_the_kind() {
        let exhausted = registry::Error::Exhausted {
            attempts: 6,
            elapsed: std::time::Duration::from_secs(1),
            source: Box::new(answered(503)),
        };
        let reading = content::Error::Read(Box::new(exhausted.into()));
        let partly = Error::Partly {
            done: Vec::new(),
            missing: Vec::new(),
            source: Box::new(copied(copy::Side::Destination, reading)),
        };
        assert_eq!(Kind::of(&partly), Kind::Unavailable);
        let boxed: content::BoxError = Box::new(partly);
        assert_eq!(Kind::of(&*boxed), Kind::Unavailable);
    }

    #[test]
    fn what_is_read_and_not_there_is_the_sources() {
        let reading = content::Error::Read(Box::new(answered(404).into()));
        let error = copied(copy::Side::Destination, reading);
        assert_eq!(Kind::of(&error), Kind::SourceMissing);
    }

    #[test]
    fn wrong_bytes_are_corrupt() {
        let wrong = content::Error::Digest {
            expected: Digest::sha256(b"a"),
            actual: Digest::sha256(b"b"),
        };
        let error = copied(copy::Side::Source, wrong);
        assert_eq!(Kind::of(&error), Kind::Corrupt);
    }

    #[test]
    fn names_are_distinct_and_stable() {
        let names: std::collections::BTreeSet<_> = Kind::ALL.iter().map(Kind::to_string).collect();
        assert_eq!(names.len(), Kind::ALL.len());
        assert_eq!(Kind::Denied.to_string(), "Longshore.Denied");
        assert_eq!(Kind::of(&std::fmt::Error), Kind::Failed);
    }
}
