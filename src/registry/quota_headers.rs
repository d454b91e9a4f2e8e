//! The headers by which an answer tells of pull quotas.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderName, RETRY_AFTER};

use super::quota::{Allowance, Quota};
use super::wire::Response;
use crate::network::parse_retry_after;

/// Requests allowed in a window, as Docker Hub writes it: `100;w=21600`.
const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
/// Requests left in the window.
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");

impl Allowance {
    /// The allowance in an answer. `None` where it says nothing of pulls that are left.
    pub(super) fn of(response: &Response) -> Option<Self> {
        let remaining = response.header(&REMAINING)?;
        let limit = response.header(&LIMIT);
        Some(Self {
            remaining: count(remaining)?,
            limit: limit.and_then(count),
            window: window(remaining).or_else(|| limit.and_then(window)),
        })
    }
}

impl Quota {
    /// The quota that an answer says is used up. `None` where waiting for at most `patience`
    /// gets past it: a registry that merely slows its clients down.
    pub(super) fn of(
        response: &Response,
        registry: &str,
        authenticated: bool,
        patience: Duration,
    ) -> Option<Self> {
        let retry_after = response.header(&RETRY_AFTER).and_then(parse_retry_after);
        let brief = retry_after.is_some_and(|wait| wait <= patience);
        let limit = response.header(&LIMIT);
        // Docker Hub is known for its quota even where it does not state it.
        let has_quota = limit.is_some() || registry == "docker.io";
        if response.status() != StatusCode::TOO_MANY_REQUESTS || brief || !has_quota {
            return None;
        }
        let remaining = response.header(&REMAINING);
        Some(Self {
            registry: registry.to_owned(),
            limit: limit.and_then(count),
            remaining: remaining.and_then(count),
            window: limit.and_then(window),
            retry_after,
            authenticated,
        })
    }
}

fn count(header: &str) -> Option<u64> {
    header.split(';').next()?.trim().parse().ok()
}

fn window(header: &str) -> Option<Duration> {
    let mut parameters = header.split(';').skip(1);
    let seconds = parameters.find_map(|parameter| parameter.trim().strip_prefix("w="))?;
    seconds.parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Source;
    use crate::oci::Reference;
    use crate::registry::testing::{Reply, Scripted, quick};
    use crate::registry::{Anonymous, Client, Config, Credentials, Error};
    use proptest::prelude::*;
    use std::sync::Arc;

    #[tokio::test]
    async fn a_quota_is_explained_and_not_hammered() {
        let server = Scripted::new(|_| {
            Reply::error(
                429,
                "TOOMANYREQUESTS",
                "You have reached your pull rate limit",
            )
            .header("RateLimit-Limit", "100;w=21600")
            .header("RateLimit-Remaining", "0;w=21600")
        })
        .await;
        let tag = "v1".parse().unwrap();
        let error = server.repository().tagged(&tag).await.unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("0 of 100 pulls left in 360 minutes"),
            "{text}"
        );
        assert!(text.contains("give credentials"), "{text}");
        assert_eq!(server.requests().len(), 1);
        let quota = error.downcast_ref::<Error>().unwrap();
        assert_eq!(quota.status(), Some(StatusCode::TOO_MANY_REQUESTS));
    }

    #[tokio::test]
    async fn the_pulls_that_are_left_are_known_from_the_last_answer() {
        let left = std::sync::atomic::AtomicU64::new(77);
        let server = Scripted::new(move |_| {
            let left = left.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
            Reply::new(404)
                .header("RateLimit-Limit", "100;w=21600")
                .header("RateLimit-Remaining", &format!("{left};w=21600"))
        })
        .await;
        let client = Client::new(quick()).unwrap();
        let repository = server.repository().repository().clone();
        let registry = repository.registry().to_owned();
        let repository = client.repository(repository, Arc::new(Anonymous)).unwrap();
        assert_eq!(client.allowance(&registry), None);
        for remaining in [77, 76] {
            let tag = "v1".parse().unwrap();
            assert_eq!(repository.tagged(&tag).await.unwrap(), None);
            let allowance = client.allowance(&registry).unwrap();
            assert_eq!(
                (allowance.remaining, allowance.limit),
                (remaining, Some(100))
            );
            assert_eq!(allowance.window, Some(Duration::from_hours(6)));
        }
    }

    #[tokio::test]
    async fn who_has_credentials_is_not_told_to_give_some() {
        let server = Scripted::new(|request| match request.header("authorization") {
            None => Reply::new(401).header("WWW-Authenticate", "Basic realm=x"),
            Some(_) => Reply::new(429).header("RateLimit-Limit", "200;w=21600"),
        })
        .await;
        let who = Arc::new(Credentials::basic("me", "secret"));
        let tag = "v1".parse().unwrap();
        let error = server.repository_for(who).tagged(&tag).await.unwrap_err();
        assert!(error.to_string().contains("a larger quota"), "{error}");
    }

    #[tokio::test]
    async fn docker_hubs_quota_is_known_even_if_it_is_not_stated() {
        let server = Scripted::new(|_| Reply::error(429, "TOOMANYREQUESTS", "")).await;
        let config = Config {
            overrides: format!("docker.io={}", server.url("")).parse().unwrap(),
            ..quick()
        };
        let nginx: Reference = "nginx".parse().unwrap();
        let client = Client::new(config).unwrap();
        let hub = client.repository(nginx.repository().clone(), Arc::new(Anonymous));
        let error = hub.unwrap().resolve(&nginx).await.unwrap_err();
        assert!(matches!(error, Error::Quota(_)), "{error}");
        assert_eq!(server.lines(), ["GET /v2/library/nginx/manifests/latest"]);
    }

    #[tokio::test]
    async fn a_short_wait_is_waited_for() {
        let busy = std::sync::atomic::AtomicBool::new(true);
        let server = Scripted::new(move |_| {
            if !busy.swap(false, std::sync::atomic::Ordering::Relaxed) {
                return Reply::new(404);
            }
            Reply::new(429)
                .header("RateLimit-Limit", "100;w=60")
                .header("Retry-After", "0")
        })
        .await;
        let tag = "v1".parse().unwrap();
        let found = server.repository().tagged(&tag).await.unwrap();
        assert_eq!(found, None);
        assert_eq!(server.requests().len(), 2);
    }

    proptest! {
        #[test]
        fn any_header_is_read_or_not(text in "\\PC{0,40}", n in any::<u64>(), w in any::<u64>()) {
            let _ = (count(&text), window(&text));
            let header = format!("{n};w={w}");
            prop_assert_eq!(count(&header), Some(n));
            prop_assert_eq!(window(&header), Some(Duration::from_secs(w)));
        }
    }
}
