//! Directories as zip archives, as CDK makes them: regular files only, links followed, all of one
//! time.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::assets::Error;

/// The least size of a file for which the archive needs the long form.
const LARGE: u64 = 0xffff_ffff;

/// Writes what is in `directory` to a zip archive.
pub(super) fn zip(directory: &Path, archive: &Path) -> Result<(), Error> {
    let failed = |error| Error::write(archive, error);
    let mut zip = ZipWriter::new(File::create(archive).map_err(failed)?);
    let mut files = Vec::new();
    list(directory, "", &mut HashSet::new(), &mut files)?;
    for (name, path) in files {
        let unread = |error| Error::read(&path, error);
        let mut file = File::open(&path).map_err(unread)?;
        let metadata = file.metadata().map_err(unread)?;
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(DateTime::default())
            .large_file(metadata.len() >= LARGE)
            .unix_permissions(metadata.permissions().mode());
        zip.start_file(name, options)
            .map_err(|error| failed(error.into()))?;
        io::copy(&mut file, &mut zip).map_err(unread)?;
    }
    let written = zip.finish().map_err(|error| failed(error.into()))?;
    written.sync_all().map_err(failed)
}

/// The regular files below `directory` with their names in the archive, by name. A link that leads
/// back to a directory above it ends there.
fn list(
    directory: &Path,
    prefix: &str,
    above: &mut HashSet<PathBuf>,
    files: &mut Vec<(String, PathBuf)>,
) -> Result<(), Error> {
    let failed = |error| Error::read(directory, error);
    let place = fs::canonicalize(directory).map_err(failed)?;
    if !above.insert(place.clone()) {
        return Ok(());
    }
    let entries = fs::read_dir(directory).map_err(failed)?;
    let mut entries: Vec<_> = entries.collect::<Result<_, _>>().map_err(failed)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let name = entry.file_name().into_string();
        let name = name.map_err(|_| Error::Name { path: path.clone() })?;
        let name = format!("{prefix}{name}");
        // A link that leads nowhere is no file.
        let Ok(metadata) = fs::metadata(&path) else {
            continue;
        };
        if metadata.is_dir() {
            list(&path, &format!("{name}/"), above, files)?;
        } else if metadata.is_file() {
            files.push((name, path));
        }
    }
    above.remove(&place);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::fs::symlink;

    #[test]
    fn files_are_there_whatever_leads_to_them() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("in/ü/empty")).unwrap();
        fs::create_dir(at("out")).unwrap();
        fs::write(at("in/ü/a"), "a").unwrap();
        fs::write(at("in/.hidden"), "").unwrap();
        fs::write(at("out/b"), "b").unwrap();
        fs::set_permissions(at("out/b"), fs::Permissions::from_mode(0o755)).unwrap();
        symlink("../out", at("in/link")).unwrap();
        symlink("..", at("in/ü/loop")).unwrap();
        symlink("nowhere", at("in/broken")).unwrap();
        zip(&at("in"), &at("one.zip")).unwrap();
        zip(&at("in"), &at("two.zip")).unwrap();
        assert_eq!(
            fs::read(at("one.zip")).unwrap(),
            fs::read(at("two.zip")).unwrap()
        );

        let mut archive = zip::ZipArchive::new(File::open(at("one.zip")).unwrap()).unwrap();
        let names: Vec<_> = archive
            .file_names()
            .map(|name| name.unwrap().into_owned())
            .collect();
        assert_eq!(names, [".hidden", "link/b", "ü/a"]);
        let mut file = archive.by_name("link/b").unwrap();
        assert_eq!(file.unix_mode().unwrap() & 0o777, 0o755);
        assert_eq!(file.last_modified().unwrap(), DateTime::default());
        let mut content = String::new();
        file.read_to_string(&mut content).unwrap();
        assert_eq!(content, "b");
    }
}
