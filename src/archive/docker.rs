//! Archives of `docker save`: `manifest.json` lists images by config and layers
//! ([Docker image specification v1.2](https://github.com/moby/docker-image-spec/blob/main/v1.2.md#combined-image-json--filesystem-changeset-format)).

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Deserializer};

use super::Error;
use super::choice::Choice;
use super::choose::choose;
use super::compression::Compression;
use super::layer::{Layer, digest_in_name};
use super::order::ArchiveOrder;
use super::selector::Selector;
use super::store::Store;
use crate::content::{Opener, Order, UnbuiltImage, UnbuiltLayer};
use crate::oci::{Digest, ImageConfig};

/// The file that lists the images.
pub(super) const MANIFEST: &str = "manifest.json";

/// The images of an archive.
pub(super) struct Docker {
    store: Arc<Store>,
    images: Vec<Image>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Image {
    config: String,
    #[serde(default, deserialize_with = "null_as_empty")]
    repo_tags: Vec<String>,
    #[serde(default, deserialize_with = "null_as_empty")]
    layers: Vec<String>,
}

/// An image's manifest where the list of images should be, as skopeo's `dir:` layout has it.
#[derive(Deserialize)]
struct ImageManifest {
    #[serde(rename = "schemaVersion")]
    _schema_version: u32,
}

fn no_list(bytes: &[u8], source: serde_json::Error) -> Error {
    if serde_json::from_slice::<ImageManifest>(bytes).is_ok() {
        return Error::DirLayout;
    }
    Error::Json {
        entry: MANIFEST.to_owned(),
        source,
    }
}

impl Docker {
    pub(super) async fn read(store: &Arc<Store>) -> Result<Self, Error> {
        let bytes = store.document(MANIFEST, "the archive").await?;
        let listed: Option<Vec<Image>> =
            serde_json::from_slice(&bytes).map_err(|source| no_list(&bytes, source))?;
        Ok(Self {
            store: Arc::clone(store),
            images: distinct(listed.unwrap_or_default()),
        })
    }

    /// The image that `selector` means.
    pub(super) async fn select(
        &self,
        selector: Option<&Selector>,
        compression: Compression,
    ) -> Result<UnbuiltImage, Error> {
        let choices: Vec<_> = self.images.iter().map(Image::choice).collect();
        let image = &self.images[choose(&choices, selector)?];
        self.unbuilt(image, compression).await
    }

    /// The image whose config has this digest, if the archive lists it.
    pub(super) async fn with_config(
        &self,
        digest: &Digest,
        compression: Compression,
    ) -> Option<Result<UnbuiltImage, Error>> {
        let has = |image: &&Image| image.id().as_ref() == Some(digest);
        let image = self.images.iter().find(has)?;
        Some(self.unbuilt(image, compression).await)
    }

    async fn unbuilt(
        &self,
        image: &Image,
        compression: Compression,
    ) -> Result<UnbuiltImage, Error> {
        let config = self.store.document(&image.config, MANIFEST).await?;
        if let Some(expected) = digest_in_name(&image.config) {
            let actual = Digest::sha256(&config);
            if actual != expected {
                let entry = image.config.clone();
                return Err(Error::Digest {
                    entry,
                    expected,
                    actual,
                });
            }
        }
        let parsed: ImageConfig =
            serde_json::from_slice(&config).map_err(|source| Error::Json {
                entry: image.config.clone(),
                source,
            })?;
        let diff_ids = parsed.rootfs.diff_ids;
        if diff_ids.len() != image.layers.len() {
            return Err(Error::LayerCount {
                manifest: MANIFEST.to_owned(),
                listed: image.layers.len(),
                config: diff_ids.len(),
            });
        }
        Ok(UnbuiltImage {
            config,
            order: self.order(&image.layers, &diff_ids),
            layers: self.layers(&image.layers, diff_ids, compression)?,
            tags: image.repo_tags.clone(),
        })
    }

