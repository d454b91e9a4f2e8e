//! One deployment: an image on its way to its targets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::error::partly;
use super::open::{Content, Opened};
use super::reach::Reach;
use super::{Attestations, Deployed, Error, Image, Location, Place, Referrers};
use crate::archive::Writer;
use crate::content::{Destination, ManifestKey, Source, UnbuiltImage, process_memory};
use crate::copy::{
    self, Concurrency, Description, KnownLayers, Meter, Options, Phase, Run, Selection, describe,
    select,
};
use crate::oci::{Digest, ImageConfig, RawManifest, Tag};
use crate::registry::RemoteRepository;

/// The number of an image's tags that are looked at for layers to reuse. More rarely tell more.
const LEARNED_TAGS: usize = 4;

/// The image, where it goes, and what is done for it.
pub(super) struct Deployment<'a> {
    image: &'a Image,
    /// As many as the image has targets.
    destinations: Vec<Arc<RemoteRepository>>,
    /// As many as the image has files. In the run they come behind the destinations.
    files: Vec<Arc<Writer>>,
    /// The repositories of `reuse_from`.
    shared: Vec<Arc<RemoteRepository>>,
    run: Run,
    meter: &'a Arc<Meter>,
}

impl<'a> Deployment<'a> {
    /// Finds the way to every place that takes part. Nothing is sent yet. `write_to` makes of each
    /// destination the one that the run writes to.
    pub(super) async fn prepare(
        reach: &Reach,
        image: &'a Image,
        files: Vec<Writer>,
        meter: &'a Arc<Meter>,
        mut write_to: impl FnMut(Arc<dyn Destination>) -> Arc<dyn Destination>,
    ) -> Result<Self, Error> {
        let mut destinations = Vec::new();
        for target in &image.targets {
            let destination = reach
                .destination(&target.repository, &target.access)
                .await?;
            destinations.push(destination);
        }
        let mut shared = Vec::new();
        for reference in &image.reuse_from {
            let access = image.targets.first().map(|target| target.access.clone());
            let access = access.unwrap_or_default();
            shared.push(reach.source(reference.repository(), &access).await?);
        }
        let mut targets = Vec::with_capacity(image.places());
        for (target, destination) in image.targets.iter().zip(&destinations) {
            targets.push(copy::Target {
                tags: target.tags.clone(),
                mount_from: shared
                    .iter()
                    .filter_map(|place| place.mountable_from(&**destination))
                    .collect(),
                ..copy::Target::new(write_to(destination.clone()))
            });
        }
        let files: Vec<_> = files.into_iter().map(Arc::new).collect();
        for file in &files {
            targets.push(copy::Target::new(write_to(file.clone())));
        }
        Ok(Self {
            image,
            run: Run::new(targets, options(image), meter.clone()),
            destinations,
            files,
            shared,
            meter,
        })
    }

    /// Brings what the source holds to every target. All that can fail but the tags themselves is
    /// done before the first tag is written.
    pub(super) async fn bring(&self, mut opened: Opened) -> Result<Brought, Failed> {
        let mut copied = self.copy(&opened.content).await;
        if copied.is_ok() || opened.is_read() {
            let settling = opened.settle();
            if self.meter.time(Phase::Resolve, settling).await? {
                // What failed was another image.
                self.run.failures();
                copied = self.copy(&opened.content).await;
            }
        }
        let copied = copied?;
        let brought = self.describe(copied.manifest.clone()).await?;
        self.tag(&opened.content, &copied).await?;
        Ok(brought)
    }

    /// Goes through the steps of [`Deployment::bring`] at destinations that only record them.
    pub(super) async fn rehearse(&self, mut opened: Opened) -> Result<Rehearsed, Failed> {
        opened.settle().await?;
        let copied = match &opened.content {
            Content::Stored { root, source } => self.copy_stored(&**source, root).await?,
            Content::Unbuilt(unbuilt) => {
                self.check_platforms(unbuilt)?;
                let mut known = self.learn().await;
                let Some(copied) = self.copy_known(unbuilt, &known).await? else {
                    known.read_configs().await;
                    let layers = self.run.rehearse(unbuilt, &known).await?;
                    return Ok(Rehearsed {
                        manifest: None,
                        layers,
                    });
                };
                copied
            }
        };
        self.tag(&opened.content, &copied).await?;
        Ok(Rehearsed {
            manifest: Some(copied.manifest),
            layers: 0,
        })
    }

