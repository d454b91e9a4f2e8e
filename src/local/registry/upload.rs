//! Upload sessions
//! ([spec.md, "Push"](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#push)).

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::fs::{self, File};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufWriter};

use super::refusal::Refusal;
use super::store::{Store, random_name};
use crate::local::http::RequestBody;
use crate::oci::{Algorithm, Digest, Digester};

/// Bytes that are written to disk at once.
const WRITE: usize = 1 << 20;

/// The sessions that are open.
#[derive(Default)]
pub(super) struct Uploads(Mutex<HashMap<String, Upload>>);

/// A session: one request at a time has it.
pub(super) type Upload = Arc<tokio::sync::Mutex<Session>>;

impl Uploads {
    /// Opens a session.
    pub(super) async fn open(&self, store: &Store, repository: &str) -> io::Result<Upload> {
        let path = store.scratch();
        let session = Session {
            id: random_name(),
            repository: repository.to_owned(),
            file: BufWriter::with_capacity(WRITE, File::create(&path).await?),
            path,
            digester: Digester::new(Algorithm::Sha256),
            offset: 0,
            first_chunk: 0,
            last_chunk: None,
        };
        let id = session.id.clone();
        let upload = Arc::new(tokio::sync::Mutex::new(session));
        self.lock().insert(id, Arc::clone(&upload));
        Ok(upload)
    }

    /// The open session of this ID.
    pub(super) fn get(&self, id: &str) -> Option<Upload> {
        self.lock().get(id).cloned()
    }

    /// Ends a session.
    pub(super) async fn end(&self, session: &Session) {
        self.lock().remove(&session.id);
        // It is gone already where its content was kept.
        let _ = fs::remove_file(&session.path).await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Upload>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An upload under way. What it says of its content is true at every await, so that a client
/// whose request broke off can go on from there.
pub(super) struct Session {
    pub(super) id: String,
    pub(super) repository: String,
    file: BufWriter<File>,
    path: PathBuf,
    digester: Digester,
    /// Bytes that are here.
    pub(super) offset: u64,
    /// Bytes that were here after the first request that brought some.
    pub(super) first_chunk: u64,
    /// Length of the chunk that came last, if one did.
    pub(super) last_chunk: Option<u64>,
}

impl Session {
    /// Appends a request's body, as one chunk.
    pub(super) async fn append(&mut self, body: &mut RequestBody) -> Result<(), Refusal> {
        let start = self.offset;
        let written = self.write(body).await;
        let chunk = self.offset - start;
        if chunk > 0 {
            self.last_chunk = Some(chunk);
        }
        if start == 0 {
            self.first_chunk = self.offset;
        }
        written
    }

    async fn write(&mut self, body: &mut RequestBody) -> Result<(), Refusal> {
        while let Some(mut piece) = body.next().await? {
            while !piece.is_empty() {
                // `write` takes all or nothing when it is cancelled, `write_all` does not.
                let written = self.file.write(&piece).await?;
                let taken = piece.split_to(written);
                self.digester.update(&taken);
                self.offset += written as u64;
            }
        }
        Ok(())
    }

    /// Makes the content that of `digest` in the store, if it is. False if it is not.
    pub(super) async fn commit(&mut self, store: &Store, digest: &Digest) -> io::Result<bool> {
        self.file.flush().await?;
        let actual = match digest.algorithm() {
            Algorithm::Sha256 => self.digester.clone().finish(),
            Algorithm::Sha512 => digest_of(&self.path, Algorithm::Sha512).await?,
        };
        if actual != *digest {
            return Ok(false);
        }
        store.keep(&self.path, digest).await?;
        Ok(true)
    }
}

async fn digest_of(path: &std::path::Path, algorithm: Algorithm) -> io::Result<Digest> {
    let mut file = File::open(path).await?;
    let mut digester = Digester::new(algorithm);
    let mut piece = vec![0; 256 << 10];
    loop {
        let read = file.read(&mut piece).await?;
        if read == 0 {
            return Ok(digester.finish());
        }
        digester.update(&piece[..read]);
    }
}
