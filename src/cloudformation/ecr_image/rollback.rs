//! Rollback: an Update back to properties whose source may be gone.
//!
//! An event does not say that it is a rollback, and its properties do not say which image they
//! gave; tags do not either, since the Update that is rolled back may have moved them. So an
//! Update that changes the content begins with a [`Memo`] in the repository of the image that it
//! may replace: the old properties gave that image. It ends with what the new ones gave, so that
//! the Delete of one of the two images leaves alone what the other consists of. With that Delete,
//! which ends the Update of the stack or its rollback, the memo goes.

use std::error::Error as StdError;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tracing::warn;

use super::properties::{Owned, content, same_content};
use super::{called_by, for_purpose, pushed};
use crate::cloudformation::invalid_properties::Properties;
use crate::cloudformation::request::{Action, Request};
use crate::cloudformation::text;
use crate::content::BoxError;
use crate::deploy::{Deploy, Deployed, Gave, Memo, MemoPlace, Target};
use crate::oci::Digest;

/// The time that a Delete may take to read the memo, and to remove it, at the most.
const MEMO_WITHIN: Duration = Duration::from_secs(10);
/// The part of the time left that each may take.
const MEMO_PART: u32 = 3;

/// An Update that may be one back to an earlier state.
#[derive(Default)]
pub(super) struct Return {
    /// The digest that its properties gave before, if that is known.
    pub(super) known: Option<Digest>,
    /// The memo that this Update wrote.
    written: Option<(MemoPlace, Memo)>,
}

impl Return {
    /// Finds out what the properties gave before, and notes what the old ones did. What cannot be
    /// found out or noted is a warning: the Update itself does not need it.
    pub(super) async fn begin(
        deploy: &dyn Deploy,
        request: &Request,
        properties: &Properties,
        target: &Target,
    ) -> Self {
        let present = pushed(&request.physical_resource_id);
        let (Action::Update, Some((repository, image))) = (&request.action, present) else {
            return Self::default();
        };
        if same_content(properties, &request.old_properties) {
            return Self {
                known: Some(image),
                written: None,
            };
        }
        let here = place(request, target);
        let memo = match deploy.recall(&here).await {
            Ok(memo) => memo,
            Err(error) => {
                unread(&*error);
                return Self::default();
            }
        };
        let wanted = content(properties);
        let known = memo.image_of(&wanted).cloned();
        let in_place = repository == target.repository;
        if in_place && known.as_ref() == Some(&image) {
            // The Update before this one failed. It gave nothing that could be noted.
            return Self {
                known,
                written: None,
            };
        }
        // After an Update that failed, the old properties are those that failed: what is noted of
        // the image stands.
        let mut noted = memo.0.iter().filter(|gave| in_place && gave.image == image);
        let of_image = noted.next().cloned().unwrap_or_else(|| Gave {
            properties: content(&request.old_properties),
            image,
        });
        let mut gave = vec![of_image];
        // The same event may be delivered twice: it finds the same then.
        let again = known.clone().filter(|_| in_place);
        gave.extend(again.map(|image| Gave {
            properties: wanted,
            image,
        }));
        let old = Owned::read(&request.old_properties).targets_with(&repository);
        let old = for_purpose(old, request);
        let there = place(request, called_by(&old, &repository));
        let memo = Memo(gave);
        let noted = note(deploy, &there, &memo).await;
        Self {
            known,
            written: noted.then_some((there, memo)),
        }
    }

    /// The Update succeeded. Where the image is the one from before, no Delete follows.
    pub(super) async fn end(
        self,
        deploy: &dyn Deploy,
        request: &Request,
        properties: &Properties,
        deployed: &Deployed,
    ) {
        let Some((place, mut memo)) = self.written else {
            return;
        };
        if request.physical_resource_id == deployed.uri() {
            warn_of(deploy.forget(&place).await);
        } else if place.repository == deployed.first().repository {
            memo.0.truncate(1);
            memo.0.push(Gave {
                properties: content(properties),
                image: deployed.digest.clone(),
            });
            note(deploy, &place, &memo).await;
        }
    }
}

/// What a Delete finds noted of the image that goes.
pub(super) struct Going {
    place: MemoPlace,
    memo: Memo,
    deadline: Instant,
}

impl Going {
    /// Finds it. A Delete succeeds without that, too.
    pub(super) async fn begin(
        deploy: &dyn Deploy,
        request: &Request,
        image: &Digest,
        target: &Target,
        deadline: Instant,
    ) -> Self {
        let place = place(request, target);
        let recalled = timeout_at(soon(deadline), deploy.recall(&place)).await;
        let recalled = recalled.unwrap_or_else(|elapsed| Err(elapsed.into()));
        let mut memo = recalled.unwrap_or_else(|error| {
            unread(&*error);
            Memo::default()
        });
        if !memo.0.iter().any(|gave| gave.image == *image) {
            memo = Memo::default();
        }
        Self {
            place,
            memo,
            deadline,
        }
    }

    /// The images that the resource still needs: what it is by now.
    pub(super) fn kept(&self, image: &Digest) -> Vec<Digest> {
        let images = self.memo.0.iter().map(|gave| &gave.image);
        images.filter(|kept| *kept != image).cloned().collect()
    }

    /// The image has gone, and with it goes what is noted of it.
    pub(super) async fn end(self, deploy: &dyn Deploy) {
        if self.memo.0.is_empty() {
            return;
        }
        let forgotten = timeout_at(soon(self.deadline), deploy.forget(&self.place)).await;
        warn_of(forgotten.unwrap_or_else(|elapsed| Err(elapsed.into())));
    }
}

/// Until when a Delete cares for the memo.
fn soon(deadline: Instant) -> Instant {
    let now = Instant::now();
    let part = deadline.saturating_duration_since(now) / MEMO_PART;
    now + part.min(MEMO_WITHIN)
}

fn unread(error: &(dyn StdError + 'static)) {
    warn!(
        error = text::chain(error),
        "cannot read what was noted for a rollback"
    );
}

/// Writes the memo. Whether it is written.
async fn note(deploy: &dyn Deploy, place: &MemoPlace, memo: &Memo) -> bool {
    let noted = deploy.note(place, memo).await;
    if let Err(error) = &noted {
        warn!(
            error = text::chain(&**error),
            "cannot note what a rollback needs if the source is gone"
        );
    }
    noted.is_ok()
}

fn warn_of(forgotten: Result<(), BoxError>) {
    if let Err(error) = forgotten {
        warn!(
            error = text::chain(&*error),
            "what was noted for a rollback stays"
        );
    }
}

/// The place where the resource keeps its memo.
fn place(request: &Request, target: &Target) -> MemoPlace {
    let owner = format!("{}\n{}", request.stack_id, request.logical_resource_id);
    MemoPlace::new(&owner, target.repository.clone(), target.access.clone())
}
