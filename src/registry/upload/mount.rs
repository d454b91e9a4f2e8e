//! Mounting a blob from another repository of the same registry
//! ([spec.md, "Mounting a blob from another repository"](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#mounting-a-blob-from-another-repository)).

use reqwest::{Method, StatusCode};

use super::session::Session;
use crate::oci::Digest;
use crate::registry::Error;
use crate::registry::auth::Access;
use crate::registry::transport::{Call, Transport};

/// The number of repositories that are tried for one blob.
const MAX_CANDIDATES: usize = 3;

/// The result of asking.
pub(super) enum Answer {
    /// The blob is there.
    Mounted,
    /// It is not. A registry that does not mount opens a session instead.
    Refused(Option<Session>),
}

/// Asks the registry to mount `digest` from the first of `repositories` that has it.
pub(super) async fn from_any(
    transport: &Transport,
    digest: &Digest,
    repositories: &[String],
) -> Result<Answer, Error> {
    let mut opened = None;
    for from in repositories.iter().take(MAX_CANDIDATES) {
        if !transport.state().may_mount() {
            break;
        }
        match ask(transport, digest, from).await {
            Ok(Answer::Mounted) => return Ok(Answer::Mounted),
            Ok(Answer::Refused(session)) => opened = session,
            // Some registries refuse outright. If something worse is wrong, the upload will tell.
            Err(error) if error.status().is_some() && !error.is_retryable() => {
                transport.state().mount_answered(false);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Answer::Refused(opened))
}

async fn ask(transport: &Transport, digest: &Digest, from: &str) -> Result<Answer, Error> {
    let mut url = transport.url("blobs/uploads/");
    url.query_pairs_mut()
        .append_pair("mount", &digest.to_string())
        .append_pair("from", from);
    let call = Call::new(Method::POST, url, Access::MountFrom(from));
    let response = transport.send(&call).await?;
    let mounted = response.status() == StatusCode::CREATED;
    transport.state().mount_answered(mounted);
    if mounted {
        return Ok(Answer::Mounted);
    }
    Ok(Answer::Refused(Some(Session::of(transport, &response)?)))
}
