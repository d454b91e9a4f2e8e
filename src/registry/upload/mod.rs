//! Pushing blobs
//! ([spec.md, "Pushing blobs"](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-blobs)).

mod mount;
mod session;

use futures_util::TryFutureExt;
use futures_util::future::try_join;
use reqwest::StatusCode;

use self::session::{Failure, Session};
use super::retry::Retries;
use super::transport::Transport;
use super::{Error, blob};
use crate::content::{self, ByteStream, Opener, Pushed, collect};
use crate::oci::Descriptor;

/// Blobs up to this size are sent in the request that commits them.
const MONOLITHIC: u64 = 1 << 20;
/// The number of times that one upload is authorized anew in the middle.
const MAX_RENEWALS: u32 = 3;

/// Pushes a blob: mounts it from one of `mount_from` if the registry does so, else sends it.
pub(super) async fn push(
    transport: &Transport,
    blob: &dyn Opener,
    mount_from: &[String],
) -> content::Result<Pushed> {
    let mut opened = None;
    if let Some(descriptor) = blob.descriptor() {
        match mount::from_any(transport, &descriptor.digest, mount_from).await? {
            mount::Answer::Mounted => return Ok(Pushed::Mounted),
            mount::Answer::Refused(session) => opened = session,
        }
    }
    let (session, stream) = match opened {
        Some(session) => (session, None),
        None => start(transport, blob).await?,
    };
    let mut upload = Upload {
        transport,
        blob,
        opened: stream,
        retries: transport.retries(),
        renewals: 0,
        furthest: 0,
    };
    upload.run(session).await?;
    Ok(Pushed::Uploaded)
}

/// Starts a session. A blob that is stored elsewhere is opened at the same time, which saves a
/// round trip; one that is made while it is read is made only once the registry takes it.
async fn start(
    transport: &Transport,
    blob: &dyn Opener,
) -> content::Result<(Session, Option<ByteStream>)> {
    let starting = Session::start(transport).map_err(content::Error::from);
    if blob.descriptor().is_none() {
        return Ok((starting.await?, None));
    }
    let (session, stream) = try_join(starting, blob.open(0)).await?;
    Ok((session, Some(stream)))
}

/// One blob on its way, in as many sessions as it takes.
struct Upload<'a> {
    transport: &'a Transport,
    blob: &'a dyn Opener,
    /// The blob from its start, where it is open already.
    opened: Option<ByteStream>,
    retries: Retries<'a>,
    renewals: u32,
    /// The furthest offset from which this upload was taken up again.
    furthest: u64,
}

impl Upload<'_> {
    async fn run(&mut self, mut session: Session) -> content::Result<()> {
        loop {
            let failure = match self.attempt(&mut session).await {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            match self.recover(session, failure).await? {
                Some(next) => session = next,
                None => return Ok(()),
            }
        }
    }

    /// Sends what the session lacks and commits it.
    async fn attempt(&mut self, session: &mut Session) -> Result<(), Failure> {
        let known = self.blob.descriptor();
        let chunk = self.transport.state().chunk();
        let limit = chunk.unwrap_or(MONOLITHIC).min(MONOLITHIC);
        let small = known.as_ref().filter(|descriptor| descriptor.size <= limit);
        if let Some(descriptor) = small.filter(|_| session.offset == 0) {
            return self.monolithic(session, descriptor).await;
        }
        let size = known.map(|descriptor| descriptor.size);
        if size != Some(session.offset) {
            let stream = self.open(session.offset).await?;
            match chunk {
                Some(chunk) => {
                    let chunk = chunk.max(session.minimum_chunk);
                    session
                        .send_in_chunks(self.transport, stream, chunk)
                        .await?;
                }
                None => session.send(self.transport, stream, size).await?,
            }
        }
        let descriptor = self.blob.descriptor().ok_or(Failure::Undigested)?;
        let body = bytes::Bytes::new();
        session
            .commit(self.transport, &descriptor.digest, body)
            .await
    }

    async fn open(&mut self, offset: u64) -> content::Result<ByteStream> {
        match self.opened.take().filter(|_| offset == 0) {
            Some(stream) => Ok(stream),
            None => self.blob.open(offset).await,
        }
    }

    async fn monolithic(
        &mut self,
        session: &mut Session,
        descriptor: &Descriptor,
    ) -> Result<(), Failure> {
        session.largest_body = Some(descriptor.size);
        let stream = self.open(0).await?;
        let bytes = collect(stream, descriptor.size).await?;
        session
            .commit(self.transport, &descriptor.digest, bytes)
            .await
    }

    /// The session to go on in after a failure; `None` if the blob turns out to be there.
    async fn recover(
        &mut self,
        session: Session,
        failure: Failure,
    ) -> content::Result<Option<Session>> {
        let error = match failure {
            Failure::Source(error) => return Err(error),
            Failure::Undigested => return Err(undigested(&session).into()),
            Failure::Renewed(error) if self.renewals >= MAX_RENEWALS => return Err(error.into()),
            Failure::Renewed(_) => {
                self.renewals += 1;
                return self.resume(session).await;
            }
            Failure::Registry(error) => error,
        };
        let resumes = match error.status() {
            Some(StatusCode::PAYLOAD_TOO_LARGE) => {
                let state = self.transport.state();
                if !state.shrink_chunks(session.largest_body, session.minimum_chunk) {
                    return Err(error.into());
                }
                false
            }
            // The registry has lost the session, or disagrees on how far it is.
            Some(StatusCode::NOT_FOUND | StatusCode::RANGE_NOT_SATISFIABLE) => false,
            // What the registry had was not what was sent, or too little for a chunk.
            Some(StatusCode::BAD_REQUEST) if session.resumed => false,
            _ if error.is_retryable() => true,
            _ => return Err(error.into()),
        };
        self.retries.pause_anyway(error).await?;
        if session.committing && self.is_there().await {
            return Ok(None);
        }
        if resumes {
            return self.resume(session).await;
        }
        self.restart().await
    }

    async fn restart(&mut self) -> content::Result<Option<Session>> {
        Ok(Some(Session::start(self.transport).await?))
    }

    /// Takes the session up where the registry says it is, or starts a new one. The bytes of a
    /// blob whose digest is computed while it is read can only be read from the start.
    async fn resume(&mut self, mut session: Session) -> content::Result<Option<Session>> {
        let Some(descriptor) = self.blob.descriptor() else {
            return self.restart().await;
        };
        let asked = session.ask_offset(self.transport).await;
        let offset = asked.ok().filter(|&offset| offset <= descriptor.size);
        let Some(offset) = offset else {
            return self.restart().await;
        };
        if offset > self.furthest {
            self.furthest = offset;
            self.retries.progressed();
        }
        session.offset = offset;
        session.resumed = true;
        Ok(Some(session))
    }

    /// Returns true if a commit whose answer was lost has happened.
    async fn is_there(&mut self) -> bool {
        let Some(descriptor) = self.blob.descriptor() else {
            return false;
        };
        let found = blob::size(self.transport, &descriptor.digest).await;
        found.is_ok_and(|size| size == descriptor.size)
    }
}

fn undigested(session: &Session) -> Error {
    session.problem("before the blob's digest was known")
}

#[cfg(test)]
mod tests;
