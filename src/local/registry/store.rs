//! A registry's content in a folder.
//!
//! ```text
//! blobs/<algorithm>/<hex>                                 content of manifests, configs, layers
//! repositories/<name>/_blobs/<algorithm>/<hex>            (empty) this repository has the blob
//! repositories/<name>/_manifests/<algorithm>/<hex>        its media type
//! repositories/<name>/_tags/<tag>                         the manifest's digest
//! repositories/<name>/_notes/<note>                       what ECR's API keeps beside
//! uploads/                                                what is being written
//! ```
//!
//! Files appear whole, by rename. What is deleted loses its place in the repository; the content
//! stays in `blobs`.

use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::fs;

use crate::oci::{Algorithm, Digest, MediaType, RawManifest};

/// The folder.
pub(in crate::local) struct Store {
    root: PathBuf,
    /// Removes the folder in the end, where none was given.
    _temporary: Option<TempDir>,
}

impl Store {
    /// Opens a folder, or a temporary one.
    pub(in crate::local) async fn open(folder: Option<PathBuf>) -> io::Result<Self> {
        let temporary = match &folder {
            Some(_) => None,
            None => Some(
                tempfile::Builder::new()
                    .prefix("longshore-registry-")
                    .tempdir()?,
            ),
        };
        let root = match (folder, &temporary) {
            (Some(folder), _) => folder,
            (None, Some(temporary)) => temporary.path().to_owned(),
            (None, None) => return Err(io::ErrorKind::NotFound.into()),
        };
        let store = Self {
            root,
            _temporary: temporary,
        };
        // Sessions end with the process that had them.
        absent_is_fine(fs::remove_dir_all(store.root.join("uploads")).await)?;
        fs::create_dir_all(store.root.join("uploads")).await?;
        fs::create_dir_all(store.root.join("repositories")).await?;
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            fs::create_dir_all(store.root.join("blobs").join(algorithm.name())).await?;
        }
        Ok(store)
    }

    /// The place where a blob's content is, if it is anywhere.
    pub(in crate::local) fn content(&self, digest: &Digest) -> PathBuf {
        let folder = self.root.join("blobs").join(digest.algorithm().name());
        folder.join(digest.hex())
    }

    /// A path for something that is being written.
    pub(in crate::local) fn scratch(&self) -> PathBuf {
        self.root.join("uploads").join(random_name())
    }

    /// Takes what was written at `scratch` as the content of `digest`, which it is.
    pub(in crate::local) async fn keep(&self, scratch: &Path, digest: &Digest) -> io::Result<()> {
        fs::rename(scratch, self.content(digest)).await
    }

    /// Every repository, sorted.
    pub(in crate::local) async fn repositories(&self) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        let mut pending = vec![String::new()];
        while let Some(prefix) = pending.pop() {
            for child in names(&self.root.join("repositories").join(&prefix)).await? {
                let name = match prefix.as_str() {
                    "" => child.clone(),
                    prefix => format!("{prefix}/{child}"),
                };
                match child.as_str() {
                    "_tags" => found.push(prefix.clone()),
                    "_blobs" | "_manifests" | "_notes" => {}
                    _ => pending.push(name),
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// Returns true if there is a repository of this name.
    pub(in crate::local) async fn has_repository(&self, name: &str) -> io::Result<bool> {
        fs::try_exists(self.place(name, "_tags")).await
    }

    /// Makes a repository, if there is none.
    pub(in crate::local) async fn create_repository(&self, name: &str) -> io::Result<()> {
        fs::create_dir_all(self.place(name, "_tags")).await
    }

    /// Forgets a repository and what it has; not those below its name.
    pub(in crate::local) async fn delete_repository(&self, name: &str) -> io::Result<()> {
        for part in ["_tags", "_manifests", "_blobs", "_notes"] {
            absent_is_fine(fs::remove_dir_all(self.place(name, part)).await)?;
        }
        Ok(())
    }

    /// Returns true if a repository has a blob.
    pub(in crate::local) async fn has_blob(&self, name: &str, digest: &Digest) -> io::Result<bool> {
        fs::try_exists(self.link(name, "_blobs", digest)).await
    }

    /// Gives a repository a blob whose content is here.
    pub(in crate::local) async fn add_blob(&self, name: &str, digest: &Digest) -> io::Result<()> {
        self.write(&self.link(name, "_blobs", digest), b"").await
    }

    /// Takes a blob from a repository. False where it had none.
    pub(in crate::local) async fn remove_blob(
        &self,
        name: &str,
        digest: &Digest,
    ) -> io::Result<bool> {
        removed(fs::remove_file(self.link(name, "_blobs", digest)).await)
    }

    /// A repository's manifest of this digest.
    pub(in crate::local) async fn manifest(
        &self,
        name: &str,
        digest: &Digest,
    ) -> io::Result<Option<RawManifest>> {
        let link = self.link(name, "_manifests", digest);
        let Some(media_type) = present(fs::read_to_string(link).await)? else {
            return Ok(None);
        };
        let bytes = fs::read(self.content(digest)).await?;
        let media_type = MediaType::from(media_type);
        Ok(Some(RawManifest::with_digest(
            &media_type,
            digest.clone(),
            bytes.into(),
        )))
    }

    /// Every manifest of a repository, by digest.
    pub(in crate::local) async fn manifests(&self, name: &str) -> io::Result<Vec<RawManifest>> {
        let mut found = Vec::new();
        for algorithm in names(&self.place(name, "_manifests")).await? {
            for hex in names(&self.place(name, "_manifests").join(&algorithm)).await? {
                let Ok(digest) = format!("{algorithm}:{hex}").parse() else {
                    continue;
                };
                found.extend(self.manifest(name, &digest).await?);
            }
        }
        found.sort_by(|a, b| a.digest().cmp(b.digest()));
        Ok(found)
    }

    /// Gives a repository a manifest.
    pub(in crate::local) async fn add_manifest(
        &self,
        name: &str,
        manifest: &RawManifest,
    ) -> io::Result<()> {
        let digest = manifest.digest();
        self.write(&self.content(digest), manifest.bytes()).await?;
        let link = self.link(name, "_manifests", digest);
        self.write(&link, manifest.media_type().as_str().as_bytes())
            .await
    }

    /// Takes a manifest from a repository, and its tags with it. False where it had none.
    pub(in crate::local) async fn remove_manifest(
        &self,
        name: &str,
        digest: &Digest,
    ) -> io::Result<bool> {
        for tag in self.tags(name).await? {
            if self.tag(name, &tag).await?.as_ref() == Some(digest) {
                self.remove_tag(name, &tag).await?;
            }
        }
        removed(fs::remove_file(self.link(name, "_manifests", digest)).await)
    }

    /// A repository's tags, sorted.
    pub(in crate::local) async fn tags(&self, name: &str) -> io::Result<Vec<String>> {
        names(&self.place(name, "_tags")).await
    }

    /// The digest that a tag names.
    pub(in crate::local) async fn tag(&self, name: &str, tag: &str) -> io::Result<Option<Digest>> {
        let path = self.place(name, "_tags").join(tag);
        let text = present(fs::read_to_string(path).await)?;
        Ok(text.and_then(|text| text.parse().ok()))
    }

    /// Lets a tag name a digest.
    pub(in crate::local) async fn set_tag(
        &self,
        name: &str,
        tag: &str,
        digest: &Digest,
    ) -> io::Result<()> {
        let path = self.place(name, "_tags").join(tag);
        self.write(&path, digest.to_string().as_bytes()).await
    }

    /// Removes a tag. False where there was none.
    pub(in crate::local) async fn remove_tag(&self, name: &str, tag: &str) -> io::Result<bool> {
        removed(fs::remove_file(self.place(name, "_tags").join(tag)).await)
    }

    /// A text that is kept beside a repository's images.
    pub(in crate::local) async fn note(
        &self,
        name: &str,
        note: &str,
    ) -> io::Result<Option<String>> {
        present(fs::read_to_string(self.place(name, "_notes").join(note)).await)
    }

    /// Keeps a text beside a repository's images.
    pub(in crate::local) async fn set_note(
        &self,
        name: &str,
        note: &str,
        text: &str,
    ) -> io::Result<()> {
        let path = self.place(name, "_notes").join(note);
        self.write(&path, text.as_bytes()).await
    }

    /// Forgets such a text.
    pub(in crate::local) async fn remove_note(&self, name: &str, note: &str) -> io::Result<()> {
        absent_is_fine(fs::remove_file(self.place(name, "_notes").join(note)).await)
    }

    fn place(&self, name: &str, part: &str) -> PathBuf {
        self.root.join("repositories").join(name).join(part)
    }

    fn link(&self, name: &str, part: &str, digest: &Digest) -> PathBuf {
        let folder = self.place(name, part).join(digest.algorithm().name());
        folder.join(digest.hex())
    }

    async fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let scratch = self.scratch();
        fs::write(&scratch, bytes).await?;
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).await?;
        }
        fs::rename(scratch, path).await
    }
}

/// A name that nothing else has.
pub(in crate::local) fn random_name() -> String {
    format!("{:032x}", fastrand::u128(..))
}

/// The names in a folder, sorted; none where there is no folder.
async fn names(folder: &Path) -> io::Result<Vec<String>> {
    let Some(mut entries) = present(fs::read_dir(folder).await)? else {
        return Ok(Vec::new());
    };
    let mut names = Vec::new();
    while let Some(entry) = entries.next_entry().await? {
        names.extend(entry.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

fn present<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn removed(result: io::Result<()>) -> io::Result<bool> {
    Ok(present(result)?.is_some())
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    present(result).map(drop)
}
