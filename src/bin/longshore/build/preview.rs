//! The preview of `longshore build`: the image that it would build, stage and push.

use std::path::PathBuf;
use std::sync::Arc;

use longshore::assets::Cache;
use longshore::deploy;
use longshore::oci::Reference;
use serde_json::{Value, json};

use super::{BuildArgs, hashed, image, staged};
use crate::dry_run;
use crate::output;
use crate::place::Place;

/// The steps that a build would take.
pub(super) struct Preview {
    hash: String,
    /// The archive that would be used, if there is one.
    archive: Option<PathBuf>,
    is_built: bool,
    /// The object, and whether it is there.
    staged: Option<(String, bool)>,
    push: Option<Push>,
}

/// A push of what is built.
struct Push {
    reference: Reference,
    /// `None`: only the build tells.
    preview: Option<deploy::Preview>,
}

impl Preview {
    pub(super) async fn find(args: &BuildArgs, place: &Place) -> anyhow::Result<Self> {
        let (outcome, _) = hashed(args).await?;
        let archive = Cache::at(args.cache.as_deref())?.find(&outcome.hash);
        let archive = archive.filter(|_| !args.no_cache);
        let staged = staged(args, &outcome.hash, place).await?;
        let staged = staged.map(|staged| {
            let is_there = staged.is_there() && !args.no_cache;
            (staged.source().to_owned(), is_there)
        });
        let push = match &args.push {
            Some(reference) => Some(Push {
                reference: reference.clone(),
                preview: preview_push(args, reference, archive.as_ref(), place).await?,
            }),
            None => None,
        };
        let is_staged = staged.as_ref().is_some_and(|(_, is_there)| *is_there);
        Ok(Self {
            hash: outcome.hash,
            is_built: archive.is_none() && !(is_staged && push.is_none()),
            archive,
            staged,
            push,
        })
    }

    pub(super) fn has_changes(&self) -> bool {
        let mut staged = self.staged.iter();
        let mut push = self.push.iter();
        self.is_built
            || staged.any(|(_, is_there)| !is_there)
            || push.any(|push| push.preview.as_ref().is_none_or(|found| !found.is_empty()))
    }

    pub(super) fn show(&self, json: bool) {
        if json {
            return output::result(&format!("{:#}", self.document()));
        }
        let how = match (self.is_built, &self.archive) {
            (true, _) => "to be built",
            (false, Some(_)) => "already built",
            (false, None) => "staged before",
        };
        output::result(&format!("{how}: {}", self.hash));
        if let Some((source, is_there)) = &self.staged {
            let how = if *is_there {
                "staged before"
            } else {
                "to be staged"
            };
            output::result(&format!("{how}: {source}"));
        }
        let Some(push) = &self.push else {
            return;
        };
        match &push.preview {
            Some(preview) => {
                for line in dry_run::lines(preview) {
                    output::result(&line);
                }
            }
            None => output::result(&format!(
                "to be pushed once it is built: {}",
                push.reference
            )),
        }
    }

    fn document(&self) -> Value {
        let staged = self.staged.as_ref();
        let push = self.push.as_ref();
        json!({
            "dryRun": true,
            "assetHash": self.hash,
            "archive": self.archive,
            "build": self.is_built,
            "source": staged.map(|(source, _)| source),
            "stagedBefore": staged.map(|(_, is_there)| is_there),
            "push": push.map(|push| push.preview.as_ref().map(dry_run::document)),
        })
    }
}

/// Previews the push, where the archive is there to tell.
async fn preview_push(
    args: &BuildArgs,
    push: &Reference,
    archive: Option<&PathBuf>,
    place: &Place,
) -> anyhow::Result<Option<deploy::Preview>> {
    let Some(archive) = archive else {
        return Ok(None);
    };
    let image = image(archive.clone(), push, &args.tags, args.compression);
    let preview = place.deployer().preview(&image, &Arc::default()).await?;
    Ok(Some(preview))
}
