//! A peer that repeats what it is sent: as a registry, a token server, a proxy, a bucket, or another
//! service of AWS.

use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use longshore::oci::{Digest, MediaType};
use serde_json::json;
use tokio::net::TcpListener;

use super::{ROLE_SECRET, ROLE_SESSION, SESSION, SIGNATURE, STATE, TOKEN};

/// The headers that it repeats.
const REPEATED: [&str; 3] = [
    "authorization",
    "proxy-authorization",
    "x-amz-security-token",
];
const MAX_BODY: usize = 1 << 20;

/// How the peer asks for credentials.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Login {
    None,
    Basic,
    Tokens,
}

/// How the peer repeats what it was sent.
#[derive(Clone, Copy)]
pub(super) enum Voice {
    Plain,
    Upper,
    Halves,
    Decoded,
}

impl Voice {
    pub(super) const ALL: [Self; 4] = [Self::Plain, Self::Upper, Self::Halves, Self::Decoded];

    fn repeat(self, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Upper => text.to_uppercase(),
            Self::Halves => {
                let text = text.rsplit([' ', '=']).next().unwrap_or_default();
                let (first, last) = text.split_at(text.len() / 2);
                format!("{first}... ...{last}")
            }
            Self::Decoded => {
                let encoded = text.rsplit(' ').next().unwrap_or_default();
                let decoded = STANDARD.decode(encoded);
                decoded.map_or_else(
                    |_| text.to_owned(),
                    |bytes| String::from_utf8_lossy(&bytes).into_owned(),
                )
            }
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Parrot {
    login: Login,
    voice: Voice,
    /// Whether it sends requests for blobs on to addresses with keys.
    sends_on: bool,
}

impl Parrot {
    /// Starts one that refuses everything. Returns its host.
    pub(super) async fn refusing(login: Login, voice: Voice) -> String {
        let parrot = Self {
            login,
            voice,
            sends_on: false,
        };
        parrot.start().await
    }

    /// Starts a registry that refuses only what it has sent on. Returns its host.
    pub(super) async fn sending_on(voice: Voice) -> String {
        let parrot = Self {
            login: Login::Basic,
            voice,
            sends_on: true,
        };
        parrot.start().await
    }

    async fn start(self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let own = host.clone();
        let app = Router::new().fallback(move |request: Request| {
            let own = own.clone();
            async move { self.answer(request, &own).await }
        });
        tokio::spawn(async { axum::serve(listener, app).await });
        host
    }

    async fn answer(self, request: Request, own: &str) -> Response {
        let (head, body) = request.into_parts();
        let body = to_bytes(body, MAX_BODY).await.unwrap_or_default();
        let (uri, headers) = (&head.uri, &head.headers);
        let sent = headers.get(header::AUTHORIZATION);
        let sent = sent.and_then(|sent| sent.to_str().ok()).unwrap_or_default();
        if sent.starts_with("AWS4") {
            return self.aws(&String::from_utf8_lossy(&body), uri, headers);
        }
        if uri.path() == "/token" {
            return json!({ "token": TOKEN }).to_string().into_response();
        }
        if sent.is_empty() && self.login != Login::None && uri.path() != "/far" {
            let challenge = match self.login {
                Login::Tokens => format!("Bearer realm=\"http://{own}/token\""),
                _ => "Basic realm=\"parrot\"".to_owned(),
            };
            let headers = [(header::WWW_AUTHENTICATE, challenge)];
            return (StatusCode::UNAUTHORIZED, headers).into_response();
        }
        let sent_on = self.sends_on.then(|| send_on(&head.method, uri)).flatten();
        sent_on.unwrap_or_else(|| self.refuse(uri, headers))
    }

    /// Refuses as a registry does.
    fn refuse(self, uri: &Uri, headers: &HeaderMap) -> Response {
        let errors = self.repeated(uri, headers);
        let errors: Vec<_> = errors
            .iter()
            .map(|text| json!({ "code": "DENIED", "message": text }))
            .collect();
        let body = json!({ "errors": errors }).to_string();
        (StatusCode::BAD_REQUEST, body).into_response()
    }

    /// Refuses as AWS does. Roles are given.
    fn aws(self, body: &str, uri: &Uri, headers: &HeaderMap) -> Response {
        if body.contains("Action=AssumeRole") {
            return role().into_response();
        }
        let message = self.repeated(uri, headers).join("; ");
        if headers.contains_key("x-amz-target") {
            let body = json!({ "__type": "ValidationException", "message": message });
            return (StatusCode::BAD_REQUEST, body.to_string()).into_response();
        }
        let body =
            format!("<Error><Code>InvalidRequest</Code><Message>{message}</Message></Error>");
        (StatusCode::BAD_REQUEST, body).into_response()
    }

    fn repeated(self, uri: &Uri, headers: &HeaderMap) -> Vec<String> {
        let repeated = REPEATED.iter().filter_map(|name| headers.get(*name));
        let repeated = repeated.filter_map(|value| value.to_str().ok());
        let query = uri.query().unwrap_or_default().split('&');
        let query = query.filter(|pair| !pair.is_empty());
        let repeated = repeated.chain(query);
        repeated
            .map(|text| format!("not with {}", self.voice.repeat(text)))
            .collect()
    }
}

/// The answers of a registry that has an image, and sends every blob on.
fn send_on(method: &Method, uri: &Uri) -> Option<Response> {
    let path = uri.path();
    if path.contains("/manifests/") && method == Method::GET {
        let blob = |text: &str, media_type| {
            json!({
                "mediaType": media_type,
                "digest": Digest::sha256(text.as_bytes()),
                "size": text.len(),
            })
        };
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MediaType::OCI_MANIFEST,
            "config": blob("{}", MediaType::OCI_CONFIG),
            "layers": [blob("layer", MediaType::OCI_LAYER_GZIP)],
        });
        let headers = [(header::CONTENT_TYPE, MediaType::OCI_MANIFEST.to_string())];
        return Some((headers, manifest.to_string()).into_response());
    }
    if method == Method::HEAD {
        return Some(StatusCode::NOT_FOUND.into_response());
    }
    if path.ends_with("/blobs/uploads/") {
        let location = format!("{path}1?_state={STATE}");
        let headers = [(header::LOCATION, location)];
        return Some((StatusCode::ACCEPTED, headers).into_response());
    }
    if path.contains("/blobs/sha256:") {
        let far = format!("/far?X-Amz-Security-Token={SESSION}&X-Amz-Signature={SIGNATURE}");
        let headers = [(header::LOCATION, far)];
        return Some((StatusCode::TEMPORARY_REDIRECT, headers).into_response());
    }
    None
}

/// STS's answer to `AssumeRole`.
fn role() -> String {
    format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <AssumeRoleResult><Credentials><AccessKeyId>ASIAEXAMPLE</AccessKeyId>\
         <SecretAccessKey>{ROLE_SECRET}</SecretAccessKey>\
         <SessionToken>{ROLE_SESSION}</SessionToken>\
         <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult>\
         </AssumeRoleResponse>"
    )
}
