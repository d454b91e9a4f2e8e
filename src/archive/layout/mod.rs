//! OCI image layouts: `index.json` names manifests, `blobs/` holds everything by digest
//! ([image-layout.md](https://github.com/opencontainers/image-spec/blob/main/image-layout.md)).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::Error;
use super::choice::Choice;
use super::choose::choose;
use super::compression::Format;
use super::file::MAX_DOCUMENT;
use super::layer::{StoredBlob, digest_mismatch};
use super::order::ArchiveOrder;
use super::selector::Selector;
use super::store::Store;
use crate::content::{self, Opener, Order, Source};
use crate::oci::{
    Descriptor, Digest, ImageConfig, ImageIndex, ImageManifest, Manifest, MediaType, RawManifest,
    Tag,
};

/// The file that names the images.
pub(super) const INDEX: &str = "index.json";
/// How deep indexes may stand within indexes.
const MAX_DEPTH: usize = 4;
/// The place where a name of the image stands: the specification's, and what containerd and Docker
/// add.
const NAMES: [&str; 2] = [
    "io.containerd.image.name",
    "org.opencontainers.image.ref.name",
];

/// An image layout in an archive.
pub(super) struct Layout {
    store: Arc<Store>,
    index: ImageIndex,
    /// `index.json` as it stands.
    whole: RawManifest,
}

impl Layout {
    pub(super) async fn read(store: &Arc<Store>) -> Result<Self, Error> {
        let bytes = store.document(INDEX, "the archive").await?;
        let index = serde_json::from_slice(&bytes).map_err(|source| Error::Json {
            entry: INDEX.to_owned(),
            source,
        })?;
        Ok(Self {
            store: Arc::clone(store),
            index,
            whole: RawManifest::new(&MediaType::OCI_INDEX, bytes),
        })
    }

    /// The manifest or index that `selector` means, with everything below it in the archive.
    ///
    /// `docker save` writes an index without the content of platforms that it does not have.
    /// Where just one image is there, that is what is meant; where there are several, the index
    /// is, and what is missing is reported when it is asked for.
    pub(super) async fn select(&self, selector: Option<&Selector>) -> Result<RawManifest, Error> {
        let root = self.chosen(selector).await?;
        let mut survey = Survey::default();
        self.survey(&root, 0, &mut survey).await?;
        match survey.problem {
            None => Ok(root),
            Some(problem) if survey.images == 0 => Err(problem),
            Some(_) => Ok(survey.only.filter(|_| survey.images == 1).unwrap_or(root)),
        }
    }

    async fn chosen(&self, selector: Option<&Selector>) -> Result<RawManifest, Error> {
        let images = self.images();
        let choices: Vec<_> = images.iter().map(|(_, choice)| choice.clone()).collect();
        let is_whole = match selector {
            Some(Selector::Whole) => true,
            Some(Selector::Tag(_)) | None => is_one_image(&images, selector),
            Some(Selector::Digest(_) | Selector::Index(_)) => false,
        };
        if is_whole {
            return Ok(self.whole.clone());
        }
        match (choose(&choices, selector), selector) {
            (Ok(position), _) => self.raw(images[position].0).await,
            (Err(error), Some(Selector::Digest(digest))) => self.nested(digest).await?.ok_or(error),
            (Err(error), _) => Err(error),
        }
    }

    /// The images that the index names, each once with all its names. Signatures and
    /// attestations, which some tools put beside images, are none.
    fn images(&self) -> Vec<(&Descriptor, Choice)> {
        let about_another = |descriptor: &Descriptor| {
            let cosign = descriptor.annotations.get("kind");
            descriptor.is_attestation()
                || descriptor.artifact_type.is_some()
                || cosign.is_some_and(|kind| kind.ends_with("/sigs") || kind.ends_with("/atts"))
        };
        let all = || self.index.manifests.iter();
        let only_others = all().all(about_another);
        let mut positions = HashMap::new();
        let mut images: Vec<(&Descriptor, Choice)> = Vec::new();
        for descriptor in all().filter(|descriptor| only_others || !about_another(descriptor)) {
            let position = *positions.entry(&descriptor.digest).or_insert(images.len());
            if position == images.len() {
                let choice = Choice {
                    names: Vec::new(),
                    digest: Some(descriptor.digest.clone()),
                };
                images.push((descriptor, choice));
            }
            let names = NAMES
                .iter()
                .filter_map(|key| descriptor.annotations.get(*key));
            images[position].1.names.extend(names.cloned());
        }
        images
    }