    /// Fails if the rehearsal failed at any destination.
    pub(super) fn rehearsed(self, result: Result<Rehearsed, Failed>) -> Result<Rehearsed, Error> {
        let (rehearsed, errors) = self.told(result, self.run.failures())?;
        match rehearsed {
            Some(rehearsed) if errors.is_empty() => Ok(rehearsed),
            _ => Err(partly(self.image, |_| false, errors)),
        }
    }

    /// Copies what the source holds, but no tag, and nothing that refers to it.
    async fn copy(&self, content: &Content) -> Result<Copied, Failed> {
        match content {
            Content::Stored { root, source } => Ok(self.copy_stored(&**source, root).await?),
            Content::Unbuilt(image) => {
                self.check_platforms(image)?;
                Ok(self.copy_unbuilt(image).await?)
            }
        }
    }

    /// Brings what refers to the image, and writes its tags.
    async fn tag(&self, content: &Content, copied: &Copied) -> copy::Result<()> {
        let manifest = &copied.manifest;
        match content {
            Content::Stored { source, .. } => {
                let singles = self.single_platforms(&**source, manifest).await?;
                if self.image.referrers == Referrers::Copy {
                    self.run.copy_referrers(&**source, manifest).await?;
                }
                self.tag_platforms(&singles).await?;
            }
            Content::Unbuilt(_) => {
                let tags = self.image.platform_tags.iter();
                let tags: Vec<_> = tags.map(|(_, tag)| tag.clone()).collect();
                self.run.tag_as(manifest, &tags).await?;
            }
        }
        copied.untagged.tag(manifest).await
    }

    /// What is deployed where the source cannot be read: what these very properties are known to
    /// mean, if a target still has it. A rollback must not need an archive that is gone.
    pub(super) async fn fall_back(&self, error: Error) -> Result<Brought, Failed> {
        let Some(known) = self.image.known.as_ref().or(self.image.named_digest()) else {
            return Err(error.into());
        };
        for place in &self.destinations {
            let found = Destination::manifest(&**place, ManifestKey::Digest(known)).await;
            let Ok(Some(manifest)) = found else {
                continue;
            };
            tracing::warn!(%error, digest = %known, "the source cannot be read; the image is there from before");
            self.run.copy(&**place, &manifest).await?;
            let singles = self.single_platforms(&**place, &manifest).await?;
            let brought = self.describe(manifest).await?;
            self.tag_platforms(&singles).await?;
            self.run.tag(&brought.manifest).await?;
            return Ok(brought);
        }
        Err(error.into())
    }

    async fn copy_stored(&self, source: &dyn Source, root: &RawManifest) -> copy::Result<Copied> {
        let image = self.image;
        let selection = Selection {
            platforms: image.platforms.clone(),
            of_index_only: image.platforms_of_index_only,
            drop_attestations: image.attestations == Attestations::Drop,
            single: image.is_single(),
        };
        let selecting = select(source, root, &selection);
        let manifest = self.meter.time(Phase::Resolve, selecting).await?;
        let untagged = self.run.untagged(&manifest).await?;
        untagged.copy(source, &manifest).await?;
        Ok(Copied { manifest, untagged })
    }

    /// The images of single platforms that get tags of their own.
    async fn single_platforms(
        &self,
        source: &dyn Source,
        root: &RawManifest,
    ) -> copy::Result<Vec<(RawManifest, &Tag)>> {
        let mut singles = Vec::new();
        for (platform, tag) in &self.image.platform_tags {
            let one = Selection {
                platforms: Some(vec![platform.clone()]),
                of_index_only: self.image.platforms_of_index_only,
                drop_attestations: false,
                single: false,
            };
            singles.push((select(source, root, &one).await?, tag));
        }
        Ok(singles)
    }

