//! Listing tags
//! ([spec.md, "Listing Tags"](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags)).

use reqwest::Method;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use super::auth::Access;
use super::transport::{Call, Transport};
use super::{Error, pages};
use crate::oci::Tag;

/// Most tags of a repository.
const MAX_TAGS: usize = 200_000;

/// The tags of the repository. Names that are no tags are left out.
pub(super) async fn list(transport: &Transport) -> Result<Vec<Tag>, Error> {
    let mut tags: Vec<Tag> = Vec::new();
    let url = transport.url("tags/list");
    let call = |url| Call::new(Method::GET, url, Access::Pull);
    pages::each(transport, url, call, |body| {
        let names = names(body).ok_or("with a malformed list of tags")?;
        tags.extend(names.into_iter().filter_map(|name| name.parse().ok()));
        if tags.len() > MAX_TAGS {
            return Err("with more than 200,000 tags");
        }
        Ok(())
    })
    .await?;
    Ok(tags)
}

/// The names on a page. `None` where it is the JSON of something else: that has neither member.
fn names(body: &[u8]) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct Page {
        #[serde(default, deserialize_with = "present")]
        tags: Option<Vec<String>>,
        #[serde(default)]
        name: Option<IgnoredAny>,
    }
    let page: Page = serde_json::from_slice(body).ok()?;
    page.tags.or_else(|| page.name.map(|_| Vec::new()))
}

/// Reads a member that is there. Some registries write an empty list as `null`.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    let names: Option<Vec<String>> = Deserialize::deserialize(deserializer)?;
    Ok(Some(names.unwrap_or_default()))
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
        for body in [r#"{"tags":null}"#, r#"{"name":"app"}"#, r#"{"tags":[]}"#] {
            let server = Scripted::new(move |_| Reply::new(200).body(body)).await;
            assert_eq!(server.repository().tags().await.unwrap(), []);
        }
    }

    #[tokio::test]
    async fn what_is_no_list_of_tags_is_not_taken_for_an_empty_one() {
        for body in ["{}", r#"{"errors":[]}"#, "[]", "", "<html>"] {
            let server = Scripted::new(move |_| Reply::new(200).body(body)).await;
            let error = server.repository().tags().await.unwrap_err();
            assert!(error.to_string().contains("malformed list"), "{error}");
        }
    }
}
