//! Listing tags
//! ([spec.md, "Listing Tags"](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags)).

use reqwest::Method;
use serde::Deserialize;

use super::auth::Access;
use super::transport::{Call, Transport};
use super::{Error, pages};
use crate::oci::Tag;

/// The tags of the repository. Names that are no tags are left out.
pub(super) async fn list(transport: &Transport) -> Result<Vec<Tag>, Error> {
    #[derive(Deserialize)]
    struct Page {
        tags: Option<Vec<String>>,
    }
    let mut tags: Vec<Tag> = Vec::new();
    let url = transport.url("tags/list");
    let call = |url| Call::new(Method::GET, url, Access::Pull);
    pages::each(transport, url, call, |body| {
        let page: Page =
            serde_json::from_slice(body).map_err(|_| "with a malformed list of tags")?;
        let names = page.tags.unwrap_or_default().into_iter();
        tags.extend(names.filter_map(|name| name.parse().ok()));
        Ok(())
    })
    .await?;
    Ok(tags)
}