    async fn tag_platforms(&self, singles: &[(RawManifest, &Tag)]) -> copy::Result<()> {
        for (single, tag) in singles {
            self.run.tag_as(single, std::slice::from_ref(*tag)).await?;
        }
        Ok(())
    }

    async fn copy_unbuilt(&self, unbuilt: &UnbuiltImage) -> copy::Result<Copied> {
        let mut known = self.meter.time(Phase::Plan, self.learn()).await;
        if let Some(copied) = self.copy_known(unbuilt, &known).await? {
            return Ok(copied);
        }
        self.meter.time(Phase::Plan, known.read_configs()).await;
        Ok(Copied {
            manifest: self.run.assemble(unbuilt, &known).await?,
            untagged: self.run.clone(),
        })
    }

    /// Copies an image from the target that already has it with a manifest. `None`: no target has.
    async fn copy_known(
        &self,
        unbuilt: &UnbuiltImage,
        known: &KnownLayers,
    ) -> copy::Result<Option<Copied>> {
        let config = Digest::sha256(&unbuilt.config);
        let Some((place, manifest)) = known.image_of(&self.run, &config) else {
            return Ok(None);
        };
        self.run.copy(place, manifest).await?;
        self.run.count_present(unbuilt.layers.len() as u64);
        Ok(Some(Copied {
            manifest: manifest.clone(),
            untagged: self.run.clone(),
        }))
    }

    /// What is known of layers that are in the registries already: from the image's own tags,
    /// from what the resource was before, and from images that it is said to share layers with.
    async fn learn(&self) -> KnownLayers {
        let mut known = KnownLayers::default();
        for (target, place) in self.image.targets.iter().zip(&self.destinations) {
            known.resume(place, &self.image.resume);
            for tag in target.tags.iter().take(LEARNED_TAGS) {
                known.learn(place, ManifestKey::Tag(tag)).await;
            }
            for digest in self.image.known.iter().chain(&self.image.previous) {
                known.learn(place, ManifestKey::Digest(digest)).await;
            }
        }
        for (place, reference) in self.shared.iter().zip(&self.image.reuse_from) {
            let latest = Tag::latest();
            let key = match reference.digest() {
                Some(digest) => ManifestKey::Digest(digest),
                None => ManifestKey::Tag(reference.tag().unwrap_or(&latest)),
            };
            known.learn(place, key).await;
        }
        known
    }

    /// An archive of one image has one platform.
    fn check_platforms(&self, unbuilt: &UnbuiltImage) -> Result<(), Error> {
        let location = &self.image.source;
        let config: ImageConfig =
            serde_json::from_slice(&unbuilt.config).map_err(|source| Error::Config {
                location: location.clone(),
                source,
            })?;
        let tagged = self
            .image
            .platform_tags
            .iter()
            .map(|(platform, _)| platform);
        let mut wanted = self.image.platforms.iter().flatten().chain(tagged);
        let missing = wanted.find(|wanted| !wanted.matches(&config.platform));
        match missing {
            Some(missing) if !self.image.platforms_of_index_only => Err(Error::Platform {
                location: location.clone(),
                wanted: missing.to_string(),
                available: config.platform.to_string(),
            }),
            _ => Ok(()),
        }
    }

    /// What was deployed, if it is at every target.
    pub(super) fn finish(self, brought: Result<Brought, Failed>) -> Result<Deployed, Error> {
        let image = self.image;
        let failures = self.run.failures();
        let failed: BTreeSet<usize> = failures.keys().copied().collect();
        let (brought, errors) = self.told(brought, failures)?;
        match brought {
            Some(brought) if errors.is_empty() => Ok(brought.at(image)),
            brought => {
                let is_done = |position| brought.is_some() && !failed.contains(&position);
                Err(partly(image, is_done, errors))
            }
        }
    }

