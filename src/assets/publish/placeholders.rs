//! The placeholders in destinations: `${AWS::AccountId}`, `${AWS::Region}`, `${AWS::Partition}`.

use tokio::sync::OnceCell;

use crate::assets::{Destination, Error, Place};
use crate::aws::{Account, Clients};

const ACCOUNT: &str = "${AWS::AccountId}";
const REGION: &str = "${AWS::Region}";
const PARTITION: &str = "${AWS::Partition}";

/// The values of placeholders: the environment of whoever publishes.
pub(super) struct Environment {
    clients: Clients,
    account: OnceCell<Account>,
}

impl Environment {
    pub(super) fn new(clients: Clients) -> Self {
        Self {
            clients,
            account: OnceCell::new(),
        }
    }

    /// The destination without placeholders, and its region. The account is only asked for where
    /// it is needed.
    pub(super) async fn fill(
        &self,
        destination: &Destination,
    ) -> Result<(Destination, String), Error> {
        let region = match &destination.region {
            Some(region) => region.replace(REGION, self.clients.region()),
            None => self.clients.region().to_owned(),
        };
        let mut filled = destination.clone();
        let (a, b) = match &mut filled.place {
            Place::Repository { name, tag } => (name, tag),
            Place::Bucket { name, key } => (name, key),
        };
        let given = [filled.role_arn.as_mut(), filled.external_id.as_mut()];
        for text in given.into_iter().flatten().chain([a, b]) {
            if text.contains(ACCOUNT) || text.contains(PARTITION) {
                let account = self
                    .account
                    .get_or_try_init(|| self.clients.account())
                    .await?;
                *text = text.replace(ACCOUNT, &account.id);
                *text = text.replace(PARTITION, &account.partition);
            }
            *text = text.replace(REGION, &region);
        }
        Ok((filled, region))
    }
}
