//! The files of an archive, read from the object that holds it.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::de::DeserializeOwned;

use super::Error;
use super::index::{File, Index};
use crate::content::{ByteStream, RangeRead, Windows, collect_exactly, stream_ranges};

/// Largest document (manifest, config, list of images) that is read.
pub(super) const MAX_DOCUMENT: u64 = 4 << 20;

/// An archive's object and index.
pub(super) struct Store {
    pub(super) object: Arc<dyn RangeRead>,
    pub(super) index: Index,
    /// Whether the object can only be read from the beginning on.
    pub(super) sequential: bool,
}

impl Store {
    /// The content of a document.
    pub(super) async fn document(&self, name: &str, named_by: &str) -> Result<Bytes, Error> {
        let file = self.index.file(name, named_by)?;
        if let Some(kept) = self.index.kept(file) {
            return Ok(kept);
        }
        if file.size > MAX_DOCUMENT {
            return Err(Error::TooLarge {
                what: format!("the size of {name:?}"),
                limit: MAX_DOCUMENT,
                actual: file.size,
            });
        }
        let stream = self.object.read(file.range()).await.map_err(Error::Read)?;
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
        let object = Arc::clone(&self.object);
        let mut range = file.range();
        range.start = range.end.min(range.start.saturating_add(offset));
        if let Some(kept) = self.index.kept(file) {
            let skipped =
                usize::try_from(offset).map_or(kept.len(), |offset| offset.min(kept.len()));
            return stream::iter([Ok(kept.slice(skipped..))]).boxed();
        }
        if self.sequential {
            let opened = async move { object.read(range).await };
            return stream::once(opened).try_flatten().boxed();
        }
        stream_ranges(object, range, Windows::DEFAULT)
    }
}