    /// A manifest that stands in an index.
    async fn nested(&self, digest: &Digest) -> Result<Option<RawManifest>, Error> {
        let file = match self.store.find(&blob(digest), INDEX).await {
            Err(Error::Missing { .. }) => return Ok(None),
            found => found?,
        };
        if file.format != Format::Json || file.size > MAX_DOCUMENT {
            return Ok(None);
        }
        let descriptor = Descriptor::new(MediaType::default(), digest.clone(), file.size);
        let raw = self.raw(&descriptor).await?;
        Ok(raw.media_type().is_manifest().then_some(raw))
    }

    /// A manifest that an index lists, or `None` where the entry is a blob. Nothing but its members
    /// tells a manifest of an unknown media type from a blob here.
    async fn entry(&self, descriptor: &Descriptor) -> Result<Option<RawManifest>, Error> {
        let media_type = &descriptor.media_type;
        if media_type.is_manifest() || media_type.is_schema1() {
            return self.raw(descriptor).await.map(Some);
        }
        let file = self.store.find(&blob(&descriptor.digest), INDEX).await;
        let file = file.map_err(|error| explain_missing(error, descriptor))?;
        if file.format != Format::Json || file.size > MAX_DOCUMENT {
            return Ok(None);
        }
        let raw = self.raw(descriptor).await?;
        let by_members = RawManifest::new(&MediaType::default(), raw.bytes().clone());
        Ok((!by_members.media_type().is_generic()).then_some(raw))
    }

    async fn raw(&self, descriptor: &Descriptor) -> Result<RawManifest, Error> {
        let entry = blob(&descriptor.digest);
        let bytes = self.store.document(&entry, "the image").await;
        let bytes = bytes.map_err(|error| explain_missing(error, descriptor))?;
        if !descriptor.digest.matches(&bytes) {
            return Err(Error::Digest {
                entry,
                expected: descriptor.digest.clone(),
                actual: Digest::sha256(&bytes),
            });
        }
        Ok(RawManifest::with_digest(
            &descriptor.media_type,
            descriptor.digest.clone(),
            bytes,
        ))
    }

