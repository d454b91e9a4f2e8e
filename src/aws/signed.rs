//! Signed requests to services of which one or two operations are used: as the SDK sends them, with
//! its signatures, time-outs and retries, and without a crate for each service.

use aws_runtime::auth::SigV4OperationSigningConfig;
use aws_runtime::auth::sigv4::{SCHEME_ID, SigV4AuthScheme};
use aws_runtime::recursion_detection::RecursionDetectionInterceptor;
use aws_runtime::retries::classifiers::AwsErrorCodeClassifier;
use aws_runtime::service_clock_skew::{ServiceClockSkewClassifier, ServiceClockSkewInterceptor};
use aws_sdk_s3::error::{ErrorMetadata, SdkError};
use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_runtime::client::orchestrator::operation::Operation as Request;
use aws_smithy_runtime::client::retries::classifiers::{
    HttpStatusCodeClassifier, TransientErrorClassifier,
};
use aws_smithy_runtime_api::client::auth::static_resolver::StaticAuthSchemeOptionResolver;
use aws_smithy_runtime_api::client::auth::{
    AuthSchemeOptionResolverParams, SharedAuthScheme, SharedAuthSchemeOptionResolver,
};
use aws_smithy_runtime_api::client::identity::SharedIdentityResolver;
use aws_smithy_runtime_api::client::orchestrator::{
    HttpRequest, HttpResponse, OrchestratorError, SensitiveOutput,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_runtime_api::client::runtime_plugin::StaticRuntimePlugin;
use aws_smithy_types::config_bag::Layer;
use aws_smithy_types::retry::RetryConfig;
use aws_types::SigningName;
use aws_types::region::{Region, SigningRegion};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::clients::Endpoint;
use super::failure::Cause;
use super::partition::is_region;
use super::{Call, Clients, Error, Partition, config};
use crate::content::BoxError;

/// Who asks, as `CloudTrail` notes it.
const USER_AGENT: &str = concat!("longshore/", env!("CARGO_PKG_VERSION"));

/// A service's API.
pub(super) struct Api {
    /// By which its endpoint is set: `AWS_ENDPOINT_URL_<id>`.
    pub(super) id: &'static str,
    /// As signatures name it.
    pub(super) name: &'static str,
    /// What its hosts begin with.
    pub(super) host: &'static str,
    /// What its dual-stack hosts begin with. `None`: it has none, and is called by the others.
    pub(super) dual_stack_host: Option<&'static str>,
    /// True if the hosts of `GovCloud` are FIPS's as they are.
    pub(super) is_fips_in_gov_cloud: bool,
}

/// An API by the protocol AWS JSON.
pub(super) struct JsonApi {
    pub(super) api: Api,
    pub(super) content_type: &'static str,
    /// What the names of its operations begin with in requests.
    pub(super) target: &'static str,
}

/// A request to an API: a POST, which may be sent again.
pub(super) struct Message {
    pub(super) path: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

/// An answer of success.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Bytes,
}

impl Message {
    fn request(&self) -> Result<HttpRequest, BoxError> {
        let mut request = HttpRequest::new(SdkBody::from(self.body.as_str()));
        request.set_method("POST")?;
        request.set_uri(self.path.as_str())?;
        request.headers_mut().insert("user-agent", USER_AGENT);
        for (name, value) in &self.headers {
            request.headers_mut().try_insert(*name, value.clone())?;
        }
        Ok(request)
    }
}

impl Clients {
    /// Makes `call` of an API that speaks JSON, and reads its answer.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        api: &JsonApi,
        endpoint: &Endpoint,
        call: &Call,
        body: &Value,
    ) -> Result<T, Error> {
        let target = format!("{}.{}", api.target, call.operation.name());
        let message = Message {
            path: "/".to_owned(),
            headers: vec![
                ("content-type", api.content_type.to_owned()),
                ("x-amz-target", target),
            ],
            body: body.to_string(),
        };
        let reply = self.send(&api.api, endpoint, call, message).await?;
        let read = serde_json::from_slice(whole(&reply.body));
        read.map_err(|error| Error::malformed(call, &Unreadable::of(&error)))
    }

    /// Sends the message of `call` to `api`.
    pub(super) async fn send(
        &self,
        api: &Api,
        endpoint: &Endpoint,
        call: &Call,
        message: Message,
    ) -> Result<Reply, Error> {
        let url = self.url(api, endpoint);
        let url = url.map_err(|error| Error::malformed(call, &error))?;
        let request = self.request(api, &url, &endpoint.region, message);
        let answer = request.invoke(()).await;
        answer.map_err(|error: SdkError<ErrorMetadata>| self.explain(call, &error))
    }

    fn request(
        &self,
        api: &Api,
        url: &str,
        region: &str,
        message: Message,
    ) -> Request<(), Reply, ErrorMetadata> {
        let config = self.config();
        let retries = config.retry_config().cloned();
        let mut request = Request::builder()
            .service_name(api.id)
            .operation_name("Signed")
            .endpoint_url(url)
            .standard_retry(&retries.unwrap_or_else(RetryConfig::standard))
            .retry_classifier(TransientErrorClassifier::<ErrorMetadata>::new())
            .retry_classifier(HttpStatusCodeClassifier::default())
            .retry_classifier(AwsErrorCodeClassifier::<ErrorMetadata>::new())
            .retry_classifier(ServiceClockSkewClassifier::<ErrorMetadata>::new())
            .interceptor(ServiceClockSkewInterceptor::new())
            .interceptor(RecursionDetectionInterceptor::new())
            .runtime_plugin(self.signature(api, region))
            .serializer(move |()| message.request())
            .deserializer(answered);
        if let Some(version) = config.behavior_version() {
            request = request.behavior_version(version);
        }
        if let Some(client) = config.http_client() {
            request = request.http_client(client);
        }
        if let Some(timeouts) = config.timeout_config() {
            request = request.timeout_config(timeouts.clone());
        }
        if let Some(sleep) = config.sleep_impl() {
            request = request.sleep_impl(sleep);
        }
        if let Some(time) = config.time_source() {
            request = request.time_source(time);
        }
        request.build()
    }

    /// The place where `api` is: at the endpoint that is set for it, or at its own host.
    fn url(&self, api: &Api, endpoint: &Endpoint) -> Result<String, InvalidRegion> {
        let config = self.config();
        if let Some(set) = config::endpoint(config, api.id) {
            return Ok(set);
        }
        if !is_region(&endpoint.region) {
            return Err(InvalidRegion(endpoint.region.clone()));
        }
        let fips = endpoint.fips || config.use_fips() == Some(true);
        let dual_stack = endpoint.dual_stack || config.use_dual_stack() == Some(true);
        Ok(format!(
            "https://{}",
            api.host_in(&endpoint.region, fips, dual_stack)
        ))
    }

    fn signature(&self, api: &Api, region: &str) -> StaticRuntimePlugin {
        let mut settings = Layer::new("signature");
        settings.store_put(SigningName::from_static(api.name));
        settings.store_put(SigningRegion::from(Region::new(region.to_owned())));
        settings.store_put(SigV4OperationSigningConfig::default());
        settings.store_put(AuthSchemeOptionResolverParams::new(()));
        // Answers hold tokens and secrets, which the SDK would log.
        settings.store_put(SensitiveOutput);
        let schemes = StaticAuthSchemeOptionResolver::new(vec![SCHEME_ID]);
        let mut components = RuntimeComponentsBuilder::new("signature")
            .with_auth_scheme_option_resolver(Some(SharedAuthSchemeOptionResolver::new(schemes)))
            .with_auth_scheme(SharedAuthScheme::new(SigV4AuthScheme::new()))
            .with_identity_cache(self.config().identity_cache());
        if let Some(credentials) = self.config().credentials_provider() {
            components.set_identity_resolver(SCHEME_ID, SharedIdentityResolver::new(credentials));
        }
        StaticRuntimePlugin::new()
            .with_config(settings.freeze())
            .with_runtime_components(components)
    }
}

