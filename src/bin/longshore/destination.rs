//! Destinations as people type them: repositories, and files.

use std::path::Path;

use longshore::deploy::{Form, ImageFile, Location};
use longshore::oci::Reference;
use longshore::redact::without_credentials;

use crate::access::{Side, role_arn};
use crate::names;

/// The place where an image goes.
#[derive(Clone, Debug)]
pub(crate) enum Destination {
    /// A repository of a registry.
    Repository(Reference),
    /// An archive, or a directory with a layout.
    File(ImageFile),
}

const FORMS: [Form; 3] = [Form::Layout, Form::OciArchive, Form::DockerArchive];

/// Reads a destination.
pub(crate) fn read(text: &str) -> Result<Destination, String> {
    if FORMS.iter().any(|form| text.starts_with(form.prefix())) {
        return names::told(text.parse()).map(Destination::File);
    }
    if let Some(meant) = elsewhere(text).or_else(|| meant_file(text)) {
        return Err(meant);
    }
    names::destination(text).map(Destination::Repository)
}

/// The options that follow a destination, each after a comma.
const OPTIONS: [&str; 3] = [",role=", ",external-id=", ",credentials="];

/// Reads a destination with the way in which it is reached.
pub(crate) fn read_with_side(text: &str) -> Result<(Destination, Side), String> {
    let starts = |text: &str| {
        let found = OPTIONS.iter().filter_map(|option| text.find(option));
        found.min().unwrap_or(text.len())
    };
    let (destination, mut rest) = text.split_at(starts(text));
    let destination = read(destination)?;
    let mut side = Side::default();
    while let Some((name, after)) = rest.split_once('=') {
        let (value, next) = after.split_at(starts(after));
        match name {
            ",role" => side.role = Some(role_arn(value)?),
            ",external-id" => side.external_id = Some(value.to_owned()),
            _ => side.credentials = Some(value.parse()?),
        }
        rest = next;
    }
    if side.external_id.is_some() && side.role.is_none() {
        return Err("an external-id is for a role: name that, too".to_owned());
    }
    let has_side = side.role.is_some() || side.credentials.is_some();
    if has_side && matches!(destination, Destination::File(_)) {
        return Err("a file is reached without a role and without credentials".to_owned());
    }
    Ok((destination, side))
}

/// The command that brings an archive to where Longshore does not write.
fn elsewhere(text: &str) -> Option<String> {
    let engines = [
        ("docker-daemon:", "docker load"),
        ("containers-storage:", "podman load"),
    ];
    let mut loads = engines.iter();
    let load = loads.find_map(|(prefix, load)| Some((text.strip_prefix(prefix)?, load)));
    if let Some((name, load)) = load {
        return Some(format!(
            "a container engine loads images from stdin: `longshore copy … docker-archive:-:{name} \
             | {load}`"
        ));
    }
    if text.starts_with("s3://") {
        let object = without_credentials(text);
        return Some(format!(
            "an archive goes to S3 by AWS's own command: `longshore copy … oci-archive:- | aws s3 \
             cp - {object}`"
        ));
    }
    let path = text.strip_prefix("dir:")?;
    Some(format!(
        "only skopeo reads its dir: layout: write an OCI layout with oci:{path}"
    ))
}

/// What was meant by the path of a file.
fn meant_file(text: &str) -> Option<String> {
    let path = text.strip_prefix("file://").unwrap_or(text);
    let is_path = path != text || text.starts_with(['.', '/']) || text == "-";
    let has_ending = ["tar", "tgz", "gz", "zst"].iter().any(|ending| {
        let extension = Path::new(text).extension();
        extension.is_some_and(|extension| extension == *ending)
    });
    if !is_path && !has_ending {
        return None;
    }
    Some(format!(
        "a file is written docker-archive:{path} (for docker load) or oci-archive:{path}, a \
         directory oci:{path}"
    ))
}

/// Returns true if an archive is written while it is read.
pub(crate) fn is_source(file: &ImageFile, source: &Location) -> bool {
    let (Location::File(at), Some(path)) = (source, &file.path) else {
        return false;
    };
    match (at.path.canonicalize(), path.canonicalize()) {
        (Ok(source), Ok(destination)) => source == destination && source.is_file(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_told_from_a_repository() {
        for text in ["oci:a:1.0", "oci-archive:-", "docker-archive:a.tar:app:1"] {
            assert!(matches!(read(text), Ok(Destination::File(_))), "{text}");
        }
        let repository = read("localhost:5000/app.tar/x:1");
        assert!(matches!(repository, Ok(Destination::Repository(_))));
        for (text, part) in [
            (
                "docker-daemon:app:1",
                "docker-archive:-:app:1 | docker load",
            ),
            (
                "containers-storage:app:1",
                "docker-archive:-:app:1 | podman load",
            ),
            (
                "s3://b/app.tar",
                "oci-archive:- | aws s3 cp - s3://b/app.tar",
            ),
            ("dir:app", "with oci:app"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
        for text in [
            "app.tar",
            "./out",
            "/tmp/app",
            "-",
            "file:///tmp/a",
            "a.tgz",
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains("oci-archive:"), "{text}: {error}");
        }
    }
}