    /// Finds out what of `root` is in the archive.
    fn survey<'a>(
        &'a self,
        root: &'a RawManifest,
        depth: usize,
        survey: &'a mut Survey,
    ) -> BoxFuture<'a, Result<(), Error>> {
        async move {
            match root.parse().map_err(Error::Manifest)? {
                Manifest::Image(image) => match self.check(root, &image).await {
                    Ok(()) => survey.image(root),
                    Err(error) => survey.problem(error),
                },
                Manifest::Index(_) if depth == MAX_DEPTH => {
                    return Err(Error::TooLarge {
                        what: "the depth of nested indexes".to_owned(),
                        limit: MAX_DEPTH as u64,
                        actual: MAX_DEPTH as u64 + 1,
                    });
                }
                Manifest::Index(index) => {
                    for child in &index.manifests {
                        self.survey_child(child, depth + 1, survey).await?;
                    }
                }
                Manifest::Other(_) => survey.image(root),
            }
            Ok(())
        }
        .boxed()
    }

    async fn survey_child(
        &self,
        child: &Descriptor,
        depth: usize,
        survey: &mut Survey,
    ) -> Result<(), Error> {
        if !survey.seen.insert(child.digest.clone()) {
            return Ok(());
        }
        // What may still come is not missing.
        if matches!(self.store.known_file(&blob(&child.digest), INDEX), Ok(None)) {
            return Ok(());
        }
        let raw = match self.entry(child).await {
            Ok(Some(raw)) => raw,
            Ok(None) => return Ok(()),
            Err(error @ Error::Missing { .. }) => {
                survey.problem(error);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let images = survey.images;
        self.survey(&raw, depth, survey).await?;
        if child.is_attestation() {
            survey.images = images;
        }
        Ok(())
    }

    /// Returns true if config and layers of an image are there, or may still come, and agree.
    async fn check(&self, root: &RawManifest, image: &ImageManifest) -> Result<(), Error> {
        let named_by = format!("manifest {}", root.digest());
        for descriptor in image.layers.iter().chain([&image.config]) {
            if !descriptor.media_type.is_foreign_layer() {
                self.store
                    .known_file(&blob(&descriptor.digest), &named_by)?;
            }
        }
        let types = [MediaType::OCI_CONFIG, MediaType::DOCKER_CONFIG];
        if !types.contains(&image.config.media_type) {
            return Ok(());
        }
        let config = blob(&image.config.digest);
        if self.store.known_file(&config, &named_by)?.is_none() {
            return Ok(());
        }
        let config: ImageConfig = self.store.json(&config, &named_by).await?;
        let diff_ids = config.rootfs.diff_ids.len();
        // Early artifacts have layers under an image config that is empty.
        if diff_ids > 0 && diff_ids != image.layers.len() {
            return Err(Error::LayerCount {
                manifest: named_by,
                listed: image.layers.len(),
                config: diff_ids,
            });
        }
        Ok(())
    }
}

/// Returns true if the images that `index.json` lists are one for several platforms, as tools leave
/// it that write no index of their own below it: each is for another platform, and all have the
/// same names, among which is the one that is asked for.
fn is_one_image(images: &[(&Descriptor, Choice)], selector: Option<&Selector>) -> bool {
    let platforms = images.iter().filter_map(|(of, _)| of.platform.as_ref());
    let distinct: HashSet<String> = platforms
        .filter(|platform| !platform.is_unknown())
        .map(ToString::to_string)
        .collect();
    let Some((_, first)) = images.first() else {
        return false;
    };
    let has_same_names = images.iter().all(|(_, choice)| choice.names == first.names);
    let is_meant = selector.is_none_or(|selector| {
        let mut names = first.names.iter();
        names.any(|name| selector.names(name))
    });
    images.len() > 1 && distinct.len() == images.len() && has_same_names && is_meant
}

/// The images of an archive.
#[derive(Default)]
struct Survey {
    seen: HashSet<Digest>,
    /// The number of images that are there completely.
    images: usize,
    /// The only image, where there is one.
    only: Option<RawManifest>,
    /// The first that is wrong with the others.
    problem: Option<Error>,
}

impl Survey {
    fn image(&mut self, manifest: &RawManifest) {
        if self.images == 0 {
            self.only = Some(manifest.clone());
        }
        self.images += 1;
    }

    fn problem(&mut self, error: Error) {
        self.problem.get_or_insert(error);
    }
}

impl Source for Layout {
    fn name(&self) -> &str {
        self.store.name()
    }

    fn manifest<'a>(
        &'a self,
        descriptor: &'a Descriptor,
    ) -> BoxFuture<'a, content::Result<RawManifest>> {
        async move { Ok(self.raw(descriptor).await?) }.boxed()
    }

    fn listed<'a>(
        &'a self,
        descriptor: &'a Descriptor,
    ) -> BoxFuture<'a, content::Result<Option<RawManifest>>> {
        async move { Ok(self.entry(descriptor).await?) }.boxed()
    }

    fn blob(&self, descriptor: &Descriptor) -> Arc<dyn Opener> {
        Arc::new(StoredBlob {
            store: Arc::clone(&self.store),
            entry: blob(&descriptor.digest),
            named_by: "the image".to_owned(),
            descriptor: descriptor.clone(),
            mismatch: digest_mismatch,
        })
    }

    fn order(&self) -> Option<Arc<dyn Order>> {
        ArchiveOrder::of(&self.store, blob)
    }

    fn referrers<'a>(
        &'a self,
        digest: &'a Digest,
    ) -> BoxFuture<'a, content::Result<Vec<Descriptor>>> {
        async move {
            let mut referrers = Vec::new();
            for descriptor in &self.index.manifests {
                let Ok(manifest) = self.raw(descriptor).await?.parse() else {
                    continue;
                };
                if manifest
                    .subject()
                    .is_some_and(|subject| subject.digest == *digest)
                {
                    referrers.push(descriptor.clone());
                }
            }
            Ok(referrers)
        }
        .boxed()
    }

    fn tagged<'a>(&'a self, tag: &'a Tag) -> BoxFuture<'a, content::Result<Option<RawManifest>>> {
        async move {
            let named = |descriptor: &&Descriptor| {
                let mut names = NAMES
                    .iter()
                    .filter_map(|key| descriptor.annotations.get(*key));
                names.any(|name| name == tag.as_str())
            };
            match self.index.manifests.iter().find(named) {
                Some(descriptor) => Ok(Some(self.raw(descriptor).await?)),
                None => Ok(None),
            }
        }
        .boxed()
    }
}

fn blob(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.hex())
}

/// Says why content of an image may be missing.
fn explain_missing(error: Error, descriptor: &Descriptor) -> Error {
    match (error, &descriptor.platform) {
        (Error::Missing { entry, .. }, Some(platform)) => Error::Missing {
            entry,
            named_by: format!("the image's index ({platform})"),
            hint: ": the archive was written without this platform, name others in Platforms",
        },
        (error, _) => error,
    }
}

#[cfg(test)]
mod tests;
