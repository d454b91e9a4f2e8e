//! Sources and destinations as people type them: a mistake is told with the form that was meant.

use std::path::Path;

use longshore::deploy::{Location, is_in_ecr, repository_named};
use longshore::oci::{Reference, Repository};
use longshore::redact::without_credentials;

/// The way in which the hosts of registries begin that people paste from a browser.
const WEB: [&str; 2] = ["https://", "http://"];
/// The place where container engines keep images, as skopeo names it, and the command that writes
/// an archive.
const ENGINES: [(&str, &str); 2] = [
    ("docker-daemon:", "docker save"),
    ("containers-storage:", "podman save"),
];
const ARCHIVES: [&str; 3] = ["docker-archive:", "oci-archive:", "oci:"];

/// Reads a source.
pub(crate) fn source(text: &str) -> Result<Location, String> {
    if let Some(reference) = pasted(text).filter(|reference| is_in_ecr(reference.repository())) {
        return Err(format!(
            "an image of a registry is named without https://: {reference}"
        ));
    }
    if let Some(meant) = ARCHIVES.iter().find_map(|prefix| skopeos(text, prefix)) {
        return Err(meant);
    }
    let elsewhere = engines_image(text).or_else(|| dir_layout(text));
    if let Some(meant) = elsewhere.or_else(|| ecr_arn(text)) {
        return Err(meant);
    }
    if let Some(stdin) = stdin(text) {
        return stdin.parse().map_err(|error| chain(&error));
    }
    let location = text.parse().map_err(|error| chain(&error));
    if let Some(meant) = file(text).filter(|_| !matches!(location, Ok(Location::S3(_)))) {
        return Err(meant);
    }
    if let Some(meant) = missing_file(text).or_else(|| bare_host(text)) {
        return Err(meant);
    }
    location
}

/// Reads a destination, which names its registry.
pub(crate) fn destination(text: &str) -> Result<Reference, String> {
    if let Some(reference) = pasted(text) {
        return Err(format!(
            "an image of a registry is named without https://: {reference}"
        ));
    }
    let bare = text.strip_prefix("docker://").unwrap_or(text);
    if let Some(meant) = ecr_arn(text).or_else(|| bare_host(bare)) {
        return Err(meant);
    }
    let reference: Reference = text.parse().map_err(|error| chain(&error))?;
    let first = bare.split('/').next().unwrap_or_default();
    let host = first.split(':').next().unwrap_or_default();
    let is_hub = reference.repository().registry() == "docker.io";
    if is_hub && !host.contains("docker.io") && host != "registry.hub.docker.com" {
        return Err(format!(
            "it names no registry: expected HOST/NAME[:TAG], such as \
             123456789012.dkr.ecr.eu-west-1.amazonaws.com/{bare}, or {reference} for Docker Hub"
        ));
    }
    Ok(reference)
}

/// Reads the repository whose tags are listed.
pub(crate) fn repository(text: &str) -> Result<Repository, String> {
    if text.starts_with("arn:") {
        return told(repository_named(text, None));
    }
    let Location::Registry(reference) = source(text)? else {
        return Err("expected a repository of a registry: HOST/NAME".to_owned());
    };
    if reference.tag().is_some() || reference.digest().is_some() {
        let repository = reference.repository();
        return Err(format!(
            "tags are those of a repository: expected {repository} without a tag or a digest"
        ));
    }
    Ok(reference.repository().clone())
}

/// Reads an image that is deleted: by a tag or by a digest, and never by what goes without saying.
pub(crate) fn deletable(text: &str) -> Result<Reference, String> {
    if is_archive(text) || text.starts_with("s3://") {
        return Err("only images of registries are deleted: expected HOST/NAME:TAG".to_owned());
    }
    let reference = destination(text)?;
    match (reference.tag(), reference.digest()) {
        (None, None) => Err(format!(
            "it names neither a tag nor a digest: {reference}:TAG deletes a tag, \
             {reference}@DIGEST the image with all its tags"
        )),
        (Some(_), Some(digest)) => {
            let repository = reference.repository();
            Err(format!(
                "it names a tag and a digest, of which one is deleted: expected {repository}:TAG or \
                 {repository}@{digest}"
            ))
        }
        _ => Ok(reference),
    }
}

