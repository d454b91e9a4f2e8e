//! Who the embedded registry lets in.

use std::time::Duration;

use longshore::local::{Auth, RegistryOptions};
use longshore::redact::Secret;
use reqwest::{Method, StatusCode};

use super::{options, registry};

#[tokio::test]
async fn a_password_is_asked_for() {
    let (_registry, mut api) = registry(RegistryOptions {
        create_on_push: true,
        ..RegistryOptions::ecr(Secret::new("right"))
    })
    .await;
    let answer = api.get("").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    let challenge = answer.header("www-authenticate");
    assert!(
        challenge.starts_with("Basic realm=\"http://127.0.0.1:"),
        "{challenge}"
    );
    assert!(
        challenge.ends_with("\",service=\"ecr.amazonaws.com\""),
        "{challenge}"
    );
    api.user = Some(("AWS".to_owned(), "wrong".to_owned()));
    assert_eq!(api.get("").await.status, StatusCode::UNAUTHORIZED);
    api.user = Some(("AWS".to_owned(), "right".to_owned()));
    assert_eq!(api.get("").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_token_is_asked_for_and_allows_what_it_is_for() {
    let (_registry, mut api) = registry(RegistryOptions {
        auth: Auth::Bearer {
            user: "me".to_owned(),
            password: Secret::new("right"),
            anonymous_pull: true,
            lifetime: Duration::from_mins(5),
        },
        ..options()
    })
    .await;
    let answer = api.send(Method::POST, "app/blobs/uploads/").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    let challenge = answer.header("www-authenticate").to_owned();
    let (realm, rest) = challenge
        .strip_prefix("Bearer realm=\"")
        .and_then(|rest| rest.split_once('"'))
        .unwrap();
    assert!(
        rest.ends_with("scope=\"repository:app:pull,push\""),
        "{challenge}"
    );

    let scope = "?scope=repository:app:pull,push";
    let anonymous = api
        .answer(api.at(Method::GET, &format!("{realm}{scope}")))
        .await;
    api.user = Some(("me".to_owned(), "right".to_owned()));
    let known = api
        .answer(api.at(Method::GET, &format!("{realm}{scope}")))
        .await;
    api.user = Some(("me".to_owned(), "wrong".to_owned()));
    let wrong = api
        .answer(api.at(Method::GET, &format!("{realm}{scope}")))
        .await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert_eq!(known.json()["expires_in"], 300);
    api.user = None;

    for (token, method, path, status) in [
        (&anonymous, Method::POST, "app/blobs/uploads/", 401),
        (&known, Method::POST, "app/blobs/uploads/", 202),
        (&known, Method::POST, "other/blobs/uploads/", 401),
        (&anonymous, Method::GET, "app/tags/list", 200),
        (&anonymous, Method::GET, "other/tags/list", 401),
        (&known, Method::GET, "_catalog", 401),
        (&anonymous, Method::GET, "", 200),
    ] {
        let token = token.json()["token"].as_str().unwrap().to_owned();
        let request = api.request(method, path).bearer_auth(token);
        let answer = api.answer(request).await;
        assert_eq!(answer.status.as_u16(), status, "{path}");
    }
    let stale = api
        .answer(api.request(Method::GET, "").bearer_auth("stale"))
        .await;
    assert!(
        stale
            .header("www-authenticate")
            .ends_with("error=\"invalid_token\"")
    );
}
