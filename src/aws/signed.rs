//! Signed requests to services of which one or two operations are used: as the SDK sends them, with
//! its signatures, time-outs and retries, and without a crate for each service.

use aws_runtime::auth::SigV4OperationSigningConfig;
use aws_runtime::auth::sigv4::{SCHEME_ID, SigV4AuthScheme};
use aws_runtime::retries::classifiers::AwsErrorCodeClassifier;
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
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_runtime_api::client::runtime_plugin::StaticRuntimePlugin;
use aws_smithy_types::config_bag::Layer;
use aws_smithy_types::retry::RetryConfig;
use aws_types::SigningName;
use aws_types::region::{Region, SigningRegion};
use bytes::Bytes;
use serde::Deserialize;

use super::{Call, Clients, Error, Partition, config};
use crate::content::BoxError;

/// A service's API.
pub(super) struct Api {
    /// By which its endpoint is set: `AWS_ENDPOINT_URL_<id>`.
    pub(super) id: &'static str,
    /// As signatures and hosts name it.
    pub(super) name: &'static str,
}

/// A request to an API: a POST, which may be sent again.
pub(super) struct Message {
    pub(super) path: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

impl Message {
    /// An operation of the protocol AWS JSON 1.0.
    pub(super) fn json(target: String, body: &serde_json::Value) -> Self {
        Self {
            path: "/".to_owned(),
            headers: vec![
                ("content-type", "application/x-amz-json-1.0".to_owned()),
                ("x-amz-target", target),
            ],
            body: body.to_string(),
        }
    }

    fn request(&self) -> Result<HttpRequest, BoxError> {
        let mut request = HttpRequest::new(SdkBody::from(self.body.as_str()));
        request.set_method("POST")?;
        request.set_uri(self.path.as_str())?;
        for (name, value) in &self.headers {
            request.headers_mut().try_insert(*name, value.clone())?;
        }
        Ok(request)
    }
}

impl Clients {
    /// Sends `message` to `api` in the region of `call`, and returns the body of the answer.
    pub(super) async fn send(
        &self,
        api: &Api,
        call: &Call,
        message: Message,
    ) -> Result<Bytes, Error> {
        let answer = self.request(api, &call.region, message).invoke(()).await;
        answer.map_err(|error: SdkError<ErrorMetadata>| self.explain(call, &error))
    }

    fn request(
        &self,
        api: &Api,
        region: &str,
        message: Message,
    ) -> Request<(), Bytes, ErrorMetadata> {
        let config = self.config();
        let retries = config.retry_config().cloned();
        let mut request = Request::builder()
            .service_name(api.id)
            .operation_name("Signed")
            .endpoint_url(&self.endpoint(api, region))
            .standard_retry(&retries.unwrap_or_else(RetryConfig::standard))
            .retry_classifier(TransientErrorClassifier::<ErrorMetadata>::new())
            .retry_classifier(HttpStatusCodeClassifier::default())
            .retry_classifier(AwsErrorCodeClassifier::<ErrorMetadata>::new())
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

    fn endpoint(&self, api: &Api, region: &str) -> String {
        let config = self.config();
        config::endpoint(config, api.id).unwrap_or_else(|| {
            let suffix = Partition::of_region(region).dns_suffix;
            let is_fips = config.use_fips() == Some(true);
            // The endpoints of GovCloud are FIPS's as they are.
            let fips = if is_fips && !region.starts_with("us-gov-") {
                "-fips"
            } else {
                ""
            };
            format!("https://{}{fips}.{region}.{suffix}", api.name)
        })
    }

    fn signature(&self, api: &Api, region: &str) -> StaticRuntimePlugin {
        let mut settings = Layer::new("signature");
        settings.store_put(SigningName::from_static(api.name));
        settings.store_put(SigningRegion::from(Region::new(region.to_owned())));
        settings.store_put(SigV4OperationSigningConfig::default());
        settings.store_put(AuthSchemeOptionResolverParams::new(()));
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

/// The body of an answer, or the error that it tells of.
fn answered(answer: &HttpResponse) -> Result<Bytes, OrchestratorError<ErrorMetadata>> {
    let body = answer.body().bytes().unwrap_or_default();
    if answer.status().is_success() {
        return Ok(Bytes::copy_from_slice(body));
    }
    let told: Told = serde_json::from_slice(body).unwrap_or_default();
    let code = answer.headers().get("x-amzn-errortype");
    let code = code.map_or(told.code, str::to_owned);
    let mut error = ErrorMetadata::builder().message(told.message);
    // Such as `com.amazonaws.swf#ExecutionDoesNotExist:http://…`.
    let code = code.split(':').next().unwrap_or_default();
    let code = code.rsplit('#').next().unwrap_or_default();
    if !code.is_empty() {
        error = error.code(code);
    }
    Err(OrchestratorError::operation(error.build()))
}

/// What services that speak JSON say of an error.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Told {
    #[serde(rename = "__type")]
    code: String,
    #[serde(alias = "Message")]
    message: String,
}