/// Reads a registry that is logged in to.
pub(crate) fn registry(text: &str) -> Result<String, String> {
    let bare = WEB.iter().find_map(|scheme| text.strip_prefix(scheme));
    let host = bare.unwrap_or(text);
    let host = host.strip_suffix('/').unwrap_or(host);
    let host = host.strip_suffix("/v1").unwrap_or(host);
    let host = host.strip_suffix("/v2").unwrap_or(host);
    if host.contains('@') {
        return Err("a user is given by --username, a password over stdin".to_owned());
    }
    if let Some((host, _)) = host.split_once('/') {
        return Err(format!(
            "a login is for a registry, not for a repository: expected {host}"
        ));
    }
    let name = host.split(':').next().unwrap_or_default();
    let is_host =
        name.contains('.') || name == "localhost" || name != host || host.starts_with('[');
    if !is_host {
        return Err(
            "it names no registry: expected its host, such as quay.io, or docker.io for Docker Hub"
                .to_owned(),
        );
    }
    let image = told(format!("{host}/app").parse::<Reference>())?;
    Ok(image.repository().registry().to_owned())
}

/// The command that reads an image of a container engine.
fn engines_image(text: &str) -> Option<String> {
    ENGINES.iter().find_map(|(prefix, save)| {
        let image = text.strip_prefix(prefix)?;
        Some(format!(
            "images of a container engine come over stdin: `{save} {image} | longshore …`, with \
             docker-archive:- as the source"
        ))
    })
}

/// The command that makes an archive of skopeo's `dir:` layout. Without a folder of that name, it
/// is an image that is called `dir`.
fn dir_layout(text: &str) -> Option<String> {
    let path = text.strip_prefix("dir:")?;
    let is_path = path.contains('/') || Path::new(path).exists();
    is_path.then(|| {
        format!(
            "only skopeo reads its dir: layout: write an archive from it with `skopeo copy {text} \
             oci-archive:FILE`"
        )
    })
}

/// The name of a repository that is given by its ARN.
fn ecr_arn(text: &str) -> Option<String> {
    if !text.starts_with("arn:") {
        return None;
    }
    let repository = repository_named(text, None).ok()?;
    Some(format!(
        "a repository is named by its URI, not by its ARN: {repository}"
    ))
}

/// What was meant by a registry's host alone. Images of Docker Hub have no dot in such a name.
fn bare_host(text: &str) -> Option<String> {
    let host = text.strip_suffix('/').unwrap_or(text);
    let name = host.split([':', '@']).next().unwrap_or_default();
    let is_host = name.contains('.') || name == "localhost";
    let is_bare = !host.contains('/') && is_host && !is_archive(text);
    is_bare.then(|| format!("it names no repository: expected {host}/NAME[:TAG]"))
}

/// What was meant by the path of an archive that is not there.
fn missing_file(text: &str) -> Option<String> {
    let path = text.strip_prefix("file://").unwrap_or(text);
    let is_bare = !text.contains("://") && !is_archive(text);
    let is_path = path != text || is_bare && has_archives_ending(text);
    if !is_path {
        return None;
    }
    let other = if path == text {
        format!("; an image of that name is docker://{text}")
    } else {
        String::new()
    };
    let there = if Path::new(path).exists() { "a" } else { "no" };
    Some(format!(
        "there is {there} file of that name: an archive is written docker-archive:{path}{other}"
    ))
}

/// A source that comes over stdin, which is written `-` for a path.
fn stdin(text: &str) -> Option<String> {
    ["docker-archive:", "oci-archive:"]
        .iter()
        .find_map(|prefix| {
            let rest = text.strip_prefix(prefix)?.strip_prefix('-')?;
            let is_whole = rest.is_empty() || rest.starts_with('#');
            is_whole.then(|| format!("{prefix}{}{rest}", crate::stdin::PATH))
        })
}

/// The image that a web address names, if it is none of an archive.
fn pasted(text: &str) -> Option<Reference> {
    let rest = WEB.iter().find_map(|scheme| text.strip_prefix(scheme))?;
    rest.parse().ok()
}

/// What was meant by `docker-archive:PATH:REFERENCE`, as skopeo has it.
fn skopeos(text: &str, prefix: &str) -> Option<String> {
    let rest = text.strip_prefix(prefix)?;
    if Path::new(rest.split('#').next()?).exists() {
        return None;
    }
    let (path, name) = rest.match_indices(':').find_map(|(at, _)| {
        let (path, name) = rest.split_at(at);
        Path::new(path).exists().then_some((path, &name[1..]))
    })?;
    Some(format!(
        "an image of an archive is chosen after a #: {prefix}{path}#{name}"
    ))
}

/// What was meant by the path of a file or folder.
fn file(text: &str) -> Option<String> {
    if text.contains("://") || is_archive(text) {
        return None;
    }
    let before = text.match_indices(':');
    let before = before.map(|(at, _)| (&text[..at], Some(&text[at + 1..])));
    let (path, name) = std::iter::once((text, None))
        .chain(before)
        .find(|(path, _)| is_there(path))?;
    let prefix = if Path::new(path).is_dir() {
        "oci:"
    } else {
        "docker-archive:"
    };
    let selector = name.map(|name| format!("#{name}")).unwrap_or_default();
    Some(format!(
        "there is a file of that name: write {prefix}{path}{selector}, or docker://{text} for an \
         image"
    ))
}

