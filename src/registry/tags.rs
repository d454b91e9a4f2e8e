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

#[cfg(test)]
mod tests {
    use crate::registry::testing::{Reply, Scripted};

    #[tokio::test]
    async fn all_pages_are_read_at_the_registry_itself() {
        let elsewhere = Scripted::new(|_| Reply::new(200).body(r#"{"tags":["c"]}"#)).await;
        let next = format!(
            "<{}>; rel=\"next\"",
            elsewhere.url("/v2/app/tags/list?last=b")
        );
        let server = Scripted::new(move |request| match request.target.as_str() {
            "/v2/app/tags/list" => Reply::new(200)
                .header("Link", r#"</v2/app/tags/list?last=a>; rel="next""#)
                .body(r#"{"name":"app","tags":["a","not a tag"]}"#),
            "/v2/app/tags/list?last=a" => Reply::new(200)
                .header("Link", &next)
                .body(r#"{"name":"app","tags":["b"]}"#),
            _ => Reply::new(404),
        })
        .await;
        let error = server.repository().tags().await.unwrap_err();
        assert!(error.to_string().contains("at another registry"), "{error}");
        assert_eq!(server.requests().len(), 2);
        assert_eq!(elsewhere.requests().len(), 0);
    }

    #[tokio::test]
    async fn a_repository_without_tags_has_none() {
        let server = Scripted::new(|_| Reply::new(200).body(r#"{"tags":null}"#)).await;
        assert_eq!(server.repository().tags().await.unwrap(), []);
    }
}
