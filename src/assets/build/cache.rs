//! Archives of images that were built, by the asset's hash.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use std::{env, io};

use tempfile::TempDir;

use crate::assets::Error;
use crate::oci::Digest;

/// The number of archives that are kept: those that were used last.
const KEPT: usize = 32;

/// A folder with archives.
#[derive(Clone, Debug)]
pub struct Cache {
    directory: PathBuf,
}

impl Cache {
    /// A cache in a folder, which need not be there yet.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    /// A cache in a folder that is named, or the user's.
    ///
    /// # Errors
    ///
    /// Those of [`Cache::of_user`].
    pub fn at(directory: Option<&Path>) -> Result<Self, Error> {
        directory.map_or_else(Self::of_user, |directory| Ok(Self::new(directory)))
    }

    /// The user's: `LONGSHORE_CACHE`, or `longshore` in `XDG_CACHE_HOME` or in `~/.cache`.
    pub fn of_user() -> Result<Self, Error> {
        let variable = |name| {
            env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        variable("LONGSHORE_CACHE")
            .or_else(|| variable("XDG_CACHE_HOME").map(|caches| caches.join("longshore")))
            .or_else(|| variable("HOME").map(|home| home.join(".cache/longshore")))
            .map(Self::new)
            .ok_or(Error::NoCache)
    }

    /// The place where what is not finished is kept.
    pub(super) fn workplace(&self) -> PathBuf {
        self.directory.join("work")
    }

    /// A new folder for what is not kept. Gone when dropped.
    pub(in crate::assets) fn folder(&self) -> Result<TempDir, Error> {
        let place = self.workplace();
        fs::create_dir_all(&place)
            .and_then(|()| tempfile::tempdir_in(&place))
            .map_err(|error| Error::write(&place, error))
    }

    fn archives(&self) -> PathBuf {
        self.directory.join("images")
    }

    fn archive(&self, hash: &str) -> PathBuf {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let name = if hash.chars().all(is_plain) {
            hash.to_owned()
        } else {
            // An ID that someone made up is no name of a file.
            Digest::sha256(hash.as_bytes()).hex().to_owned()
        };
        self.archives().join(format!("{name}.tar"))
    }

    /// The archive of an asset, if it is here. It stays for longer than those not asked for.
    pub fn find(&self, hash: &str) -> Option<PathBuf> {
        let archive = self.archive(hash);
        let file = fs::File::options().append(true).open(&archive).ok()?;
        // A cache that cannot be written to is used as it is.
        let _ = file.set_modified(SystemTime::now());
        Some(archive)
    }

    /// Takes an archive over, complete or not at all.
    pub(super) fn keep(&self, archive: &Path, hash: &str) -> Result<PathBuf, Error> {
        let kept = self.archive(hash);
        fs::create_dir_all(self.archives())
            .and_then(|()| fs::rename(archive, &kept))
            .map_err(|error| Error::write(&kept, error))?;
        // Too many archives are no reason to fail.
        let _ = self.prune();
        Ok(kept)
    }

    fn prune(&self) -> io::Result<()> {
        let mut archives = Vec::new();
        for entry in fs::read_dir(self.archives())? {
            let entry = entry?;
            archives.push((entry.metadata()?.modified()?, entry.path()));
        }
        archives.sort_by(|a, b| b.cmp(a));
        for (_, archive) in archives.into_iter().skip(KEPT) {
            fs::remove_file(archive)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_was_used_last_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::new(directory.path());
        let build = |hash: &str| {
            let archive = directory.path().join("new");
            fs::write(&archive, hash).unwrap();
            cache.keep(&archive, hash).unwrap()
        };
        assert_eq!(cache.find("first"), None);
        let first = build("first");
        let long_ago = SystemTime::now() - Duration::from_hours(1);
        let forget = |archive: &Path| {
            let file = fs::File::options().append(true).open(archive).unwrap();
            file.set_modified(long_ago).unwrap();
        };
        forget(&first);
        let second = build("second");
        forget(&second);
        assert_eq!(cache.find("first"), Some(first));
        for number in 0..KEPT - 1 {
            build(&number.to_string());
        }
        assert!(cache.find("first").is_some());
        assert_eq!(cache.find("second"), None);
    }
}
