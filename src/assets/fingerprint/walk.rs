//! The files and links of a directory, in CDK's order.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, FileType};
use std::path::{Component, Path, PathBuf};

use super::Follow;
use crate::assets::Error;
use crate::assets::ignore::Ignore;

/// Something that belongs to an asset.
#[derive(Debug)]
pub(in crate::assets) struct Entry {
    /// Its path in the asset, with slashes.
    pub(in crate::assets) path: String,
    /// The place where it is read from: elsewhere than its path says where a link was followed.
    pub(in crate::assets) location: PathBuf,
    pub(in crate::assets) kind: Kind,
}

#[derive(Debug)]
pub(in crate::assets) enum Kind {
    /// A directory; what it holds comes after it. Not visited where it is left out but may hold
    /// what is not.
    Directory,
    /// A file.
    File,
    /// A link that is not followed.
    Link(Link),
}

#[derive(Debug)]
pub(in crate::assets) struct Link {
    /// The text of the link.
    pub(in crate::assets) text: String,
    /// The place where it leads in the asset, if it leads there.
    pub(in crate::assets) inside: Option<String>,
}

/// Visits what a directory holds, those of equal level by name: by the order of UTF-16, as
/// JavaScript has it.
pub(in crate::assets) fn walk(
    root: &Path,
    follow: Follow,
    ignore: &Ignore,
    visit: &mut dyn FnMut(Entry) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut walk = Walk {
        root: canonical(root),
        follow,
        ignore,
        visit,
        above: HashSet::new(),
    };
    let canonical_root = walk.root.clone();
    walk.directory("", root, &canonical_root)
}

struct Walk<'a> {
    root: PathBuf,
    follow: Follow,
    ignore: &'a Ignore,
    visit: &'a mut dyn FnMut(Entry) -> Result<(), Error>,
    /// The directories that are being visited: a link that leads to one of them ends there.
    above: HashSet<PathBuf>,
}

impl Walk<'_> {
    fn directory(&mut self, path: &str, location: &Path, place: &Path) -> Result<(), Error> {
        if !self.above.insert(place.to_owned()) {
            return Ok(());
        }
        for (name, kind) in list(location)? {
            let child = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}/{name}")
            };
            let child_location = location.join(&name);
            if kind.is_symlink() {
                self.link(child, &child_location)?;
            } else if kind.is_dir() {
                self.subdirectory(&child, &child_location, &place.join(&name))?;
            } else if kind.is_file() {
                self.file(child, child_location)?;
            }
        }
        self.above.remove(place);
        Ok(())
    }

    fn subdirectory(&mut self, path: &str, location: &Path, place: &Path) -> Result<(), Error> {
        if self.ignore.ignores_directory(path) {
            return Ok(());
        }
        if !self.ignore.ignores(path) {
            (self.visit)(Entry {
                path: path.to_owned(),
                location: location.to_owned(),
                kind: Kind::Directory,
            })?;
        }
        self.directory(path, location, place)
    }

    fn file(&mut self, path: String, location: PathBuf) -> Result<(), Error> {
        if self.ignore.ignores(&path) {
            return Ok(());
        }
        (self.visit)(Entry {
            path,
            location,
            kind: Kind::File,
        })
    }

    fn link(&mut self, path: String, location: &Path) -> Result<(), Error> {
        let text = fs::read_link(location).map_err(|error| Error::read(location, error))?;
        let target = link_target(location, &text);
        let inside = target.strip_prefix(&self.root).ok();
        let followed = match self.follow {
            Follow::Always => true,
            Follow::Never => false,
            Follow::External => inside.is_none(),
            Follow::InternalOnly => inside.is_some(),
        };
        let inside = inside.map(|inside| inside.to_string_lossy().into_owned());
        match fs::metadata(&target) {
            Ok(found) if followed && found.is_dir() => {
                let place = canonical(&target);
                self.subdirectory(&path, &target, &place)
            }
            Ok(found) if followed && found.is_file() => self.file(path, target),
            _ if self.ignore.ignores(&path) => Ok(()),
            Ok(_) if followed => Err(Error::NoFile { path: target }),
            _ => (self.visit)(Entry {
                path,
                location: location.to_owned(),
                kind: Kind::Link(Link {
                    text: text.to_string_lossy().into_owned(),
                    inside,
                }),
            }),
        }
    }
}

/// Names and types, by name.
fn list(directory: &Path) -> Result<Vec<(String, FileType)>, Error> {
    let failed = |error| Error::read(directory, error);
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let kind = entry.file_type().map_err(failed)?;
        let name = entry.file_name().into_string();
        let name = name.map_err(|name| Error::Name {
            path: directory.join(name),
        })?;
        names.push((name, kind));
    }
    names.sort_unstable_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
    Ok(names)
}

/// The place where a link leads: its directory as it really is, its last name as it is written.
fn link_target(link: &Path, text: &Path) -> PathBuf {
    let directory = link.parent().unwrap_or(Path::new("/"));
    let target = without_dots(&directory.join(text));
    let directory = canonical(target.parent().unwrap_or(Path::new("/")));
    directory.join(target.file_name().unwrap_or(OsStr::new("")))
}

/// Takes `.` and `..` out of an absolute path by its text alone.
fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            component => plain.push(component),
        }
    }
    plain
}

fn canonical(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}