    fn layers(
        &self,
        entries: &[String],
        diff_ids: Vec<Digest>,
        compression: Compression,
    ) -> Result<Vec<UnbuiltLayer>, Error> {
        // A layer that occurs twice is read, compressed and pushed once.
        let mut openers: HashMap<Digest, Arc<dyn Opener>> = HashMap::new();
        let mut layers = Vec::with_capacity(entries.len());
        for (entry, diff_id) in entries.iter().zip(diff_ids) {
            let layer = Layer {
                store: Arc::clone(&self.store),
                entry: entry.clone(),
                named_by: MANIFEST,
                diff_id: diff_id.clone(),
                compression,
                pushed: OnceLock::new(),
            };
            if let Some(file) = self.store.known_file(entry, MANIFEST)? {
                layer.pushed(file)?;
            }
            let opener = openers
                .entry(diff_id.clone())
                .or_insert_with(|| Arc::new(layer));
            layers.push(UnbuiltLayer {
                opener: Arc::clone(opener),
                diff_id,
            });
        }
        Ok(layers)
    }

    fn order(&self, entries: &[String], diff_ids: &[Digest]) -> Option<Arc<dyn Order>> {
        let mut first: HashMap<Digest, String> = HashMap::new();
        for (diff_id, entry) in diff_ids.iter().zip(entries) {
            first
                .entry(diff_id.clone())
                .or_insert_with(|| entry.clone());
        }
        let name = move |diff_id: &Digest| first.get(diff_id).cloned().unwrap_or_default();
        ArchiveOrder::of(&self.store, name)
    }

    /// Returns true if files of its images lie where those of a layout do: then there may be one,
    /// too.
    pub(super) fn is_beside_layout(&self) -> bool {
        let mut images = self.images.iter();
        images.any(|image| digest_in_name(&image.config).is_some())
    }
}

/// The images, each once with all its names: some tools list one for each name.
fn distinct(listed: Vec<Image>) -> Vec<Image> {
    let mut images: Vec<Image> = Vec::new();
    let mut positions: HashMap<u64, usize> = HashMap::new();
    for image in listed {
        let mut hasher = DefaultHasher::new();
        (&image.config, &image.layers).hash(&mut hasher);
        let position = *positions.entry(hasher.finish()).or_insert(images.len());
        match images.get_mut(position) {
            Some(known) if known.config == image.config && known.layers == image.layers => {
                known.repo_tags.extend(image.repo_tags);
            }
            _ => images.push(image),
        }
    }
    images
}

impl Image {
    fn choice(&self) -> Choice {
        Choice {
            names: self.repo_tags.clone(),
            digest: self.id(),
        }
    }

    /// The image ID, as the name of the config tells it: `<hex>.json`, `sha256:<hex>` or
    /// `blobs/sha256/<hex>`, by age and tool.
    fn id(&self) -> Option<Digest> {
        let name = self.config.rsplit('/').next()?;
        let name = name.strip_suffix(".json").unwrap_or(name);
        let hex = name.strip_prefix("sha256:").unwrap_or(name);
        format!("sha256:{hex}").parse().ok()
    }
}

fn null_as_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use serde_json::{Value, json};

    use super::*;
    use crate::archive::testing::{Tar, config, drain, gzip, open, read};
    use crate::archive::{Archive, Selected};
    use crate::oci::MediaType;

    const BASE: &[u8] = b"the base layer";
    const TOP: &[u8] = b"the top layer";

    fn gunzip(bytes: &[u8]) -> Vec<u8> {
        let mut decoder = flate2::bufread::GzDecoder::new(bytes);
        let mut plain = Vec::new();
        decoder.read_to_end(&mut plain).unwrap();
        assert!(decoder.into_inner().is_empty(), "one member");
        plain
    }

    fn manifest(config: &str, tags: &[&str], layers: &[&str]) -> Value {
        json!({"Config": config, "RepoTags": tags, "Layers": layers})
    }

    async fn unbuilt(archive: &Archive, compression: Compression) -> Result<UnbuiltImage, Error> {
        match archive.select(None, compression).await? {
            Selected::Unbuilt(image) => Ok(image),
            Selected::Stored { .. } => panic!("expected an image without a manifest"),
        }
    }

