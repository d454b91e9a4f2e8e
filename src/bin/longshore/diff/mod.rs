//! `longshore diff`.

mod image;
mod values;

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::bail;
use indicatif::HumanBytes;
use longshore::oci::Digest;
use serde_json::{Value, json};

use self::image::{Image, Layer, Single};
use self::values::{Change, changes};
use crate::access::check_stdin;
use crate::args::DiffArgs;
use crate::output;
use crate::place::Place;
use crate::stdin;

/// The exit status where a difference was found.
const DIFFERENT: u8 = 3;

pub(crate) async fn run(args: DiffArgs) -> anyhow::Result<ExitCode> {
    if stdin::is_read_by(&args.before) && stdin::is_read_by(&args.after) {
        bail!("only one of the two images can come over stdin");
    }
    let (of_before, of_after) = (args.source_side.side(), args.destination_side.side());
    let is_piped = [&args.before, &args.after]
        .into_iter()
        .find(|image| stdin::is_read_by(image));
    check_stdin([&of_before, &of_after], is_piped)?;
    let of_before = of_before.reaching(&args.before)?;
    let of_after = of_after.reaching(&args.after)?;
    stdin::settle(&args.before).await?;
    stdin::settle(&args.after).await?;
    let place = Place::start(&args.place).await?;
    let before = Image::read(&place, &args.before, &of_before).await?;
    let after = Image::read(&place, &args.after, &of_after).await?;
    place.stop().await;
    let difference = Difference::of(&before, &after);
    if args.json {
        output::result(&format!("{:#}", difference.json(&before, &after)));
    } else {
        difference.show(&before, &after);
    }
    if difference.is_none() {
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::from(DIFFERENT))
}

/// What differs between two images.
struct Difference {
    /// True if both have manifests, and not the same.
    digest: bool,
    /// Manifests that only the one before, or the one after, lists.
    removed: Vec<(Digest, String)>,
    added: Vec<(Digest, String)>,
    /// Platforms that both have and that differ.
    platforms: Vec<PlatformDifference>,
}

/// What differs between two images of one platform.
struct PlatformDifference {
    platform: String,
    removed: Vec<Layer>,
    added: Vec<Layer>,
    /// Layers with the same content in another blob, as it was and as it is.
    stored: Vec<(Digest, Digest)>,
    config: Vec<Change>,
}

impl Difference {
    fn of(before: &Image, after: &Image) -> Self {
        let digests = before.digest.as_ref().zip(after.digest.as_ref());
        let only = |these: &Image, those: &Image| {
            let known: BTreeSet<_> = those.manifests.iter().collect();
            let mut only = these.manifests.clone();
            only.retain(|manifest| !known.contains(manifest));
            only
        };
        let platforms = before.singles.iter().filter_map(|old| {
            let mut all = after.singles.iter();
            let new = all.find(|new| new.platform == old.platform)?;
            PlatformDifference::of(old, new)
        });
        let (removed, added) = if before.has_manifests() && after.has_manifests() {
            (only(before, after), only(after, before))
        } else {
            (
                before.platforms_beside(after),
                after.platforms_beside(before),
            )
        };
        Self {
            digest: digests.is_some_and(|(before, after)| before != after),
            removed,
            added,
            platforms: platforms.collect(),
        }
    }

    fn is_none(&self) -> bool {
        !self.digest
            && self.removed.is_empty()
            && self.added.is_empty()
            && self.platforms.is_empty()
    }

    fn show(&self, before: &Image, after: &Image) {
        if self.is_none() {
            output::note("no difference");
            return;
        }
        if self.digest {
            for (sign, image) in [('-', before), ('+', after)] {
                let digest = image.digest.as_ref().map(ToString::to_string);
                let digest = digest.unwrap_or_default();
                line(
                    sign,
                    "digest",
                    format_args!("{digest} {}", image.media_type),
                );
            }
        }
        for (sign, manifests) in [('-', &self.removed), ('+', &self.added)] {
            for (digest, what) in manifests {
                line(sign, "manifest", format_args!("{digest} {what}"));
            }
        }
        for difference in &self.platforms {
            output::result(&difference.platform);
            difference.show();
        }
    }

    fn json(&self, before: &Image, after: &Image) -> Value {
        let manifests = |manifests: &[(Digest, String)]| -> Vec<Value> {
            let manifests = manifests.iter();
            let shown = manifests.map(|(digest, what)| json!({"digest": digest, "what": what}));
            shown.collect()
        };
        let side = |image: &Image| {
            let media_type = image.digest.as_ref().map(|_| &image.media_type);
            json!({"name": image.name, "digest": image.digest, "mediaType": media_type})
        };
        let platforms = self.platforms.iter().map(PlatformDifference::json);
        json!({
            "same": self.is_none(),
            "before": side(before),
            "after": side(after),
            "manifests": {
                "removed": manifests(&self.removed),
                "added": manifests(&self.added),
            },
            "platforms": platforms.collect::<Vec<_>>(),
        })
    }
}

impl PlatformDifference {
    fn of(before: &Single, after: &Single) -> Option<Self> {
        let only = |these: &Single, those: &Single| {
            let mut only = these.layers.clone();
            only.retain(|layer| !those.layers.iter().any(|other| layer.is_same(other)));
            only
        };
        let stored = before.layers.iter().filter_map(|old| {
            let mut same = after.layers.iter().filter(|new| old.is_same(new));
            let other =
                |new: &&Layer| old.blob.is_some() && new.blob.is_some() && old.blob != new.blob;
            let new = same.find(other)?;
            Some((old.blob.clone()?, new.blob.clone()?))
        });
        let difference = Self {
            platform: before.platform.clone(),
            removed: only(before, after),
            added: only(after, before),
            stored: stored.collect(),
            config: changes(&before.config, &after.config),
        };
        (!difference.is_none()).then_some(difference)
    }

    fn is_none(&self) -> bool {
        self.removed.is_empty()
            && self.added.is_empty()
            && self.stored.is_empty()
            && self.config.is_empty()
    }

    fn show(&self) {
        for (sign, layers) in [('-', &self.removed), ('+', &self.added)] {
            for layer in layers {
                let size = layer.size.map(|size| format!(" {}", HumanBytes(size)));
                let shown = format_args!("{}{}", layer.name(), size.unwrap_or_default());
                line(sign, "layer", shown);
            }
        }
        for (old, new) in &self.stored {
            line('~', "layer", format_args!("{old} is stored as {new}"));
        }
        for Change {
            path,
            before,
            after,
        } in &self.config
        {
            for (sign, value) in [('-', before), ('+', after)] {
                if let Some(value) = value {
                    line(sign, "config", format_args!("{path} {value}"));
                }
            }
        }
    }

    fn json(&self) -> Value {
        let layers = |layers: &[Layer]| layers.iter().map(Layer::json).collect::<Vec<_>>();
        let stored = self.stored.iter();
        let stored = stored.map(|(old, new)| json!({"before": old, "after": new}));
        let config = self.config.iter().map(
            |change| json!({"path": change.path, "before": change.before, "after": change.after}),
        );
        json!({
            "platform": self.platform,
            "layers": {
                "removed": layers(&self.removed),
                "added": layers(&self.added),
                "stored": stored.collect::<Vec<_>>(),
            },
            "config": config.collect::<Vec<_>>(),
        })
    }
}

fn line(sign: char, name: &str, value: impl std::fmt::Display) {
    output::result(&format!("{sign} {name:<9} {value}"));
}
