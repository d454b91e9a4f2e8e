//! Deploying an image: from its source to its tags.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::open::{Content, Opened};
use super::reach::Reach;
use super::{
    Attestations, Deploy, Deployed, Error, Granted, Image, Memo, MemoPlace, PolicyPart,
    PushedImage, Referrers,
};
use crate::aws::EcrHost;
use crate::content::{BoxError, Destination, ManifestKey, Source, UnbuiltImage};
use crate::copy::{self, KnownLayers, Meter, Options, Phase, Run, Selection, describe, select};
use crate::oci::{Digest, ImageConfig, RawManifest, Tag};
use crate::policy::Grants;
use crate::registry::RemoteRepository;

/// How many of an image's tags are looked at for layers to reuse. More rarely tell more.
const LEARNED_TAGS: usize = 4;

/// Deploys images.
#[derive(Clone)]
pub struct Deployer {
    reach: Reach,
}

/// One deployment: the image, where it goes, and what is done for it.
struct Deployment<'a> {
    image: &'a Image,
    destination: Arc<RemoteRepository>,
    /// The repositories of `reuse_from`.
    shared: Vec<Arc<RemoteRepository>>,
    run: Run,
    meter: &'a Arc<Meter>,
}

impl Deployer {
    /// Deploys images that `reach` reaches.
    pub fn new(reach: Reach) -> Self {
        Self { reach }
    }

    /// Brings the image to its destination, with all its tags.
    pub async fn run(&self, image: &Image, meter: &Arc<Meter>) -> Result<Deployed, Error> {
        let access = &image.destination_access;
        let reach = self.reach.with_attempts(image.retry);
        let reach = reach.with_tally(meter.tally());
        let destination = reach.destination(&image.destination, access).await?;
        let source = image.pinned_source();
        let opening = reach.open(&source, &image.source_access, image.compression, meter);
        let opened = meter.time(Phase::Resolve, opening.boxed()).await;
        let sequential = opened.as_ref().is_ok_and(|opened| opened.sequential);
        let mut options = options(image, sequential);
        let mut shared = Vec::new();
        for reference in &image.reuse_from {
            let place = reach.source(reference.repository(), access).await?;
            options
                .mount_from
                .extend(place.mountable_from(&*destination));
            shared.push(place);
        }
        let deployment = Deployment {
            image,
            run: Run::new(destination.clone(), options, meter.clone()),
            destination,
            shared,
            meter,
        };
        let manifest = match opened {
            Ok(opened) => deployment.bring(opened).await?,
            Err(error) => deployment.fall_back(error).await?,
        };
        deployment.describe(&manifest).await
    }
}

fn options(image: &Image, sequential: bool) -> Options {
    let mut options = Options::default();
    if let Some(wanted) = image.max_concurrency {
        options.concurrency = wanted.get();
    }
    if sequential {
        options.concurrency = 1;
    }
    options
}

