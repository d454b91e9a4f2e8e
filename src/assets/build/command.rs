//! The command line of each builder.

use std::ffi::OsString;
use std::path::Path;

use super::builder::{Builder, Kind};
use super::context::Context;
use crate::assets::{Error, ImageAsset};

/// The commands that are run in turn to build an image and to write it to an archive.
#[derive(Debug)]
pub(super) struct Plan {
    /// Succeeds where the image is there already: then `build` is left out.
    pub(super) look: Option<Vec<OsString>>,
    /// Run first, and may fail.
    pub(super) prepare: Option<Vec<OsString>>,
    pub(super) build: Vec<OsString>,
    /// Not there where `build` writes the archive.
    pub(super) save: Option<Vec<OsString>>,
}

/// Plans to build an image under `name`, which is also what CDK calls it, and to write it to
/// `archive`.
pub(super) fn plan(
    builder: &Builder,
    asset: &ImageAsset,
    context: &Context,
    name: &str,
    archive: &Path,
) -> Result<Plan, Error> {
    let options = options(builder, asset, context);
    let build = |arguments: Vec<OsString>| {
        let context = [context.directory().into()];
        arguments
            .into_iter()
            .chain(options)
            .chain(context)
            .collect()
    };
    if asset.platforms.len() > 1 {
        return index(builder, name, archive, build);
    }
    let (look, build) = match builder.kind {
        Kind::Buildx => (
            words(&["image", "inspect", name]),
            build(words(&["buildx", "build", "--load", "--tag", name])),
        ),
        Kind::Docker | Kind::Nerdctl => (
            words(&["image", "inspect", name]),
            build(words(&["build", "--tag", name])),
        ),
        Kind::Podman => (
            words(&["image", "exists", name]),
            build(words(&["build", "--tag", name])),
        ),
        Kind::Buildah => (
            words(&["inspect", "--type", "image", name]),
            build(words(&["build", "--tag", name])),
        ),
    };
    Ok(Plan {
        look: (!asset.no_cache).then_some(look),
        prepare: None,
        build,
        save: Some(save(builder.kind, name, archive)),
    })
}

/// Several platforms make one index, which only an OCI archive holds.
fn index(
    builder: &Builder,
    name: &str,
    archive: &Path,
    build: impl FnOnce(Vec<OsString>) -> Vec<OsString>,
) -> Result<Plan, Error> {
    let output = || {
        let mut output = OsString::from("type=oci,dest=");
        output.push(archive);
        ["--output".into(), output]
    };
    let (command, lists) = match builder.kind {
        Kind::Buildx => (words(&["buildx", "build"]), false),
        Kind::Nerdctl => (words(&["build"]), false),
        Kind::Podman | Kind::Buildah => (words(&["build", "--manifest", name]), true),
        Kind::Docker => return Err(Error::NoBuildx),
    };
    if lists {
        let mut save = words(&["manifest", "push", "--all", name]);
        save.push(transport("oci-archive:", archive));
        return Ok(Plan {
            look: None,
            prepare: Some(words(&["manifest", "rm", name])),
            build: build(command),
            save: Some(save),
        });
    }
    Ok(Plan {
        look: None,
        prepare: None,
        build: build(command.into_iter().chain(output()).collect()),
        save: None,
    })
}

fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(Into::into).collect()
}

/// Writes an image to an archive.
pub(super) fn save(kind: Kind, image: &str, archive: &Path) -> Vec<OsString> {
    let mut save = match kind {
        Kind::Buildah => words(&["push", "--quiet", image]),
        Kind::Podman => words(&["save", "--quiet", "--format", "docker-archive", "--output"]),
        Kind::Buildx | Kind::Docker | Kind::Nerdctl => words(&["save", "--output"]),
    };
    match kind {
        Kind::Buildah => save.push(transport("docker-archive:", archive)),
        _ => save.extend([archive.into(), image.into()]),
    }
    save
}

fn transport(transport: &str, archive: &Path) -> OsString {
    let mut destination = OsString::from(transport);
    destination.push(archive);
    destination
}

/// The options that all builders share.
fn options(builder: &Builder, asset: &ImageAsset, context: &Context) -> Vec<OsString> {
    let mut options = Options::default();
    for (name, value) in &asset.build_args {
        options.add("--build-arg", format!("{name}={value}"));
    }
    for (name, value) in &asset.build_contexts {
        options.add("--build-context", format!("{name}={value}"));
    }
    for (name, value) in &asset.build_secrets {
        options.add("--secret", format!("id={name},{value}"));
    }
    options.add_given("--ssh", asset.build_ssh.as_ref());
    options.add_given("--target", asset.target.as_ref());
    options.add_given("--network", asset.network.as_ref());
    if !asset.platforms.is_empty() {
        options.add("--platform", asset.platforms.join(","));
    }
    for output in &asset.outputs {
        options.add("--output", output);
    }
    for cache in &asset.cache_from {
        options.add("--cache-from", cache);
    }
    options.add_given("--cache-to", asset.cache_to.as_ref());
    let is_podman = matches!(builder.kind, Kind::Podman | Kind::Buildah);
    if asset.no_cache || (is_podman && misleads_podman(asset)) {
        options.0.push("--no-cache".into());
    }
    options.add("--file", context.dockerfile());
    if is_podman {
        options.add("--ignorefile", context.nothing_ignored());
    }
    options.0
}

/// Returns true if Podman's or Buildah's cache may have another image's layers for an asset.
/// Versions such as Buildah 1.28 take them for another platform, and for other values of build
/// arguments that only `LABEL`, `EXPOSE`, `VOLUME` or `STOPSIGNAL` use.
fn misleads_podman(asset: &ImageAsset) -> bool {
    !asset.platforms.is_empty() || !asset.build_args.is_empty()
}

#[derive(Default)]
struct Options(Vec<OsString>);

impl Options {
    fn add(&mut self, name: &str, value: impl Into<OsString>) {
        self.0.extend([name.into(), value.into()]);
    }

    fn add_given(&mut self, name: &str, value: Option<&String>) {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            self.add(name, value);
        }
    }
}
