//! Challenges and their answers against scripted registries.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::content::{Destination, Source};
use crate::oci::{Digest, Tag};
use crate::registry::testing::{Reply, Request, Scripted, quick};
use crate::registry::{Config, Error, RemoteRepository};

/// A registry with its token server in one place: tokens are `t1`, `t2`, … and `accept` says
/// which of them are taken.
async fn with_tokens(accept: impl Fn(u32) -> bool + Send + Sync + 'static) -> Scripted {
    let issued = AtomicU32::new(0);
    Scripted::new(move |request| {
        if request.target.starts_with("/token") {
            let number = issued.fetch_add(1, Ordering::Relaxed) + 1;
            return Reply::new(200).body(format!(r#"{{"token":"t{number}","expires_in":300}}"#));
        }
        let token = request.header("authorization");
        let number = token.and_then(|token| token.strip_prefix("Bearer t")?.parse().ok());
        if number.is_some_and(&accept) {
            return Reply::new(404);
        }
        let host = request.header("host").unwrap();
        let realm =
            format!(r#"Bearer realm="http://{host}/token?tenant=1",service="the registry""#);
        Reply::error(401, "UNAUTHORIZED", "").header("WWW-Authenticate", &realm)
    })
    .await
}

fn tag() -> Tag {
    "v1".parse().unwrap()
}

fn somebody() -> Arc<Credentials> {
    Arc::new(Credentials::basic("me", "secret"))
}

async fn ask(repository: &RemoteRepository) -> Result<(), String> {
    let found = repository.tagged(&tag()).await;
    found.map(|_| ()).map_err(|error| {
        let first: &dyn std::error::Error = &error;
        let chain = std::iter::successors(Some(first), |error| (*error).source());
        let texts: Vec<_> = chain.map(ToString::to_string).collect();
        texts.join(": ")
    })
}

#[tokio::test]
async fn a_challenge_is_answered_with_a_token_which_is_kept() {
    let server = with_tokens(|_| true).await;
    let repository = server.repository_for(somebody());
    ask(&repository).await.unwrap();
    let requests = server.requests();
    assert_eq!(
        requests.iter().map(Request::line).collect::<Vec<_>>(),
        [
            "GET /v2/app/manifests/v1",
            "GET /token?tenant=1&service=the+registry&scope=repository%3Aapp%3Apull&account=me",
            "GET /v2/app/manifests/v1",
        ]
    );
    assert_eq!(requests[0].header("authorization"), None);
    assert_eq!(
        requests[1].header("authorization"),
        Some("Basic bWU6c2VjcmV0")
    );
    assert_eq!(requests[2].header("authorization"), Some("Bearer t1"));

    ask(&repository).await.unwrap();
    assert_eq!(server.lines(), ["GET /v2/app/manifests/v1"]);
}

#[tokio::test]
async fn a_push_asks_for_a_token_that_may_push() {
    let server = with_tokens(|_| true).await;
    let repository = server.repository();
    let digest = Digest::sha256(b"");
    repository.blob_size(&digest).await.unwrap();
    ask(&repository).await.unwrap();
    let lines = server.lines();
    assert!(
        lines[1].contains("scope=repository%3Aapp%3Apull%2Cpush"),
        "{lines:?}"
    );
    assert!(!lines[1].contains("account"), "{lines:?}");
    assert_eq!(lines.len(), 4, "one token serves for both: {lines:?}");
}

#[tokio::test]
async fn requests_that_start_together_ask_for_one_token() {
    let server = with_tokens(|_| true).await;
    let repository = server.repository_for(somebody());
    let asks = (0..8).map(|_| ask(&repository));
    for done in futures_util::future::join_all(asks).await {
        done.unwrap();
    }
    let tokens = server.lines().into_iter();
    assert_eq!(tokens.filter(|line| line.contains("/token")).count(), 1);
}

#[tokio::test]
async fn a_token_that_expires_in_the_middle_is_renewed_once() {
    let uses = AtomicU32::new(0);
    let server =
        with_tokens(move |number| number > 1 || uses.fetch_add(1, Ordering::Relaxed) == 0).await;
    let repository = server.repository_for(somebody());
    ask(&repository).await.unwrap();
    server.requests();
    ask(&repository).await.unwrap();
    let requests = server.requests();
    assert_eq!(requests[0].header("authorization"), Some("Bearer t1"));
    assert!(requests[1].target.starts_with("/token"));
    assert_eq!(requests[2].header("authorization"), Some("Bearer t2"));
    assert_eq!(requests.len(), 3);
}

#[tokio::test]
async fn a_registry_that_refuses_every_token_is_not_asked_for_ever() {
    let server = with_tokens(|_| false).await;
    let error = ask(&server.repository_for(somebody())).await.unwrap_err();
    assert!(error.contains("401 Unauthorized: UNAUTHORIZED"), "{error}");
    assert_eq!(server.requests().len(), 5);
}

#[tokio::test]
async fn an_identity_token_is_exchanged_by_post() {
    let server = with_tokens(|_| true).await;
    let who = Credentials::IdentityToken(Secret::new("refresh&me"));
    ask(&server.repository_for(Arc::new(who))).await.unwrap();
    let requests = server.requests();
    assert_eq!(requests[1].line(), "POST /token?tenant=1");
    assert_eq!(requests[1].header("authorization"), None);
    assert_eq!(
        String::from_utf8_lossy(&requests[1].body),
        "grant_type=refresh_token&client_id=longshore&scope=repository%3Aapp%3Apull\
         &refresh_token=refresh%26me&service=the+registry"
    );
}

/// Credentials that are stale until they were invalidated.
#[derive(Default)]
struct Rotating(AtomicU32);

impl CredentialProvider for Rotating {
    fn credentials<'a>(
        &'a self,
        _registry: &'a str,
    ) -> BoxFuture<'a, content::Result<Option<Credentials>>> {
        let password = format!("p{}", self.0.load(Ordering::Relaxed));
        ready(Ok(Some(Credentials::basic("AWS", password)))).boxed()
    }

    fn invalidate(&self, _registry: &str) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn stale_credentials_are_fetched_anew_once() {
    // `AWS:p1` is what is taken.
    let server = Scripted::new(|request| match request.header("authorization") {
        Some("Basic QVdTOnAx") => Reply::new(404),
        _ => Reply::new(401).header("WWW-Authenticate", r#"Basic realm="x""#),
    })
    .await;
    let provider = Arc::new(Rotating::default());
    ask(&server.repository_for(Arc::clone(&provider) as _))
        .await
        .unwrap();
    assert_eq!(provider.0.load(Ordering::Relaxed), 1);
    assert_eq!(server.requests().len(), 3);

    let error = ask(&server.repository_for(somebody())).await.unwrap_err();
    assert!(error.contains("401 Unauthorized"), "{error}");
    assert_eq!(
        server.requests().len(),
        2,
        "the same password is not tried twice"
    );
}

/// Credentials of a registry of which the scheme is known.
struct KnownBasic;

impl CredentialProvider for KnownBasic {
    fn credentials<'a>(
        &'a self,
        registry: &'a str,
    ) -> BoxFuture<'a, content::Result<Option<Credentials>>> {
        async move {
            Credentials::basic("me", "secret")
                .credentials(registry)
                .await
        }
        .boxed()
    }

    fn takes_basic(&self, _registry: &str) -> bool {
        true
    }
}

#[tokio::test]
async fn a_registry_of_a_known_scheme_is_not_asked_for_it() {
    let server = Scripted::new(|_| Reply::new(404)).await;
    ask(&server.repository_for(Arc::new(KnownBasic)))
        .await
        .unwrap();
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(
        requests[0].header("authorization"),
        Some("Basic bWU6c2VjcmV0")
    );

    let server = with_tokens(|_| true).await;
    ask(&server.repository_for(Arc::new(KnownBasic)))
        .await
        .unwrap();
    let last = server.requests().pop().unwrap();
    assert_eq!(
        last.header("authorization"),
        Some("Bearer t1"),
        "what it says counts"
    );
}

#[tokio::test]
async fn refused_credentials_do_not_become_an_anonymous_request() {
    let server = Scripted::new(|request| {
        let host = request.header("host").unwrap();
        let realm = format!(r#"Bearer realm="http://{host}/token""#);
        Reply::error(401, "UNAUTHORIZED", "incorrect username or password")
            .header("WWW-Authenticate", &realm)
    })
    .await;
    let error = ask(&server.repository_for(somebody())).await.unwrap_err();
    assert!(error.contains("/token?[redacted] answered 401"), "{error}");
    assert!(error.contains("incorrect username or password"), "{error}");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn tokens_are_not_asked_for_at_addresses_that_are_refused() {
    for (realm, part) in [
        (
            "http://169.254.169.254/token",
            "refusing to connect to 169.254.169.254",
        ),
        ("http://auth.example/token", "without TLS"),
    ] {
        let challenge = format!(r#"Bearer realm="{realm}""#);
        let server =
            Scripted::new(move |_| Reply::new(401).header("WWW-Authenticate", &challenge)).await;
        let error = ask(&server.repository_for(somebody())).await.unwrap_err();
        assert!(error.contains(part), "{error}");
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn an_endless_token_is_given_up() {
    let server = Scripted::new(|request| {
        if request.target.starts_with("/token") {
            return Reply::new(200).body("x".repeat(1 << 14)).endless();
        }
        let host = request.header("host").unwrap();
        let realm = format!(r#"Bearer realm="http://{host}/token""#);
        Reply::new(401).header("WWW-Authenticate", &realm)
    })
    .await;
    let error = ask(&server.repository()).await.unwrap_err();
    assert!(error.contains("more than 65536 bytes"), "{error}");
}

#[tokio::test]
async fn a_provider_that_fails_fails_the_request() {
    struct Broken;
    impl CredentialProvider for Broken {
        fn credentials<'a>(
            &'a self,
            _registry: &'a str,
        ) -> BoxFuture<'a, content::Result<Option<Credentials>>> {
            ready(Err(content::Error::TooLarge { limit: 1 })).boxed()
        }
    }
    let server =
        Scripted::new(|_| Reply::new(401).header("WWW-Authenticate", "Basic realm=x")).await;
    let error = server.repository_for(Arc::new(Broken)).tagged(&tag()).await;
    let error = error.unwrap_err();
    let error = error.downcast_ref::<Error>().unwrap();
    assert!(matches!(error, Error::Credentials { .. }), "{error}");
}

/// A registry whose token server answers first with a redirect to `target`.
async fn redirecting(status: u16, target: String) -> Scripted {
    Scripted::new(move |request| {
        let host = request.header("host").unwrap();
        if request.target.starts_with("/token") {
            return Reply::new(status).header("Location", &target);
        }
        if request.target.starts_with("/moved") {
            return Reply::new(200).body(r#"{"token":"t"}"#);
        }
        if request.header("authorization") == Some("Bearer t") {
            return Reply::new(404);
        }
        let realm = format!(r#"Bearer realm="http://{host}/token""#);
        Reply::new(401).header("WWW-Authenticate", &realm)
    })
    .await
}

#[tokio::test]
async fn a_token_server_that_redirects_is_followed() {
    for status in [301, 302, 303, 307, 308] {
        let server = redirecting(status, "/moved".to_owned()).await;
        ask(&server.repository_for(somebody())).await.unwrap();
        let requests = server.requests();
        let moved = requests
            .iter()
            .find(|request| request.target.starts_with("/moved"));
        let sent = moved.unwrap().header("authorization");
        assert!(
            sent.is_some_and(|sent| sent.starts_with("Basic ")),
            "{status}"
        );
    }
}

#[tokio::test]
async fn credentials_do_not_follow_a_token_server_elsewhere() {
    let elsewhere = Scripted::new(|_| Reply::new(200).body(r#"{"token":"t"}"#)).await;
    let target = elsewhere.url("/moved");
    let server = redirecting(307, target).await;
    ask(&server.repository_for(somebody())).await.unwrap();
    let requests = elsewhere.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].header("authorization"), None);
}

#[tokio::test]
async fn credentials_go_to_the_registrys_own_token_server_only() {
    let elsewhere = Scripted::new(|_| Reply::new(200).body(r#"{"token":"t"}"#)).await;
    let realm = elsewhere.url("").replace("127.0.0.1", "localhost");
    let server = Scripted::new(move |request| {
        if request.header("authorization") == Some("Bearer t") {
            return Reply::new(404);
        }
        let realm = format!(r#"Bearer realm="{realm}/token""#);
        Reply::new(401).header("WWW-Authenticate", &realm)
    })
    .await;
    let error = ask(&server.repository_for(somebody())).await.unwrap_err();
    assert!(error.contains("LONGSHORE_TOKEN_REALMS"), "{error}");
    assert!(elsewhere.requests().is_empty());

    // Without credentials nothing is given away.
    ask(&server.repository()).await.unwrap();
    assert_eq!(elsewhere.requests().len(), 1);

    let trusting = Config {
        token_realms: "127.0.0.1:*=localhost:*".parse().unwrap(),
        ..quick()
    };
    ask(&server.app(trusting, somebody())).await.unwrap();
    assert_eq!(elsewhere.requests().len(), 1);
}
