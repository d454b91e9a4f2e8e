//! `manifest.json` of an archive that `docker load` takes.

use serde_json::{Value, json};

use super::WriteError;
use super::tar::Tar;
use crate::oci::{ImageManifest, Manifest, RawManifest};

/// The list of images, to which one is added under its names.
pub(super) fn list(
    mut images: Vec<Value>,
    root: &RawManifest,
    names: &[String],
    blobs: &Tar,
) -> Result<Vec<u8>, WriteError> {
    let image = image_of(root)?;
    let layers = image.layers.iter().map(|layer| {
        let stored = blobs.entry_of(&layer.digest);
        stored.ok_or_else(|| WriteError::ForeignLayer(layer.digest.clone()))
    });
    let layers: Vec<String> = layers.collect::<Result<_, _>>()?;
    let config = blobs.entry_of(&image.config.digest);
    for other in &mut images {
        if let Some(tags) = other["RepoTags"].as_array_mut() {
            tags.retain(|tag| {
                tag.as_str()
                    .is_none_or(|tag| !names.iter().any(|n| n == tag))
            });
        }
    }
    let same = |other: &&mut Value| {
        let config = config.as_deref();
        other["Config"].as_str() == config && other["Layers"] == json!(layers)
    };
    if let Some(same) = images.iter_mut().find(same) {
        let mut tags = same["RepoTags"].as_array().cloned().unwrap_or_default();
        tags.extend(names.iter().map(|name| json!(name)));
        same["RepoTags"] = json!(tags);
    } else {
        images.push(json!({"Config": config, "RepoTags": names, "Layers": layers}));
    }
    Ok(Value::Array(images).to_string().into_bytes())
}

/// The image of a manifest, if Docker can load it.
pub(super) fn image_of(root: &RawManifest) -> Result<ImageManifest, WriteError> {
    match root.parse() {
        Ok(Manifest::Image(image)) if image.subject.is_some() => {
            Err(WriteError::NoImage("what refers to an image"))
        }
        Ok(Manifest::Image(image)) if image.config.media_type.is_image_config() => Ok(image),
        Ok(Manifest::Index(_)) => Err(WriteError::NoImage("several platforms")),
        _ => Err(WriteError::NoImage("an artifact")),
    }
}
