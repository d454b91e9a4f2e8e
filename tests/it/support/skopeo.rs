//! `skopeo`, another implementation of what Longshore does.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::docker_registry::{DockerRegistry, PASSWORD};
use super::process::output;

/// What `skopeo inspect` shows of an image.
pub(crate) fn inspect(registry: &DockerRegistry, image: &str) -> Value {
    inspect_with(registry, image, &[])
}

/// The diff IDs of an image's layers.
pub(crate) fn diff_ids(registry: &DockerRegistry, image: &str) -> Value {
    inspect_with(registry, image, &["--config"])["rootfs"]["diff_ids"].clone()
}

/// Copies an archive of `docker save` to a registry.
pub(crate) fn copy_archive(archive: &Path, registry: &DockerRegistry, image: &str) {
    output(
        skopeo()
            .args(["copy", "--dest-tls-verify=false", "--dest-creds"])
            .arg(format!("AWS:{PASSWORD}"))
            .arg(format!("docker-archive:{}", archive.display()))
            .arg(registry.skopeo_name(image)),
    );
}

/// Copies all of an image, as `skopeo` names both ends, with the password of the registries here.
pub(crate) fn copy_all(source: &str, destination: &str) {
    let credentials = format!("AWS:{PASSWORD}");
    let mut command = skopeo();
    command.args(["copy", "--all", "--quiet", "--preserve-digests"]);
    command.args(["--src-tls-verify=false", "--dest-tls-verify=false"]);
    command.args(["--dest-creds", &credentials]);
    if source.starts_with("docker://") {
        command.args(["--src-creds", &credentials]);
    }
    output(command.args([source, destination]));
}

/// Copies an image of one platform, which may become one of OCI or Docker on the way.
pub(crate) fn copy_one(source: &str, destination: &str) {
    let credentials = format!("AWS:{PASSWORD}");
    let mut command = skopeo();
    command.args(["copy", "--quiet"]);
    command.args(["--src-tls-verify=false", "--dest-tls-verify=false"]);
    if destination.starts_with("docker://") {
        command.args(["--dest-creds", &credentials]);
    }
    if source.starts_with("docker://") {
        command.args(["--src-creds", &credentials]);
    }
    output(command.args([source, destination]));
}

/// The bytes of an image's config, as `skopeo` names the image.
pub(crate) fn config(image: &str) -> Vec<u8> {
    let mut command = skopeo();
    command.args(["inspect", "--raw", "--config", "--tls-verify=false"]);
    if image.starts_with("docker://") {
        command.args(["--creds", &format!("AWS:{PASSWORD}")]);
    }
    output(command.arg(image))
}

/// The bytes of an image's manifest.
pub(crate) fn manifest(registry: &DockerRegistry, image: &str) -> Vec<u8> {
    output(
        skopeo()
            .args(["inspect", "--raw", "--tls-verify=false", "--creds"])
            .arg(format!("AWS:{PASSWORD}"))
            .arg(registry.skopeo_name(image)),
    )
}

/// What `skopeo inspect` shows of an image in a registry that is open to everyone, under
/// `skopeo`'s own name for it.
pub(crate) fn inspect_anonymously(name: &str) -> Value {
    let inspected = output(
        skopeo()
            .args(["inspect", "--tls-verify=false", "--no-creds"])
            .arg(name),
    );
    serde_json::from_slice(&inspected).expect("skopeo prints JSON")
}

fn inspect_with(registry: &DockerRegistry, image: &str, options: &[&str]) -> Value {
    let inspected = output(
        skopeo()
            .args(["inspect", "--tls-verify=false", "--creds"])
            .arg(format!("AWS:{PASSWORD}"))
            .args(options)
            .arg(registry.skopeo_name(image)),
    );
    serde_json::from_slice(&inspected).expect("skopeo prints JSON")
}

fn skopeo() -> Command {
    Command::new("skopeo")
}
