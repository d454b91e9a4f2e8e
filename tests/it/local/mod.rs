//! The embedded stand-ins, over their sockets.

mod auth;
mod aws_api;
mod bucket;
mod faults;
mod response_url;
mod switches;
mod uploads;

use bytes::Bytes;
use longshore::local::{Registry, RegistryOptions};
use longshore::oci::Digest;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Client, Method, RequestBuilder, StatusCode, redirect};
use serde_json::{Value, json};

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The config of every image here.
const CONFIG: &[u8] = b"{}";

/// A registry's API, spoken by hand.
pub(crate) struct Api {
    client: Client,
    base_url: String,
    pub(crate) user: Option<(String, String)>,
}

/// An answer that was read whole.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
}

pub(crate) struct Pushed {
    pub(crate) digest: Digest,
    pub(crate) bytes: Vec<u8>,
}

impl Api {
    pub(crate) fn new(registry: &Registry) -> Self {
        let client = Client::builder().redirect(redirect::Policy::none());
        Self {
            client: client.build().unwrap(),
            base_url: registry.base_url(),
            user: None,
        }
    }

    /// A request for a path below `/v2/`.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.at(method, &format!("/v2/{path}"))
    }

    /// A request for a `Location`, absolute or not.
    pub(crate) fn at(&self, method: Method, location: &str) -> RequestBuilder {
        let url = if location.starts_with('/') {
            format!("{}{location}", self.base_url)
        } else {
            location.to_owned()
        };
        let request = self.client.request(method, url);
        match &self.user {
            Some((user, password)) => request.basic_auth(user, Some(password)),
            None => request,
        }
    }

    /// The request that ends an upload session.
    pub(crate) fn finish(&self, location: &str, digest: &Digest) -> RequestBuilder {
        let separator = if location.contains('?') { '&' } else { '?' };
        self.at(
            Method::PUT,
            &format!("{location}{separator}digest={digest}"),
        )
    }

    pub(crate) async fn answer(&self, request: RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        Answer {
            status: response.status(),
            headers: response.headers().clone(),
            bytes: response.bytes().await.unwrap(),
        }
    }

    pub(crate) async fn send(&self, method: Method, path: &str) -> Answer {
        self.answer(self.request(method, path)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path).await
    }

    /// Opens an upload session and returns where it is.
    pub(crate) async fn start_upload(&self, name: &str) -> String {
        let answer = self
            .send(Method::POST, &format!("{name}/blobs/uploads/"))
            .await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
        answer.header("location").to_owned()
    }

    pub(crate) async fn push_blob(&self, name: &str, bytes: &[u8]) -> Digest {
        let digest = Digest::sha256(bytes);
        let location = self.start_upload(name).await;
        let put = self.finish(&location, &digest);
        let answer = self.answer(put.body(bytes.to_vec())).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        digest
    }

    pub(crate) async fn put_manifest(
        &self,
        name: &str,
        reference: &str,
        media_type: &str,
        bytes: &[u8],
    ) -> Answer {
        let put = self.request(Method::PUT, &format!("{name}/manifests/{reference}"));
        self.answer(put.header(CONTENT_TYPE, media_type).body(bytes.to_vec()))
            .await
    }

    /// Pushes an image of blobs that are there.
    pub(crate) async fn push_image(&self, name: &str, tag: &str, layers: &[&Digest]) -> Pushed {
        self.push_blob(name, CONFIG).await;
        let bytes = image(layers);
        let answer = self.put_manifest(name, tag, OCI_MANIFEST, &bytes).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        let digest = Digest::sha256(&bytes);
        Pushed { digest, bytes }
    }
}

impl Answer {
    /// A header, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap()
    }

    /// The code of the specification's error envelope.
    pub(crate) fn error_code(&self) -> String {
        self.json()["errors"][0]["code"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    pub(crate) fn error_message(&self) -> String {
        self.json()["errors"][0]["message"]
            .as_str()
            .unwrap()
            .to_owned()
    }
}

/// A registry and its API.
pub(crate) async fn registry(options: RegistryOptions) -> (Registry, Api) {
    let registry = Registry::start(options).await.unwrap();
    let api = Api::new(&registry);
    (registry, api)
}

/// What the specification says.
pub(crate) fn options() -> RegistryOptions {
    RegistryOptions::default()
}

/// The same in ECR's words.
pub(crate) fn like_ecr() -> RegistryOptions {
    RegistryOptions {
        account: Some("123456789012".to_owned()),
        ..options()
    }
}

/// The manifest of an image with these layers.
pub(crate) fn image(layers: &[&Digest]) -> Vec<u8> {
    let layer_type = "application/vnd.oci.image.layer.v1.tar+gzip";
    let layers: Vec<_> = layers
        .iter()
        .map(|digest| layer(digest, layer_type))
        .collect();
    let config = Digest::sha256(CONFIG);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": layer(&config, "application/vnd.oci.image.config.v1+json"),
        "layers": layers,
    });
    manifest.to_string().into_bytes()
}

/// A descriptor; the registry does not look at sizes.
pub(crate) fn layer(digest: &Digest, media_type: &str) -> Value {
    json!({"mediaType": media_type, "digest": digest, "size": 2})
}
