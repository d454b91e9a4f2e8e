//! A folder as a bucket: keys as paths.

use std::fs::Metadata;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::UNIX_EPOCH;

use tokio::fs;

use super::failure::Refusal;
use crate::oci::Digest;

/// The place where uploads are written, out of the listing's sight.
const SCRATCH: &str = ".longshore-uploads";

/// A bucket's folder, as its canonical path.
#[derive(Clone, Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) async fn open(path: &Path) -> Result<Self, Refusal> {
        let path = fs::canonicalize(path).await;
        Ok(Self(path.map_err(|_| Refusal::NoSuchBucket)?))
    }

    /// The file of a key that is to be written.
    pub(super) fn target(&self, key: &str) -> Result<PathBuf, Refusal> {
        if !is_path(key) || key.starts_with(SCRATCH) {
            return Err(Refusal::InvalidKey);
        }
        Ok(self.0.join(key))
    }

    /// The file of a key that is there. Links out of the folder lead nowhere.
    pub(super) async fn find(&self, key: &str) -> Result<PathBuf, Refusal> {
        let path = self.target(key).map_err(|_| Refusal::NoSuchKey)?;
        let path = fs::canonicalize(path).await?;
        if !path.starts_with(&self.0) {
            return Err(Refusal::AccessDenied);
        }
        Ok(path)
    }

    /// Makes the folder that a file is to be in, which must not lie outside by a link.
    pub(super) async fn make_room(&self, target: &Path) -> Result<(), Refusal> {
        let Some(parent) = target.parent() else {
            return Err(Refusal::InvalidKey);
        };
        fs::create_dir_all(parent).await?;
        if !fs::canonicalize(parent).await?.starts_with(&self.0) {
            return Err(Refusal::AccessDenied);
        }
        Ok(())
    }

    /// A folder for what is being written, by a name that nothing else has.
    pub(super) async fn scratch(&self, id: &str) -> io::Result<PathBuf> {
        let path = self.0.join(SCRATCH).join(id);
        fs::create_dir_all(&path).await?;
        Ok(path)
    }

    /// Removes such a folder.
    pub(super) async fn clean(&self, id: &str) {
        // Left behind, it is out of sight.
        let _ = fs::remove_dir_all(self.0.join(SCRATCH).join(id)).await;
        let _ = fs::remove_dir(self.0.join(SCRATCH)).await;
    }

    /// Every key with its file's metadata, by key.
    pub(super) async fn keys(&self) -> io::Result<Vec<(String, Metadata)>> {
        let mut found = Vec::new();
        let mut pending = vec![(self.0.clone(), String::new())];
        while let Some((folder, prefix)) = pending.pop() {
            let mut entries = fs::read_dir(folder).await?;
            while let Some(entry) = entries.next_entry().await? {
                let Ok(name) = entry.file_name().into_string() else {
                    continue;
                };
                let key = format!("{prefix}{name}");
                let metadata = entry.metadata().await?;
                if metadata.is_dir() && key != SCRATCH {
                    pending.push((entry.path(), format!("{key}/")));
                } else if metadata.is_file() {
                    found.push((key, metadata));
                }
            }
        }
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(found)
    }
}

/// Returns true if a key is a path that stays below where it starts.
fn is_path(key: &str) -> bool {
    let normal = |component| matches!(component, Component::Normal(_));
    // `components` passes over `.` and doubled slashes, which would be another key's path.
    let exact = key.split('/').all(|part| !matches!(part, "" | "." | ".."));
    exact && !key.contains('\0') && Path::new(key).components().all(normal)
}

/// A file's fingerprint, without reading it: its size, time and inode.
pub(super) fn fingerprint(metadata: &Metadata, changes: u32) -> String {
    use std::os::unix::fs::MetadataExt;
    let modified = metadata.modified().ok();
    let modified = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let text = format!(
        "{} {modified:?} {} {changes}",
        metadata.len(),
        metadata.ino()
    );
    Digest::sha256(text.as_bytes()).hex()[..32].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn no_key_leads_out() {
        for key in [
            "",
            "..",
            "../x",
            "a/../../x",
            "/etc/passwd",
            "a//b",
            "./a",
            "a/",
            "a\0b",
        ] {
            assert!(!is_path(key), "{key}");
        }
        for key in ["a", "a/b c+d:e#f", "ü/…", "..a", "a\\..\\b"] {
            assert!(is_path(key), "{key}");
        }
    }

    proptest! {
        #[test]
        fn a_path_stays_below(key in "[a./\\\\]{0,12}") {
            if is_path(&key) {
                let joined = Path::new("/r").join(&key);
                prop_assert_eq!(joined, PathBuf::from(format!("/r/{key}")));
                prop_assert!(!key.split('/').any(|part| part == ".."));
            }
        }
    }
}
