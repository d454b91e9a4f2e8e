//! The content of an archive that is added to: it is taken over into the one that replaces it.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use serde_json::Value;
use tar::{Entry, EntryType};

use super::index::{INDEX, IndexDocument, MARKER};
use super::{Form, WriteError, docker_entry};
use crate::oci::Digest;

/// Most bytes of a document that is read whole.
const MAX_DOCUMENT: u64 = 4 << 20;
/// Documents that would not tell the truth of the new archive.
const STALE: [&str; 3] = [MARKER, INDEX, "repositories"];

/// The documents of an archive that is added to.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) index: Option<IndexDocument>,
    pub(super) images: Vec<Value>,
}

/// An entry, and the way in which it is taken over.
pub(super) enum Found<'a> {
    /// A file that is taken over, with its content.
    File(&'a str, u64, &'a mut dyn Read),
    /// A link that is taken over.
    Link(&'a str, EntryType, &'a str),
}

/// Reads an archive of the form, and gives what is taken over to `take`.
pub(super) fn read(
    path: &Path,
    form: Form,
    name: &str,
    mut take: impl FnMut(Found<'_>) -> io::Result<()>,
) -> Result<Kept, WriteError> {
    let failed = |source| WriteError::Write {
        place: name.to_owned(),
        source,
    };
    let problem = |problem| WriteError::Append {
        place: name.to_owned(),
        problem,
    };
    let file = File::open(path).map_err(failed)?;
    let mut archive = tar::Archive::new(BufReader::with_capacity(1 << 20, file));
    let mut kept = Kept::default();
    let mut is_of_form = false;
    for entry in archive.entries().map_err(failed)? {
        let compressed = "it is compressed as a whole, or damaged: decompress it first";
        let mut entry = entry.map_err(|_| problem(compressed))?;
        let entry_name = entry.path().map_err(failed)?.display().to_string();
        let entry_name = entry_name.trim_start_matches("./").to_owned();
        match (form, entry_name.as_str()) {
            (Form::DockerArchive, docker_entry::MANIFEST) => {
                is_of_form = true;
                let images = serde_json::from_slice(&document(&mut entry).map_err(failed)?);
                kept.images = images.map_err(|source| WriteError::Document {
                    place: name.to_owned(),
                    entry: docker_entry::MANIFEST,
                    source,
                })?;
            }
            (Form::OciArchive, INDEX) => {
                is_of_form = true;
                let index = document(&mut entry).map_err(failed)?;
                kept.index = Some(IndexDocument::parse(&index, name)?);
            }
            (_, stale) if STALE.contains(&stale) => {}
            (Form::OciArchive, other) if !other.starts_with("blobs/") => {}
            _ => take_over(&mut entry, &entry_name, &mut take).map_err(failed)?,
        }
    }
    if is_of_form {
        return Ok(kept);
    }
    Err(problem(match form {
        Form::DockerArchive => "it has no manifest.json: write oci-archive: for an OCI archive",
        _ => "it has no index.json: write docker-archive: for an archive of docker save",
    }))
}

fn take_over<R: Read>(
    entry: &mut Entry<'_, R>,
    name: &str,
    take: &mut impl FnMut(Found<'_>) -> io::Result<()>,
) -> io::Result<()> {
    let kind = entry.header().entry_type();
    if kind.is_file() {
        let size = entry.size();
        return take(Found::File(name, size, entry));
    }
    let target = entry
        .link_name()?
        .map(|target| target.display().to_string());
    match target {
        Some(target) if kind.is_symlink() || kind.is_hard_link() => {
            take(Found::Link(name, kind, &target))
        }
        _ => Ok(()),
    }
}

fn document<R: Read>(entry: &mut Entry<'_, R>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if entry.size() > MAX_DOCUMENT {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    entry.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The digest that the name of a file tells: `blobs/sha256/…`, or `….json` and `….tar`.
pub(super) fn digest_of(name: &str) -> Option<Digest> {
    if let Some(blob) = name.strip_prefix("blobs/") {
        return blob.replace('/', ":").parse().ok();
    }
    let (hex, _) = name.split_once('.')?;
    format!("sha256:{hex}").parse().ok()
}
