//! The fingerprint of a directory or a file: what `FileSystem.fingerprint` of `aws-cdk-lib` gives.

mod content;
pub(super) mod walk;

use std::borrow::Cow;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fs, thread};

use super::Error;
use super::ignore::{Ignore, IgnoreMode};
use crate::oci::{Algorithm, Digester};
use walk::{Entry, Kind, Link, walk};

/// Which symbolic links stand for what they lead to. Others are themselves part of an asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Follow {
    /// None.
    Never,
    /// All.
    Always,
    /// Those that lead out of the directory.
    #[default]
    External,
    /// Those that lead to somewhere in the directory.
    InternalOnly,
}

impl Follow {
    /// As CDK writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Always => "always",
            Self::External => "external",
            Self::InternalOnly => "internal-only",
        }
    }
}

impl fmt::Display for Follow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no [`Follow`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown follow mode {0:?}: expected never, always, external or internal-only")]
pub struct UnknownFollow(String);

impl FromStr for Follow {
    type Err = UnknownFollow;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [
            Self::Never,
            Self::Always,
            Self::External,
            Self::InternalOnly,
        ]
        .into_iter()
        .find(|follow| follow.as_str() == text)
        .ok_or_else(|| UnknownFollow(text.to_owned()))
    }
}

/// The settings that enter a fingerprint beside the content.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Text that is hashed first.
    pub extra: String,
    /// Which links are followed.
    pub follow: Follow,
    /// How `exclude` is read.
    pub mode: IgnoreMode,
    /// Patterns of what is left out.
    pub exclude: Vec<String>,
}

/// The fingerprint of what is at `path`, in lowercase hex.
///
/// Files are read by as many threads as there are processors, each with a buffer of its own: the
/// memory needed grows with the number of files, not with their size.
pub fn fingerprint(path: &Path, options: &Options) -> Result<String, Error> {
    let read = |error| Error::read(path, error);
    let root = fs::canonicalize(path).map_err(read)?;
    let mut fields = Fields(Digester::new(Algorithm::Sha256));
    fields.add("options.extra", &options.extra);
    fields.add("options.follow", options.follow.as_str());
    if options.mode != IgnoreMode::Glob {
        fields.add("options.ignoreMode", options.mode.as_str());
    }
    if !fs::metadata(&root).map_err(read)?.is_dir() {
        let content = content::fingerprint(&root, &mut Vec::new()).map_err(read)?;
        fields.add("file:", &content);
        return Ok(fields.finish());
    }
    let ignore = Ignore::new(options.mode, &options.exclude)?;
    let mut entries = Vec::new();
    walk(&root, options.follow, &ignore, &mut |entry| {
        if !matches!(entry.kind, Kind::Directory) {
            entries.push(entry);
        }
        Ok(())
    })?;
    let contents = contents(&entries)?;
    for (entry, content) in entries.iter().zip(&contents) {
        match &entry.kind {
            Kind::Link(link) => fields.add(&format!("link:{}", key(&entry.path)), &target(link)),
            _ => fields.add(&format!("file:{}", key(&entry.path)), content),
        }
    }
    Ok(fields.finish())
}

/// The way in which a path is hashed: the same where backslashes part names.
fn key(path: &str) -> Cow<'_, str> {
    if path.contains('\\') {
        Cow::Owned(path.replace('\\', "/"))
    } else {
        Cow::Borrowed(path)
    }
}

/// The part of a link that is hashed: an absolute one does not depend on where the asset is.
fn target(link: &Link) -> Cow<'_, str> {
    match &link.inside {
        Some(inside) if link.text.starts_with('/') => key(inside),
        _ => Cow::Borrowed(&link.text),
    }
}

/// The fingerprint of each file's content, in order; empty for links.
fn contents(entries: &[Entry]) -> Result<Vec<String>, Error> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<(usize, String)>, Error> {
        let mut buffer = Vec::new();
        let mut done = Vec::new();
        while let Some((index, entry)) = take(entries, &next) {
            if let Kind::File = entry.kind {
                let content = content::fingerprint(&entry.location, &mut buffer)
                    .map_err(|error| Error::read(&entry.location, error))?;
                done.push((index, content));
            }
        }
        Ok(done)
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut contents = vec![String::new(); entries.len()];
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            let done = worker
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            for (index, content) in done? {
                contents[index] = content;
            }
        }
        Ok(contents)
    })
}

fn take<'a>(entries: &'a [Entry], next: &AtomicUsize) -> Option<(usize, &'a Entry)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    Some((index, entries.get(index)?))
}

/// Named values on their way into a hash.
struct Fields(Digester);

impl Fields {
    fn add(&mut self, name: &str, value: &str) {
        for bytes in [b"\x01", name.as_bytes(), b"\x02", value.as_bytes(), b"\x03"] {
            self.0.update(bytes);
        }
    }

    fn finish(self) -> String {
        self.0.finish().hex().to_owned()
    }
}
