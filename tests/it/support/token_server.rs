//! A server that issues the tokens that Docker's registry believes in
//! ([token documentation](https://distribution.github.io/distribution/spec/auth/jwt/)).

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::process::output_of;

pub(crate) const ISSUER: &str = "token-server";
pub(crate) const SERVICE: &str = "registry";

/// Issues tokens to one user, and to anyone else tokens that only pull.
pub(crate) struct TokenServer {
    url: String,
    issuer: Arc<Issuer>,
    task: tokio::task::JoinHandle<()>,
}

struct Issuer {
    directory: TempDir,
    key: EcdsaKeyPair,
    certificate: String,
    authorization: String,
    /// How many of the next tokens have expired before they are issued.
    stale: AtomicUsize,
    asked: Mutex<Vec<String>>,
}

impl TokenServer {
    pub(crate) async fn start(user: &str, password: &str) -> Self {
        let issuer = Arc::new(Issuer::new(user, password));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a free port");
        let url = format!(
            "http://{}/token",
            listener.local_addr().expect("an address")
        );
        let routes = axum::Router::new()
            .route("/token", get(issue))
            .with_state(Arc::clone(&issuer));
        let task = tokio::spawn(async move {
            axum::serve(listener, routes).await.expect("a server");
        });
        Self { url, issuer, task }
    }

    /// What a registry calls the realm.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The certificate that a registry believes.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.issuer.directory.path().join("certificate.pem")
    }

    /// Lets the next tokens have expired.
    pub(crate) fn issue_stale(&self, tokens: usize) {
        self.issuer.stale.store(tokens, Ordering::Relaxed);
    }

    /// The queries so far, and forgets them.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.issuer.asked.lock().expect("no panic"))
    }
}

impl Drop for TokenServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Issuer {
    fn new(user: &str, password: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = |name: &str| directory.path().join(name);
        make_certificate(&path("key.pem"), &path("certificate.pem"));
        let key = pem_bytes(&path("key.pem"));
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key);
        let pair = STANDARD.encode(format!("{user}:{password}"));
        Self {
            key: key.expect("a key of this curve"),
            certificate: STANDARD.encode(pem_bytes(&path("certificate.pem"))),
            authorization: format!("Basic {pair}"),
            stale: AtomicUsize::new(0),
            asked: Mutex::default(),
            directory,
        }
    }

    fn token(&self, access: &[Value]) -> String {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("a clock");
        let stale = self
            .stale
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            });
        // Registries forgive a minute.
        let now = now.as_secs() - if stale.is_ok() { 1000 } else { 0 };
        let header = json!({"typ": "JWT", "alg": "ES256", "x5c": [self.certificate]});
        let claims = json!({
            "iss": ISSUER, "sub": "user", "aud": SERVICE, "jti": "1",
            "iat": now, "nbf": now - 1, "exp": now + 300, "access": access,
        });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes());
        let signature = URL_SAFE_NO_PAD.encode(signature.expect("a signature"));
        format!("{signed}.{signature}")
    }
}

async fn issue(
    State(issuer): State<Arc<Issuer>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<String, StatusCode> {
    let query = query.unwrap_or_default();
    issuer.asked.lock().expect("no panic").push(query.clone());
    let authorization = headers
        .get("authorization")
        .map(reqwest::header::HeaderValue::as_bytes);
    let known = authorization == Some(issuer.authorization.as_bytes());
    if authorization.is_some() && !known {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let query: reqwest::Url = format!("http://localhost/?{query}").parse().expect("a URL");
    let scopes = query.query_pairs().filter(|(name, _)| name == "scope");
    let access: Vec<_> = scopes
        .filter_map(|(_, scope)| grant(&scope, known))
        .collect();
    Ok(json!({"token": issuer.token(&access), "expires_in": 300}).to_string())
}

/// `repository:<name>:<action>,<action>` as a token says it.
fn grant(scope: &str, known: bool) -> Option<Value> {
    let (resource, actions) = scope.rsplit_once(':')?;
    let (kind, name) = resource.split_once(':')?;
    let allowed = |action: &&str| known || *action == "pull";
    let actions: Vec<_> = actions.split(',').filter(allowed).collect();
    Some(json!({"type": kind, "name": name, "actions": actions}))
}

fn make_certificate(key: &Path, certificate: &Path) {
    let mut openssl = Command::new("openssl");
    openssl
        .args(["req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"])
        .args(["-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-subj", "/CN=token-server"])
        .arg("-keyout")
        .arg(key)
        .arg("-out")
        .arg(certificate);
    output_of(&mut openssl, b"");
}

/// What a PEM file holds.
fn pem_bytes(path: &Path) -> Vec<u8> {
    let text = std::fs::read_to_string(path).expect("a PEM file");
    let lines = text.lines().filter(|line| !line.starts_with("-----"));
    let body: String = lines.collect();
    STANDARD.decode(body).expect("base64 in a PEM file")
}
