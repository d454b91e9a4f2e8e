//! Rollback: an Update back to properties whose source may be gone.
//!
//! An event does not say that it is a rollback, and its properties do not say which image they
//! gave; tags do not either, since the Update that is rolled back may have moved them. So an
//! Update that changes the content begins with a [`Memo`] in the repository of the image that it
//! may replace: the old properties gave that image. It goes with the image, in the Delete that
//! ends the Update of the stack or its rollback.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use tracing::warn;

use super::properties::{Owned, content, same_content};
use super::pushed;
use crate::cloudformation::request::{Action, Properties, Request};
use crate::cloudformation::text;
use crate::content::BoxError;
use crate::deploy::{Access, Deploy, Gave, Memo, MemoPlace};
use crate::oci::{Digest, Repository};

/// How long a Delete may take to remove the memo, at the most. It succeeds without that, too.
const FORGET_WITHIN: Duration = Duration::from_secs(10);
/// The part of a Delete's time that this may take.
const FORGET_PART: u32 = 2;

/// An Update that may be one back to an earlier state.
#[derive(Default)]
pub(super) struct Return {
    /// The digest that its properties gave before, if that is known.
    pub(super) known: Option<Digest>,
    /// The memo that this Update wrote.
    written: Option<MemoPlace>,
}

impl Return {
    /// Finds out what the properties gave before, and notes what the old ones did. What cannot be
    /// found out or noted is a warning: the Update itself does not need it.
    pub(super) async fn begin(
        deploy: &dyn Deploy,
        request: &Request,
        properties: &Properties,
        destination: (&Repository, &Access),
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
        let here = place(request, destination);
        let memo = deploy.recall(&here).await.unwrap_or_else(|error| {
            warn!(
                error = text::chain(&*error),
                "cannot read what was noted for a rollback"
            );
            Memo::default()
        });
        let wanted = content(properties);
        let known = memo.image_of(&wanted).cloned();
        let in_place = repository == *destination.0;
        if in_place && known.as_ref() == Some(&image) {
            // The Update before this one failed. It gave nothing that could be noted.
            return Self {
                known,
                written: None,
            };
        }
        let mut gave = vec![Gave {
            properties: content(&request.old_properties),
            image,
        }];
        // The same event may be delivered twice: it finds the same then.
        let again = known.clone().filter(|_| in_place);
        gave.extend(again.map(|image| Gave {
            properties: wanted,
            image,
        }));
        let access = Owned::read(&request.old_properties).access;
        let there = place(
            request,
            (&repository, &access.for_purpose(&request.purpose())),
        );
        let noted = deploy.note(&there, &Memo(gave)).await;
        if let Err(error) = &noted {
            warn!(
                error = text::chain(&**error),
                "cannot note what a rollback needs if the source is gone"
            );
        }
        Self {
            known,
            written: noted.is_ok().then_some(there),
        }
    }

    /// The Update succeeded and the resource is `uri`. Where that is what it was, no Delete
    /// follows.
    pub(super) async fn end(self, deploy: &dyn Deploy, request: &Request, uri: &str) {
        let Some(written) = self.written else {
            return;
        };
        if request.physical_resource_id == uri {
            warn_of(deploy.forget(&written).await);
        }
    }
}

/// The image goes, and with it what is noted of it.
pub(super) async fn forget(
    deploy: &dyn Deploy,
    request: &Request,
    image: &Digest,
    destination: (&Repository, &Access),
    deadline: Instant,
) {
    let place = place(request, destination);
    let time = deadline.saturating_duration_since(Instant::now()) / FORGET_PART;
    let forgetting = async {
        let memo = deploy.recall(&place).await?;
        if memo.0.iter().any(|gave| gave.image == *image) {
            deploy.forget(&place).await?;
        }
        Ok(())
    };
    let forgotten = timeout(time.min(FORGET_WITHIN), forgetting).await;
    warn_of(forgotten.unwrap_or_else(|elapsed| Err(elapsed.into())));
}

fn warn_of(forgotten: Result<(), BoxError>) {
    if let Err(error) = forgotten {
        warn!(
            error = text::chain(&*error),
            "what was noted for a rollback stays"
        );
    }
}

/// Where the resource keeps its memo.
fn place(request: &Request, (repository, access): (&Repository, &Access)) -> MemoPlace {
    let owner = format!("{}\n{}", request.stack_id, request.logical_resource_id);
    MemoPlace::new(&owner, repository.clone(), access.clone())
}
