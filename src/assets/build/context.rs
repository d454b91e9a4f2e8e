//! The files that a builder gets: a copy of the asset, less what is not sent.
//!
//! Builders read `.dockerignore` each in its own way. So that all build the same, the files are
//! chosen here as Docker does, and the builder is told to ignore nothing.

use std::collections::HashMap;
use std::fs::{self, FileTimes, Permissions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tempfile::TempDir;

use crate::assets::fingerprint::Follow;
use crate::assets::fingerprint::walk::{Entry, Kind, Link, walk};
use crate::assets::ignore::{Dockerignore, Ignore, IgnoreMode, Verdict};
use crate::assets::{Error, ImageAsset};

/// A directory with the files, beside the Dockerfile. Gone when dropped.
#[derive(Debug)]
pub(super) struct Context(TempDir);

impl Context {
    /// Copies what is sent into a new directory in `place`. Files are hard links where that is
    /// possible: no byte is copied then.
    pub(super) fn stage(asset: &ImageAsset, place: &Path) -> Result<Self, Error> {
        let source = asset.checked_directory()?;
        let failed = |error| Error::write(place, error);
        fs::create_dir_all(place).map_err(failed)?;
        let context = Self(
            tempfile::Builder::new()
                .prefix("context-")
                .tempdir_in(place)
                .map_err(failed)?,
        );
        fs::create_dir(context.directory()).map_err(failed)?;
        fs::write(context.nothing_ignored(), "").map_err(failed)?;
        let dockerfile = source.join(asset.dockerfile()?);
        fs::copy(&dockerfile, context.dockerfile())
            .map_err(|error| Error::read(&dockerfile, error))?;
        context.fill(asset, &source)?;
        Ok(context)
    }

    fn fill(&self, asset: &ImageAsset, source: &Path) -> Result<(), Error> {
        let (follow, ignore) = if asset.is_staged {
            (Follow::Never, Ignore::new::<&str>(IgnoreMode::Docker, &[])?)
        } else {
            let exclude = asset.excluded(source)?;
            (asset.follow, Ignore::new(asset.ignore_mode, &exclude)?)
        };
        let mut filter = Filter::new(dockerignore(asset, source, &ignore)?);
        let mut copy = Copy::new(self.directory());
        walk(source, follow, &ignore, &mut |entry| {
            if filter.leaves_out(&entry.path) {
                return Ok(());
            }
            copy.entry(&entry)
        })?;
        copy.finish(source)
    }

    /// The directory that the builder gets as the context.
    pub(super) fn directory(&self) -> PathBuf {
        self.0.path().join("context")
    }

    /// The Dockerfile, which is there even if it is not part of the context.
    pub(super) fn dockerfile(&self) -> PathBuf {
        self.0.path().join("Dockerfile")
    }

    /// An ignore file without patterns, where builders look for the Dockerfile's own.
    pub(super) fn nothing_ignored(&self) -> PathBuf {
        self.0.path().join("Dockerfile.dockerignore")
    }
}

/// The rules that Docker ignores files by: the Dockerfile's own ignore file, or else the context's.
fn dockerignore(asset: &ImageAsset, source: &Path, ignore: &Ignore) -> Result<Dockerignore, Error> {
    let own = format!("{}.dockerignore", asset.dockerfile()?);
    for name in [own.as_str(), ".dockerignore"] {
        if ignore.ignores(name) {
            continue;
        }
        let path = source.join(name);
        match fs::read(&path) {
            Ok(text) => return Ok(Dockerignore::parse(&String::from_utf8_lossy(&text))?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::read(&path, error)),
        }
    }
    Ok(Dockerignore::default())
}

struct Filter {
    rules: Dockerignore,
    directories: HashMap<String, Verdict>,
}

impl Filter {
    fn new(rules: Dockerignore) -> Self {
        Self {
            rules,
            directories: HashMap::new(),
        }
    }

    fn leaves_out(&mut self, path: &str) -> bool {
        self.verdict(path).is_ignored()
    }

    fn verdict(&mut self, path: &str) -> Verdict {
        if let Some(verdict) = self.directories.get(path) {
            return verdict.clone();
        }
        let above = match path.rsplit_once('/') {
            Some((directory, _)) => {
                let verdict = self.verdict(directory);
                self.directories
                    .insert(directory.to_owned(), verdict.clone());
                verdict
            }
            None => Verdict::default(),
        };
        self.rules.verdict(path, &above)
    }
}

/// A copy in the making.
struct Copy {
    root: PathBuf,
    /// The directories, and where each is copied from: their times are set when they are full.
    directories: Vec<(PathBuf, PathBuf)>,
}

impl Copy {
    fn new(root: PathBuf) -> Self {
        Self {
            root,
            directories: Vec::new(),
        }
    }

    fn entry(&mut self, entry: &Entry) -> Result<(), Error> {
        let copy = self.root.join(&entry.path);
        let failed = |error| Error::write(&copy, error);
        if let Kind::Directory = entry.kind {
            fs::create_dir_all(&copy).map_err(failed)?;
            self.directories.push((copy, entry.location.clone()));
            return Ok(());
        }
        if let Some(parent) = copy.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        match &entry.kind {
            Kind::Link(link) => {
                std::os::unix::fs::symlink(text(link, &entry.path), &copy).map_err(failed)
            }
            _ => copy_file(&entry.location, &copy),
        }
    }

    /// Gives directories the permissions and times that they have in the source.
    fn finish(self, source: &Path) -> Result<(), Error> {
        let root = (self.root, source.to_owned());
        for (copy, original) in self.directories.iter().rev().chain([&root]) {
            let found = fs::metadata(original).map_err(|error| Error::read(original, error))?;
            set(copy, found.permissions(), found.modified().ok())
                .map_err(|error| Error::write(copy, error))?;
        }
        Ok(())
    }
}

fn copy_file(original: &Path, copy: &Path) -> Result<(), Error> {
    if fs::hard_link(original, copy).is_ok() {
        return Ok(());
    }
    fs::copy(original, copy).map_err(|error| Error::read(original, error))?;
    let found = fs::metadata(original).map_err(|error| Error::read(original, error))?;
    set(copy, found.permissions(), found.modified().ok()).map_err(|error| Error::write(copy, error))
}

fn set(path: &Path, permissions: Permissions, modified: Option<SystemTime>) -> io::Result<()> {
    if let Some(modified) = modified {
        let times = FileTimes::new().set_modified(modified);
        fs::File::open(path)?.set_times(times)?;
    }
    fs::set_permissions(path, permissions)
}

/// The text in the copy of a link: one that leads to somewhere in the asset leads there by the
/// shortest way, as in CDK's copy.
fn text(link: &Link, path: &str) -> String {
    let Some(inside) = &link.inside else {
        return link.text.clone();
    };
    let mut from: Vec<&str> = path.split('/').collect();
    from.pop();
    let to: Vec<&str> = inside.split('/').filter(|name| !name.is_empty()).collect();
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = from[shared..].iter().map(|_| "..");
    let names: Vec<&str> = up.chain(to[shared..].iter().copied()).collect();
    if names.is_empty() {
        ".".to_owned()
    } else {
        names.join("/")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dockerfile_whose_path_goes_up_has_its_own_ignore_file() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("app");
        fs::create_dir_all(directory.join("docker")).unwrap();
        for (name, content) in [
            ("docker/Dockerfile.dev", "FROM scratch\n"),
            ("docker/Dockerfile.dev.dockerignore", "left-out\n"),
            ("left-out", ""),
            ("sent", ""),
        ] {
            fs::write(directory.join(name), content).unwrap();
        }
        let asset = ImageAsset {
            directory,
            file: Some("nowhere/../docker/../docker/Dockerfile.dev".to_owned()),
            ..ImageAsset::default()
        };
        let context = Context::stage(&asset, &folder.path().join("place")).unwrap();
        let dockerfile = fs::read_to_string(context.dockerfile()).unwrap();
        assert_eq!(dockerfile, "FROM scratch\n");
        assert!(context.directory().join("sent").exists());
        assert!(!context.directory().join("left-out").exists());
    }
}
