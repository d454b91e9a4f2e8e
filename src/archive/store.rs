//! The files of an archive, read from the object that holds it.

use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::de::DeserializeOwned;

use super::Error;
use super::file::{File, MAX_DOCUMENT};
use super::index::Index;
use super::passes::Passes;
use crate::content::{self, ByteStream, RangeRead, Windows, collect_exactly, stream_ranges};

/// An archive's files, as far as they are known, and what they are read from.
pub(super) struct Store {
    files: Arc<Files>,
    index: RwLock<Index>,
}

/// The place that files are read from.
enum Files {
    /// From where any can be read, also several at once.
    Object(Arc<dyn RangeRead>),
    /// From the beginning on, and found on the way.
    Passes(Passes),
}

impl Files {
    async fn read(&self, range: Range<u64>) -> content::Result<ByteStream> {
        match self {
            Self::Object(object) => object.read(range).await,
            Self::Passes(passes) => passes.read(range).await,
        }
    }
}

impl Store {
    /// An archive all of whose files are known.
    pub(super) fn known(object: Arc<dyn RangeRead>, index: Index) -> Self {
        Self {
            files: Arc::new(Files::Object(object)),
            index: RwLock::new(index),
        }
    }

    /// An archive whose files are found on the way.
    pub(super) fn passing(passes: Passes) -> Self {
        Self {
            files: Arc::new(Files::Passes(passes)),
            index: RwLock::default(),
        }
    }

    /// The name in errors of the archive.
    pub(super) fn name(&self) -> &str {
        match &*self.files {
            Files::Object(object) => object.name(),
            Files::Passes(passes) => passes.name(),
        }
    }

    /// Returns true if the archive can only be read from the beginning on.
    pub(super) fn is_sequential(&self) -> bool {
        matches!(*self.files, Files::Passes(_))
    }

    /// The files that are known. Let go before anything is waited for.
    pub(super) fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns true if all files are known.
    pub(super) fn is_complete(&self) -> bool {
        self.index().is_complete()
    }

    /// Finds one more file or link, if more may come; whether still more may.
    pub(super) async fn find_more(&self) -> Result<bool, Error> {
        match &*self.files {
            Files::Passes(passes) if !self.is_complete() => passes.find_more(&self.index).await,
            _ => Ok(false),
        }
    }

    /// Finds all files.
    pub(super) async fn find_all(&self) -> Result<(), Error> {
        while self.find_more().await? {}
        Ok(())
    }

    /// The file of this name. `named_by` says who asks.
    pub(super) async fn find(&self, name: &str, named_by: &str) -> Result<File, Error> {
        loop {
            match self.known_file(name, named_by)? {
                Some(file) => return Ok(file),
                None => self.find_more().await?,
            };
        }
    }

    /// The file of this name, or `None` where it may still come.
    pub(super) fn known_file(&self, name: &str, named_by: &str) -> Result<Option<File>, Error> {
        let index = self.index();
        match index.file(name, named_by) {
            Err(Error::Missing { .. }) if !index.is_complete() => Ok(None),
            found => found.map(Some),
        }
    }

    /// Which of `names` is to be read next, so that as few passes as possible are needed.
    pub(super) async fn next_of(&self, names: &[String]) -> Result<usize, Error> {
        let Files::Passes(passes) = &*self.files else {
            return Ok(0);
        };
        loop {
            let position = passes.position().await;
            if let Some(next) = self.index().next_of(names, position) {
                return Ok(next);
            }
            if self.is_complete() {
                return Ok(self.index().next_of(names, 0).unwrap_or(0));
            }
            self.find_more().await?;
        }
    }

    /// The content of a document.
    pub(super) async fn document(&self, name: &str, named_by: &str) -> Result<Bytes, Error> {
        let file = self.find(name, named_by).await?;
        if let Some(kept) = self.index().kept(file) {
            return Ok(kept);
        }
        if file.size > MAX_DOCUMENT {
            return Err(Error::TooLarge {
                what: format!("the size of {name:?}"),
                limit: MAX_DOCUMENT,
                actual: file.size,
            });
        }
        let stream = self.files.read(file.range()).await.map_err(Error::Read)?;
        collect_exactly(stream, file.size)
            .await
            .map_err(Error::Read)
    }

    /// The content of a JSON document, parsed.
    pub(super) async fn json<T: DeserializeOwned>(
        &self,
        name: &str,
        named_by: &str,
    ) -> Result<T, Error> {
        let bytes = self.document(name, named_by).await?;
        serde_json::from_slice(&bytes).map_err(|source| Error::Json {
            entry: name.to_owned(),
            source,
        })
    }

    /// The bytes of a file from `offset` to its end.
    pub(super) fn stream(&self, file: File, offset: u64) -> ByteStream {
        if let Some(kept) = self.index().kept(file) {
            let skipped =
                usize::try_from(offset).map_or(kept.len(), |offset| offset.min(kept.len()));
            return stream::iter([Ok(kept.slice(skipped..))]).boxed();
        }
        let mut range = file.range();
        range.start = range.end.min(range.start.saturating_add(offset));
        match &*self.files {
            Files::Object(object) => stream_ranges(Arc::clone(object), range, Windows::DEFAULT),
            Files::Passes(_) => {
                let files = Arc::clone(&self.files);
                let opened = async move { files.read(range).await };
                stream::once(opened).try_flatten().boxed()
            }
        }
    }
}