/// Returns true if a text says itself that it is an archive.
fn is_archive(text: &str) -> bool {
    ARCHIVES.iter().any(|prefix| text.starts_with(prefix))
}

/// Returns true if a text rather names a file or a folder that is there than an image: it is
/// written as a path, or the folder is an OCI layout.
fn is_there(text: &str) -> bool {
    let path = Path::new(text);
    let is_written_so = text.contains('/') || has_archives_ending(text);
    is_written_so && path.exists() || path.join("oci-layout").is_file()
}

fn has_archives_ending(text: &str) -> bool {
    let endings = [".tar", ".tgz", ".gz", ".zst", ".xz", ".bz2"];
    endings.iter().any(|ending| text.ends_with(ending))
}

/// The sentence of a text that names nothing, with its causes.
pub(crate) fn told<T>(read: Result<T, impl std::error::Error + 'static>) -> Result<T, String> {
    read.map_err(|error| chain(&error))
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<_> = causes.map(ToString::to_string).collect();
    without_credentials(&texts.join(": "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_names_its_registry_and_a_repository() {
        for (text, part) in [
            ("myrepo:1", "names no registry"),
            ("team/app:1", "names no registry"),
            (
                "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
                "names no repository",
            ),
            (
                "123456789012.dkr.ecr.eu-west-1.amazonaws.com:1",
                "names no repository",
            ),
            (
                "123456789012.dkr.ecr.eu-west-1.amazonaws.com/",
                "names no repository",
            ),
            ("localhost:5000", "expected localhost:5000/NAME[:TAG]"),
            (
                "arn:aws:ecr:eu-west-1:123456789012:repository/team/app",
                "not by its ARN: 123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app",
            ),
            (
                "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:1",
                "without https://: 123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:1",
            ),
        ] {
            let error = destination(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
        for text in [
            "docker.io/team/app:1",
            "docker://docker.io/app",
            "index.docker.io/team/app",
            "localhost:5000/app:1",
            "localhost/app",
            "registry:5000/app",
            "quay.io/team/app@sha256:0000000000000000000000000000000000000000000000000000000000000000",
        ] {
            destination(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        }
    }

    #[test]
    fn a_source_that_is_a_file_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join("app.tar");
        std::fs::write(&archive, "").unwrap();
        let (folder, archive) = (folder.path().display(), archive.display());
        for (text, meant) in [
            (
                format!("{archive}"),
                format!("write docker-archive:{archive}"),
            ),
            (
                format!("{archive}:app:1"),
                format!("docker-archive:{archive}#app:1"),
            ),
            (
                format!("{archive}:latest"),
                format!("docker-archive:{archive}#latest"),
            ),
            (format!("{folder}"), format!("write oci:{folder}")),
            (
                format!("docker-archive:{archive}:app:1"),
                format!("docker-archive:{archive}#app:1"),
            ),
            (
                format!("file://{archive}"),
                format!("docker-archive:{archive}"),
            ),
            (
                "no-such.tar".to_owned(),
                "no file of that name: an archive is written docker-archive:no-such.tar; an image \
                 of that name is docker://no-such.tar"
                    .to_owned(),
            ),
            (
                "123456789012.dkr.ecr.eu-west-1.amazonaws.com".to_owned(),
                "names no repository".to_owned(),
            ),
            (
                "quay.io:443".to_owned(),
                "expected quay.io:443/NAME[:TAG]".to_owned(),
            ),
            (
                "arn:aws-cn:ecr:cn-north-1:123456789012:repository/app".to_owned(),
                "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/app".to_owned(),
            ),
            (format!("oci:{folder}:1.0"), format!("oci:{folder}#1.0")),
            (
                "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:1".to_owned(),
                "without https://".to_owned(),
            ),
            (
                format!("dir:{folder}"),
                format!("`skopeo copy dir:{folder} oci-archive:FILE`"),
            ),
            (
                "docker-daemon:app:1".to_owned(),
                "`docker save app:1 | longshore …`, with docker-archive:-".to_owned(),
            ),
            (
                "containers-storage:localhost/app:1".to_owned(),
                "`podman save localhost/app:1 |".to_owned(),
            ),
        ] {
            let error = source(&text).unwrap_err();
            assert!(error.contains(&meant), "{text}: {error}");
        }
        for text in [
            format!("docker-archive:{archive}"),
            format!("docker-archive:{archive}#app:1"),
            "docker-archive:no/such.tar".to_owned(),
            "nginx:1.27".to_owned(),
            "docker://no-such.tar".to_owned(),
            "localhost:5000/app".to_owned(),
            "s3://bucket/app.tar".to_owned(),
            "https://files.example/app.tar".to_owned(),
        ] {
            source(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        }
    }
}
