//! A reader finds the same image, however the blobs came.

use std::io::Read;
use std::sync::OnceLock;

use bytes::Bytes;
use futures_util::future::{BoxFuture, join_all};
use futures_util::{FutureExt, StreamExt, stream};
use serde_json::json;

use super::{ImageFile, Writer};
use crate::content::{self, ByteStream, Destination, Opener};
use crate::oci::{Algorithm, Descriptor, Digest, Digester, MediaType, RawManifest};

/// A blob whose reading may fail, and which may be known only after it.
struct Blob {
    descriptor: Descriptor,
    bytes: Bytes,
    fails: bool,
    made: Option<OnceLock<()>>,
}

impl Blob {
    fn of(text: &str, algorithm: Algorithm) -> Self {
        let bytes = Bytes::from(text.repeat(700));
        let mut digester = Digester::new(algorithm);
        digester.update(&bytes);
        let size = bytes.len() as u64;
        Self {
            descriptor: Descriptor::new(MediaType::OCI_LAYER, digester.finish(), size),
            bytes,
            fails: false,
            made: None,
        }
    }

    fn known(text: &str) -> Self {
        Self::of(text, Algorithm::Sha256)
    }

    fn made(text: &str) -> Self {
        Self {
            made: Some(OnceLock::new()),
            ..Self::known(text)
        }
    }

    fn failing(self) -> Self {
        Self {
            fails: true,
            ..self
        }
    }
}

impl Opener for Blob {
    fn descriptor(&self) -> Option<Descriptor> {
        let is_known = self.made.as_ref().is_none_or(|made| made.get().is_some());
        is_known.then(|| self.descriptor.clone())
    }

    fn open(&self, _offset: u64) -> BoxFuture<'_, content::Result<ByteStream>> {
        async move {
            let half = self.bytes.len() / 2;
            let end = if self.fails {
                Err(content::Error::TooLarge { limit: 0 })
            } else {
                Ok(self.bytes.slice(half..))
            };
            if let Some(made) = &self.made {
                let _ = made.set(());
            }
            let pieces = [Ok(self.bytes.slice(..half)), end];
            // Each piece comes after others had their turn.
            let pieces = stream::iter(pieces).then(|piece| async {
                tokio::task::yield_now().await;
                piece
            });
            Ok(pieces.boxed())
        }
        .boxed()
    }
}

async fn writer(folder: &tempfile::TempDir, form: &str) -> Writer {
    let path = folder.path().join("image");
    let file: ImageFile = format!("{form}:{}", path.display()).parse().unwrap();
    Writer::open(file).await.unwrap()
}

fn manifest() -> RawManifest {
    RawManifest::new(&MediaType::OCI_MANIFEST, json!({}).to_string().into())
}

/// The entries of the archive that was written.
fn entries(folder: &tempfile::TempDir) -> Vec<(String, Vec<u8>)> {
    let file = std::fs::File::open(folder.path().join("image")).unwrap();
    let mut archive = tar::Archive::new(file);
    let read = |entry: std::io::Result<tar::Entry<'_, _>>| {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        let name = entry.path().unwrap().display().to_string();
        Read::read_to_end(&mut entry, &mut bytes).unwrap();
        (name, bytes)
    };
    archive.entries().unwrap().map(read).collect()
}

fn path(blob: &Blob) -> String {
    super::blob_path(&blob.descriptor.digest)
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_that_come_at_once_are_whole() {
    let folder = tempfile::tempdir().unwrap();
    let writer = writer(&folder, "oci-archive").await;
    let blobs = [
        Blob::known("one"),
        Blob::made("two, and made"),
        Blob::of("three", Algorithm::Sha512),
        Blob::made("four, and made"),
        Blob::known("five"),
        Blob::known(""),
    ];
    let pushes = blobs.iter().map(|blob| writer.push_blob(blob, &[]));
    for pushed in join_all(pushes).await {
        pushed.unwrap();
    }
    for blob in &blobs {
        let size = writer.blob_size(&blob.descriptor.digest).await.unwrap();
        assert_eq!(size, Some(blob.descriptor.size));
    }
    writer.complete(&manifest()).await.unwrap();
    let entries = entries(&folder);
    assert_eq!(entries.len(), blobs.len() + 2);
    for blob in &blobs {
        let entry = entries.iter().find(|(name, _)| *name == path(blob));
        assert_eq!(entry.unwrap().1, blob.bytes, "{}", path(blob));
    }
}

#[tokio::test]
async fn a_blob_that_fails_can_come_again() {
    for (first, second) in [
        (Blob::known("one").failing(), Blob::known("one")),
        (Blob::made("one").failing(), Blob::made("one, anew")),
        (Blob::known("a longer one").failing(), Blob::made("one")),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let writer = writer(&folder, "oci-archive").await;
        writer.push_blob(&first, &[]).await.unwrap_err();
        writer.push_blob(&second, &[]).await.unwrap();
        writer.complete(&manifest()).await.unwrap();
        let entries = entries(&folder);
        assert_eq!(entries.len(), 3);
        assert_eq!(entries[0], (path(&second), second.bytes.to_vec()));
    }
}

#[tokio::test]
async fn an_archive_with_a_gap_is_never_completed() {
    let folder = tempfile::tempdir().unwrap();
    let writer = writer(&folder, "oci-archive").await;
    let (gap, other) = (Blob::known("one").failing(), Blob::known("two"));
    let both = [writer.push_blob(&gap, &[]), writer.push_blob(&other, &[])];
    let [failed, whole] = join_all(both).await.try_into().unwrap();
    assert!(failed.is_err() && whole.is_ok());
    let error = writer.complete(&manifest()).await.unwrap_err();
    assert!(error.to_string().contains("not complete"), "{error}");
    drop(writer);
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

#[tokio::test]
async fn a_layout_has_no_blob_that_failed() {
    let folder = tempfile::tempdir().unwrap();
    let writer = writer(&folder, "oci").await;
    let failing = Blob::known("one").failing();
    writer.push_blob(&failing, &[]).await.unwrap_err();
    let size = writer.blob_size(&failing.descriptor.digest).await.unwrap();
    assert_eq!(size, None);
    writer.push_blob(&Blob::known("one"), &[]).await.unwrap();
    writer.complete(&manifest()).await.unwrap();
    let layout = folder.path().join("image");
    let bytes = std::fs::read(layout.join(path(&failing))).unwrap();
    assert_eq!(Digest::sha256(&bytes), failing.descriptor.digest);
    assert_eq!(layout.read_dir().unwrap().count(), 3);
}