    /// As Docker before 25 writes it: a layer that occurs twice is a link.
    fn old() -> Tar {
        Tar::default()
            .json("c.json", &config(&[BASE, TOP, BASE, BASE]))
            .file("a/VERSION", "1.0")
            .file("a/layer.tar", BASE)
            .file("./b/layer.tar", TOP)
            .symlink("c/layer.tar", "../a/layer.tar")
            .hard_link("d/layer.tar", "a/layer.tar")
            .json(
                "manifest.json",
                &json!([manifest(
                    "c.json",
                    &["app:1"],
                    &["a/layer.tar", "b/layer.tar", "c/layer.tar", "d/layer.tar"],
                )]),
            )
    }

    #[tokio::test]
    async fn compresses_plain_layers_on_the_way() {
        let archive = open(old().finish()).await.unwrap();
        let image = unbuilt(&archive, Compression::Gzip).await.unwrap();
        assert_eq!(image.tags, ["app:1"]);
        let layers = &image.layers;
        for (layer, plain) in layers.iter().zip([BASE, TOP, BASE, BASE]) {
            assert_eq!(layer.diff_id, Digest::sha256(plain));
            let bytes = read(layer.opener.as_ref()).await;
            assert_eq!(gunzip(&bytes), plain);
            let descriptor = layer.opener.descriptor().unwrap();
            assert_eq!(descriptor.media_type, MediaType::DOCKER_LAYER_GZIP);
            assert!(descriptor.digest.matches(&bytes));
            assert_eq!(descriptor.size, bytes.len() as u64);
        }
        assert!(Arc::ptr_eq(&layers[0].opener, &layers[2].opener));
        assert!(Arc::ptr_eq(&layers[0].opener, &layers[3].opener));
    }

    #[tokio::test]
    async fn goes_on_at_any_offset() {
        let archive = open(old().finish()).await.unwrap();
        for compression in [Compression::Gzip, Compression::Zstd, Compression::None] {
            let image = unbuilt(&archive, compression).await.unwrap();
            let opener = &image.layers[0].opener;
            let whole = read(opener.as_ref()).await;
            for offset in 0..=whole.len() {
                let rest = drain(opener.open(offset as u64).await.unwrap()).await;
                assert_eq!(rest.unwrap(), whole[offset..]);
            }
        }
    }

    #[tokio::test]
    async fn passes_compressed_layers_on_untouched() {
        let zstd = zstd::encode_all(TOP, 3).unwrap();
        let archive = Tar::default()
            .file("a.tar.gz", gzip(BASE))
            .file("b", &zstd)
            .json("sha256:c", &config(&[BASE, TOP]))
            .json(
                "manifest.json",
                &json!([manifest("sha256:c", &[], &["a.tar.gz", "b"])]),
            );
        let archive = open(archive.finish()).await.unwrap();
        let image = unbuilt(&archive, Compression::Gzip).await.unwrap();
        for (layer, bytes, media_type) in [
            (&image.layers[0], gzip(BASE), MediaType::DOCKER_LAYER_GZIP),
            (&image.layers[1], zstd, MediaType::OCI_LAYER_ZSTD),
        ] {
            assert_eq!(read(layer.opener.as_ref()).await, bytes);
            let descriptor = layer.opener.descriptor().unwrap();
            assert_eq!(descriptor.media_type, media_type);
            assert!(descriptor.digest.matches(&bytes));
        }
    }