    /// The result, if it was not the engine that failed at all targets, and every error of the
    /// engine.
    fn told<T>(
        &self,
        result: Result<T, Failed>,
        failures: BTreeMap<usize, copy::Error>,
    ) -> Result<(Option<T>, Vec<Error>), Error> {
        let of_targets = failures.into_iter().map(|(position, error)| {
            let target = self.image.targets.get(position);
            Error::copy(target.map(|target| &target.repository), error)
        });
        match result {
            Ok(value) => Ok((Some(value), of_targets.collect())),
            Err(Failed::Before(error)) => Err(error),
            Err(Failed::Copying(error)) => {
                let ended = std::iter::once(self.named(error));
                Ok((None, ended.chain(of_targets).collect()))
            }
        }
    }

    /// Reads what can be told of an image that was copied, from the first target that has it.
    async fn describe(&self, manifest: RawManifest) -> copy::Result<Brought> {
        let first = self.run.first_target();
        let place: &dyn Source = match self.destinations.get(first) {
            Some(repository) => &**repository,
            None => &*self.files[first - self.destinations.len()],
        };
        Ok(Brought {
            description: describe(place, &manifest).await?,
            manifest,
        })
    }

    /// What an error means at the target that it names.
    fn named(&self, error: copy::Error) -> Error {
        let mut targets = self.image.targets.iter();
        let named = targets.find(|target| target.repository.to_string() == error.place);
        let target = named.or(self.image.targets.first());
        Error::copy(target.map(|target| &target.repository), error)
    }
}

/// An image that is at the targets.
struct Copied {
    manifest: RawManifest,
    /// The run for those targets whose tags do not name it yet.
    untagged: Run,
}

/// The result of a rehearsal, beside the records of the destinations.
pub(super) struct Rehearsed {
    /// `None`: an image without a manifest, of which there is something new.
    pub(super) manifest: Option<RawManifest>,
    /// The number of its layers that have no digest before they are compressed.
    pub(super) layers: u64,
}

/// An image that is at the targets, with its tags.
pub(super) struct Brought {
    manifest: RawManifest,
    description: Description,
}

impl Brought {
    /// What was deployed.
    fn at(self, image: &Image) -> Deployed {
        Deployed {
            places: image.targets.iter().map(Place::of).collect(),
            digest: self.manifest.digest().clone(),
            media_type: self.manifest.media_type().clone(),
            size: self.description.size,
            config: self.description.config,
            platforms: self.description.platforms,
        }
    }
}

/// Why nothing was brought anywhere.
pub(super) enum Failed {
    /// It is not for the engine to bring.
    Before(Error),
    /// The engine failed.
    Copying(copy::Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Before(error)
    }
}

impl From<copy::Error> for Failed {
    fn from(error: copy::Error) -> Self {
        Self::Copying(error)
    }
}

fn options(image: &Image) -> Options {
    Options {
        concurrency: concurrency(image).within(most_at_once(image.places())),
        oci_manifests: image.has_layout(),
    }
}

/// Blobs of an archive are read by ranges that all of them share, and so a few at once are enough.
/// Each blob of a registry has a connection, which may carry less than the network does.
fn concurrency(image: &Image) -> Concurrency {
    match (image.max_concurrency, &image.source) {
        (Some(wanted), _) => Concurrency::fixed(wanted.get()),
        (None, Location::Registry(_)) => Concurrency { start: 4, most: 16 },
        (None, _) => Options::default().concurrency,
    }
}

/// MiB of a blob under way: what is read ahead of it, and what is compressed of it.
const OF_BLOB: usize = 8;
/// MiB of a blob under way at one more destination: what that lags behind, and what is sent.
const OF_TARGET: usize = 2;

/// The most blobs under way for which half of the process's memory is enough.
fn most_at_once(targets: usize) -> usize {
    let memory = usize::try_from(process_memory() / 2).unwrap_or(usize::MAX);
    (memory / (OF_BLOB + OF_TARGET * targets)).max(1)
}