impl Deployment<'_> {
    async fn bring(&self, opened: Opened) -> Result<RawManifest, Error> {
        match opened.content {
            Content::Stored { root, source } => {
                let brought = self.bring_stored(&*source, &root).await;
                brought.map_err(|error| self.failed(error))
            }
            Content::Unbuilt(image) => {
                self.check_platforms(&image)?;
                let brought = self.bring_unbuilt(&image).await;
                brought.map_err(|error| self.failed(error))
            }
        }
    }

    /// What is deployed where the source cannot be read: what these very properties are known to
    /// mean, if it is still there. A rollback must not need an archive that is gone.
    async fn fall_back(&self, error: Error) -> Result<RawManifest, Error> {
        let Some(known) = self.image.known.as_ref().or(self.image.named_digest()) else {
            return Err(error);
        };
        let found = Destination::manifest(&*self.destination, ManifestKey::Digest(known)).await;
        let Ok(Some(manifest)) = found else {
            return Err(error);
        };
        tracing::warn!(%error, digest = %known, "the source cannot be read; the image is there from before");
        let tagging = self.tag(&*self.destination, &manifest).await;
        tagging.map_err(|error| self.failed(error))?;
        Ok(manifest)
    }

    async fn bring_stored(
        &self,
        source: &dyn Source,
        root: &RawManifest,
    ) -> copy::Result<RawManifest> {
        let image = self.image;
        let selection = Selection {
            platforms: image.platforms.clone(),
            of_index_only: image.platforms_of_index_only,
            drop_attestations: image.attestations == Attestations::Drop,
        };
        let selecting = select(source, root, &selection);
        let root = self.meter.time(Phase::Resolve, selecting).await?;
        let is_there = self.run.is_tagged(&root, &image.tags).await?;
        if !is_there {
            self.run.copy(source, &root).await?;
        }
        if image.referrers == Referrers::Copy {
            self.run.copy_referrers(source, &root).await?;
        }
        self.tag_platforms(source, &root).await?;
        if !is_there {
            self.run.tag(&root, &image.tags).await?;
        }
        Ok(root)
    }

    /// Writes every tag of the image.
    async fn tag(&self, source: &dyn Source, root: &RawManifest) -> copy::Result<()> {
        self.tag_platforms(source, root).await?;
        self.run.tag(root, &self.image.tags).await
    }

    async fn tag_platforms(&self, source: &dyn Source, root: &RawManifest) -> copy::Result<()> {
        for (platform, tag) in &self.image.platform_tags {
            let one = Selection {
                platforms: Some(vec![platform.clone()]),
                of_index_only: self.image.platforms_of_index_only,
                drop_attestations: false,
            };
            let single = select(source, root, &one).await?;
            self.run.tag(&single, std::slice::from_ref(tag)).await?;
        }
        Ok(())
    }

    async fn bring_unbuilt(&self, unbuilt: &UnbuiltImage) -> copy::Result<RawManifest> {
        let mut known = self.meter.time(Phase::Plan, self.learn()).await;
        let config = Digest::sha256(&unbuilt.config);
        let manifest = if let Some(manifest) = known.image_of(&*self.destination, &config) {
            self.run.count_present(unbuilt.layers.len() as u64);
            manifest.clone()
        } else {
            self.meter.time(Phase::Plan, known.read_configs()).await;
            self.run.assemble(unbuilt, &known).await?
        };
        let mut tags = self.image.tags.clone();
        tags.extend(self.image.platform_tags.iter().map(|(_, tag)| tag.clone()));
        self.run.tag(&manifest, &tags).await?;
        Ok(manifest)
    }

    /// What is known of layers that are in the registry already: from the image's own tags, from
    /// what the resource was before, and from images that it is said to share layers with.
    async fn learn(&self) -> KnownLayers {
        let mut known = KnownLayers::default();
        known.resume(&self.destination, &self.image.resume);
        for tag in self.image.tags.iter().take(LEARNED_TAGS) {
            known.learn(&self.destination, ManifestKey::Tag(tag)).await;
        }
        for digest in self.image.known.iter().chain(&self.image.previous) {
            known
                .learn(&self.destination, ManifestKey::Digest(digest))
                .await;
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

    async fn describe(&self, manifest: &RawManifest) -> Result<Deployed, Error> {
        let description = describe(&*self.destination, manifest).await;
        let description = description.map_err(|error| self.failed(error))?;
        let repository = &self.image.destination;
        let host = EcrHost::parse(repository.registry());
        let private = host.as_ref().filter(|host| **host != EcrHost::Public);
        let account = private.and_then(EcrHost::account).unwrap_or_default();
        let region = private.map(EcrHost::region).unwrap_or_default();
        Ok(Deployed {
            repository: repository.clone(),
            registry_id: account.to_owned(),
            region: region.to_owned(),
            tags: self.image.tags.clone(),
            digest: manifest.digest().clone(),
            media_type: manifest.media_type().clone(),
            size: description.size,
            config: description.config,
            platforms: description.platforms,
        })
    }

    fn failed(&self, error: copy::Error) -> Error {
        Error::copy(&self.image.destination, error)
    }
}

impl Deploy for Deployer {
    fn deploy<'a>(
        &'a self,
        image: &'a Image,
        meter: &'a Arc<Meter>,
    ) -> BoxFuture<'a, Result<Deployed, BoxError>> {
        async { Ok(Box::pin(self.run(image, meter)).await?) }.boxed()
    }

    fn remove<'a>(&'a self, pushed: &'a PushedImage) -> BoxFuture<'a, Result<(), BoxError>> {
        async { Ok(self.reach.remove(pushed).await?) }.boxed()
    }

    fn untag<'a>(&'a self, pushed: &'a PushedImage) -> BoxFuture<'a, Result<(), BoxError>> {
        async { Ok(self.reach.untag(pushed).await?) }.boxed()
    }

    fn recall<'a>(&'a self, place: &'a MemoPlace) -> BoxFuture<'a, Result<Memo, BoxError>> {
        async { Ok(self.reach.recall(place).await?) }.boxed()
    }

    fn note<'a>(
        &'a self,
        place: &'a MemoPlace,
        memo: &'a Memo,
    ) -> BoxFuture<'a, Result<(), BoxError>> {
        async { Ok(self.reach.note(place, memo).await?) }.boxed()
    }

    fn forget<'a>(&'a self, place: &'a MemoPlace) -> BoxFuture<'a, Result<(), BoxError>> {
        async { Ok(self.reach.forget(place).await?) }.boxed()
    }

    fn grant<'a>(
        &'a self,
        part: &'a PolicyPart,
        grants: &'a Grants,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Granted, BoxError>> {
        async move { Ok(self.reach.grant(part, grants, deadline).await?) }.boxed()
    }

    fn revoke<'a>(
        &'a self,
        part: &'a PolicyPart,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<(), BoxError>> {
        async move { Ok(self.reach.revoke(part, deadline).await?) }.boxed()
    }
}