impl Api {
    fn host_in(&self, region: &str, fips: bool, dual_stack: bool) -> String {
        let partition = Partition::of_region(region);
        let is_plain = self.is_fips_in_gov_cloud && region.starts_with("us-gov-");
        let fips = if fips && !is_plain { "-fips" } else { "" };
        match self.dual_stack_host.filter(|_| dual_stack) {
            Some(host) => format!(
                "{host}{fips}.{region}.{}",
                partition.dual_stack_api_suffix()
            ),
            None => format!("{}{fips}.{region}.{}", self.host, partition.dns_suffix),
        }
    }
}

impl Error {
    fn malformed(call: &Call, error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Malformed {
            call: Box::new(call.clone()),
            source: Cause::innermost(error),
        }
    }
}

/// A region that no host is named after.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no region")]
struct InvalidRegion(String);

/// An answer that is not the API's. It is not shown: it may be a secret.
#[derive(Debug, thiserror::Error)]
#[error("the answer is not what the API describes, from line {line}, column {column} on")]
struct Unreadable {
    line: usize,
    column: usize,
}

impl Unreadable {
    fn of(error: &serde_json::Error) -> Self {
        Self {
            line: error.line(),
            column: error.column(),
        }
    }
}

/// An answer of success, or the error that it tells of.
fn answered(answer: &HttpResponse) -> Result<Reply, OrchestratorError<ErrorMetadata>> {
    let body = answer.body().bytes().unwrap_or_default();
    if answer.status().is_success() {
        return Ok(Reply {
            status: answer.status().as_u16(),
            body: Bytes::copy_from_slice(body),
        });
    }
    let mut error = ErrorMetadata::builder();
    let Ok(told) = serde_json::from_slice::<Value>(whole(body)) else {
        return Err(OrchestratorError::operation(error.build()));
    };
    let code = answer.headers().get("x-amzn-errortype");
    let code = code.or_else(|| text(&told, &["__type", "code"]));
    if let Some(message) = text(&told, &["message", "Message"]) {
        error = error.message(message);
    }
    // Such as `com.amazonaws.swf#ExecutionDoesNotExist:http://…`.
    let code = code.unwrap_or_default();
    let code = code.split(':').next().unwrap_or_default();
    let code = code.rsplit('#').next().unwrap_or_default();
    if !code.is_empty() {
        error = error.code(code);
    }
    Err(OrchestratorError::operation(error.build()))
}

/// JSON that has nothing to tell may be left out.
fn whole(body: &[u8]) -> &[u8] {
    if body.is_empty() { b"{}" } else { body }
}

/// The first of these fields that is a text.
fn text<'a>(told: &'a Value, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| told.get(name)?.as_str())
}
