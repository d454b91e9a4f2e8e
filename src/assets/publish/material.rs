//! The file that is uploaded for an asset, made on this machine.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::tarball::loaded_by;
use super::zip::zip;
use crate::archive::{self, Archive, Compression};
use crate::assets::build::{Program, blocking};
use crate::assets::login::{BuildLogins, Reader};
use crate::assets::{Builder, Cache, Error, Report, Source, build};
use crate::content::FileObject;

/// A command that takes longer is given up.
const WITHIN: Duration = Duration::from_hours(4);

/// A file, and what it is.
pub(super) struct Material {
    pub(super) path: PathBuf,
    /// Which image of an archive.
    pub(super) selector: Option<String>,
    pub(super) content_type: String,
    /// The folder that the file is in, if nobody else needs it.
    _folder: Option<TempDir>,
}

impl Material {
    fn at(path: PathBuf) -> Self {
        Self {
            path,
            selector: None,
            content_type: "application/x-tar".to_owned(),
            _folder: None,
        }
    }
}

/// Returns true if an asset takes a builder or a command of its own.
pub(super) fn takes_builder(source: &Source) -> bool {
    match source {
        Source::Build(_) | Source::FileCommand { .. } => true,
        Source::ImageCommand { command, .. } => loaded_by(command).is_none(),
        Source::File { .. } => false,
    }
}

/// Makes what is uploaded.
pub(super) async fn make(
    id: &str,
    source: &Source,
    cache: &Cache,
    logins: &BuildLogins<'_>,
    report: Report<'_>,
) -> Result<Material, Error> {
    match source {
        Source::Build(asset) => {
            let built = build(id, asset, cache, logins, report).await?;
            Ok(Material::at(built.archive))
        }
        Source::ImageCommand { command, directory } => match loaded_by(command) {
            Some(tarball) => tarball_at(directory.join(tarball)).await,
            None => image_of(command, directory, cache, logins, report).await,
        },
        Source::File { path, zip: false } => file_at(path.clone()),
        Source::File { path, zip: true } => zip_of(path.clone(), cache).await,
        Source::FileCommand { command } => {
            let path = last_line(command, Path::new("."), &[], "a file", report).await?;
            Ok(Material {
                content_type: "application/zip".to_owned(),
                ..Material::at(path.into())
            })
        }
    }
}

/// Of several images in a tarball, the last: what `docker load` says last is what CDK takes.
async fn tarball_at(path: PathBuf) -> Result<Material, Error> {
    let object = FileObject::open(&path).await?;
    let selected = async {
        let archive = Archive::open(Arc::new(object)).await?;
        archive.select(None, Compression::default()).await
    };
    let selector = match selected.await {
        Ok(_) => None,
        Err(archive::Error::Ambiguous { choices }) => Some(format!("@{}", choices.count() - 1)),
        Err(source) => {
            return Err(Error::Tarball {
                path,
                source: Box::new(source),
            });
        }
    };
    Ok(Material {
        selector,
        ..Material::at(path)
    })
}

/// Runs a command that leaves an image with the builder and says its name. The builder that it runs
/// is logged in to where the image goes; what it pulls is not known.
async fn image_of(
    command: &[String],
    directory: &Path,
    cache: &Cache,
    logins: &BuildLogins<'_>,
    report: Report<'_>,
) -> Result<Material, Error> {
    let configuration = logins.configure(&BTreeSet::new(), Reader::Any).await?;
    let variables = configuration.as_ref();
    let variables = variables.map_or(&[][..], |configuration| &configuration.variables);
    let image = last_line(command, directory, variables, "an image", report).await?;
    drop(configuration);
    let folder = cache.folder()?;
    let path = folder.path().join("image.tar");
    let builder = Builder::find().await?;
    builder.save(&image, &path, report).await?;
    Ok(Material {
        _folder: Some(folder),
        ..Material::at(path)
    })
}

/// Returns the last line that a command prints.
async fn last_line(
    command: &[String],
    directory: &Path,
    variables: &[(&'static str, PathBuf)],
    expected: &'static str,
    report: Report<'_>,
) -> Result<String, Error> {
    let [name, arguments @ ..] = command else {
        return Err(Error::PrintedNothing {
            program: String::new(),
            expected,
        });
    };
    let arguments: Vec<OsString> = arguments.iter().map(Into::into).collect();
    let program = Program {
        name: name.as_ref(),
        arguments: &arguments,
        directory,
        variables,
        within: WITHIN,
    };
    let lines = program.run(report).await?;
    let line = lines.last().map(|line| line.trim().to_owned());
    line.ok_or_else(|| Error::PrintedNothing {
        program: name.clone(),
        expected,
    })
}

fn file_at(path: PathBuf) -> Result<Material, Error> {
    if path.is_dir() {
        return Err(Error::Directory { path });
    }
    let content_type = mime_guess::from_path(&path).first_or_octet_stream();
    Ok(Material {
        content_type: content_type.essence_str().to_owned(),
        ..Material::at(path)
    })
}

async fn zip_of(directory: PathBuf, cache: &Cache) -> Result<Material, Error> {
    let folder = cache.folder()?;
    let path = folder.path().join("files.zip");
    let archive = path.clone();
    blocking(move || zip(&directory, &archive)).await?;
    Ok(Material {
        content_type: "application/zip".to_owned(),
        _folder: Some(folder),
        ..Material::at(path)
    })
}