    #[tokio::test]
    async fn withholds_the_end_of_a_layer_that_is_not_the_configs() {
        for wrong in [TOP.to_vec(), gzip(TOP), zstd::encode_all(TOP, 3).unwrap()] {
            for compression in [Compression::Gzip, Compression::Zstd, Compression::None] {
                let archive = Tar::default()
                    .json("c.json", &config(&[BASE]))
                    .file("l", &wrong)
                    .json("manifest.json", &json!([manifest("c.json", &[], &["l"])]));
                let archive = open(archive.finish()).await.unwrap();
                let image = unbuilt(&archive, compression).await.unwrap();
                let opener = &image.layers[0].opener;
                let error = drain(opener.open(0).await.unwrap()).await.unwrap_err();
                let Some(Error::DiffId {
                    expected, actual, ..
                }) = error.downcast_ref()
                else {
                    panic!("{error}");
                };
                assert_eq!(*expected, Digest::sha256(BASE));
                assert_eq!(*actual, Digest::sha256(TOP));
                assert!(!error.is_retryable());
            }
        }
    }

    #[tokio::test]
    async fn names_what_is_missing_or_wrong() {
        let config = config(&[BASE]);
        let with = |manifest: Value| {
            Tar::default()
                .json("c.json", &config)
                .file("xz", b"\xfd7zXZ\0\0")
                .json("manifest.json", &json!([manifest]))
        };
        for (tar, message) in [
            (
                with(manifest("c.json", &[], &["gone/layer.tar"])),
                "manifest.json names \"gone/layer.tar\", which is not in the archive",
            ),
            (
                with(manifest("gone.json", &[], &["xz"])),
                "manifest.json names \"gone.json\", which is not in the archive",
            ),
            (
                with(manifest("c.json", &[], &[])),
                "manifest.json lists 0 layers, but the image config 1",
            ),
            (
                with(manifest("c.json", &[], &["xz"])),
                "layer \"xz\" is compressed with xz: images have plain, gzip or zstd layers",
            ),
            (
                Tar::default().json("manifest.json", &json!({"schemaVersion": 2, "layers": []})),
                "it is skopeo's dir: layout, which only skopeo reads: write an archive from it with \
                 `skopeo copy dir:… oci-archive:…`",
            ),
            (
                Tar::default().file("manifest.json", "[{"),
                "\"manifest.json\" is malformed",
            ),
            (
                Tar::default().file("manifest.json", "[".repeat(100_000)),
                "\"manifest.json\" is malformed",
            ),
        ] {
            let archive = open(tar.finish()).await.unwrap();
            let error = unbuilt(&archive, Compression::Gzip).await.err().unwrap();
            assert_eq!(error.to_string(), message);
        }
    }

    #[tokio::test]
    async fn chooses_among_several_images() {
        let archive = Tar::default()
            .json("a.json", &config(&[BASE]))
            .json("b.json", &config(&[TOP]))
            .file("base", BASE)
            .file("top", TOP)
            .json(
                "manifest.json",
                &json!([
                    manifest("a.json", &["app:1", "app:latest"], &["base"]),
                    manifest("b.json", &["registry.example/b:2"], &["top"]),
                ]),
            );
        let archive = open(archive.finish()).await.unwrap();
        let select = async |selector: &str| {
            let selector = selector.parse().unwrap();
            let selected = archive.select(Some(&selector), Compression::Gzip).await?;
            match selected {
                Selected::Unbuilt(image) => Ok::<_, Error>(image.tags[0].clone()),
                Selected::Stored { .. } => panic!("expected an image without a manifest"),
            }
        };
        for (selector, tag) in [
            ("#app:1", "app:1"),
            ("#app", "app:1"),
            ("#docker.io/library/app:1", "app:1"),
            ("#registry.example/b:2", "registry.example/b:2"),
            ("#@1", "registry.example/b:2"),
        ] {
            assert_eq!(select(selector).await.unwrap(), tag, "{selector}");
        }
        let list = "#@0 app:1 (and 1 more names), #@1 registry.example/b:2";
        for selector in ["#b:2", "#@2", "#app:2"] {
            let error = select(selector).await.unwrap_err().to_string();
            let expected = format!("no image in the archive is {selector}; it holds {list}");
            assert_eq!(error, expected);
        }
        let error = unbuilt(&archive, Compression::Gzip).await.err().unwrap();
        assert!(error.to_string().ends_with(&format!("it holds {list}")));
    }
}
