//! Lists: tags, repositories, referrers
//! ([spec.md, "Content Discovery"](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#content-discovery)).

use hyper::StatusCode;
use hyper::header::LINK;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::options::Referrers;
use super::refusal::Refusal;
use super::service::RegistryService;
use crate::local::http::{Query, Request, Response, set, typed};
use crate::oci::{Digest, Manifest, MediaType, RawManifest};

impl RegistryService {
    pub(super) async fn list_repositories(&self, request: &Request) -> Result<Response, Refusal> {
        let names = self.store.repositories().await?;
        let page = self.page(names, &request.query, String::clone)?;
        let body = json!({"repositories": page.items});
        let response = typed(StatusCode::OK, "application/json", body.to_string());
        Ok(page.linked(response, "/v2/_catalog", ""))
    }

    pub(super) async fn list_tags(
        &self,
        name: &str,
        request: &Request,
    ) -> Result<Response, Refusal> {
        let tags = self.store.tags(name).await?;
        let page = self.page(tags, &request.query, String::clone)?;
        let body = json!({"name": name, "tags": page.items});
        let response = typed(StatusCode::OK, "application/json", body.to_string());
        Ok(page.linked(response, &format!("/v2/{name}/tags/list"), ""))
    }

    pub(super) async fn list_referrers(
        &self,
        name: &str,
        subject: &Digest,
        request: &Request,
    ) -> Result<Response, Refusal> {
        match self.options.referrers {
            Referrers::Api => {}
            Referrers::Missing => return Err(Refusal::not_found("NOT_FOUND", "no such endpoint")),
            Referrers::NotAllowed => return Err(Refusal::not_allowed()),
        }
        let wanted = request.query.get("artifactType");
        let manifests = self.store.manifests(name).await?;
        let referrers: Vec<_> = manifests
            .iter()
            .filter_map(|manifest| referrer(manifest, subject))
            .filter(|found| wanted.is_none_or(|wanted| found["artifactType"] == wanted))
            .collect();
        let digest = |found: &Value| found["digest"].as_str().unwrap_or_default().to_owned();
        let page = self.page(referrers, &request.query, digest)?;
        let media_type = MediaType::OCI_INDEX;
        let body = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": page.items});
        let mut response = typed(StatusCode::OK, media_type.as_str(), body.to_string());
        if wanted.is_some() {
            set(&mut response, "oci-filters-applied", "artifactType");
        }
        let filter = wanted.map_or(String::new(), |wanted| {
            format!(
                "&artifactType={}",
                utf8_percent_encode(wanted, NON_ALPHANUMERIC)
            )
        });
        Ok(page.linked(
            response,
            &format!("/v2/{name}/referrers/{subject}"),
            &filter,
        ))
    }

    /// The page of sorted items that a request asks for: at most `n`, after `last`.
    fn page<T>(
        &self,
        mut items: Vec<T>,
        query: &Query,
        key: impl Fn(&T) -> String,
    ) -> Result<Page<T>, Refusal> {
        let asked = query.get("n").map(str::parse::<usize>).transpose();
        let asked = asked.map_err(|_| {
            let message = "n is no number of items";
            Refusal::bad_request("PAGINATION_NUMBER_INVALID", message)
        })?;
        let last = query.get("last").unwrap_or_default();
        items.retain(|item| key(item).as_str() > last);
        let most = self.options.page_size.unwrap_or(usize::MAX);
        let length = asked.unwrap_or(usize::MAX).min(most);
        let more = items.len() > length;
        items.truncate(length);
        let last = items.last().map(key);
        let next = last.filter(|_| more).map(|last| (length, last));
        Ok(Page { items, next })
    }
}

struct Page<T> {
    items: Vec<T>,
    /// Length and last item of this page, where there is another.
    next: Option<(usize, String)>,
}

impl<T> Page<T> {
    /// Adds the link to the next page.
    fn linked(&self, mut response: Response, path: &str, filter: &str) -> Response {
        if let Some((length, last)) = &self.next {
            let last = utf8_percent_encode(last, NON_ALPHANUMERIC);
            let link = format!("<{path}?n={length}&last={last}{filter}>; rel=\"next\"");
            set(&mut response, LINK, link);
        }
        response
    }
}

/// The descriptor of a manifest in the referrers list of `subject`, if it belongs there.
fn referrer(manifest: &RawManifest, subject: &Digest) -> Option<Value> {
    let parsed = manifest.parse().ok()?;
    if parsed.subject()?.digest != *subject {
        return None;
    }
    let document: Value = serde_json::from_slice(manifest.bytes()).ok()?;
    let mut descriptor = serde_json::to_value(manifest.descriptor()).ok()?;
    let own = document.get("artifactType").cloned();
    let artifact_type = own.or_else(|| match parsed {
        Manifest::Image(image) => Some(image.config.media_type.as_str().into()),
        Manifest::Index(_) | Manifest::Other(_) => None,
    });
    if let Some(artifact_type) = artifact_type {
        descriptor["artifactType"] = artifact_type;
    }
    if let Some(annotations) = document.get("annotations") {
        descriptor["annotations"] = annotations.clone();
    }
    Some(descriptor)
}
