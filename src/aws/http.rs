//! One HTTP client for all calls to AWS.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use http_body_util::{BodyExt, Limited};

use crate::content::Wait;
use crate::redact::RedactedUrl;

/// The most that is read of an answer, which the SDK reads whole: more than any of them has. Objects
/// are read as they come, and have any length.
const MAX_ANSWER: usize = 4 << 20;

type Timeouts = (Option<Duration>, Option<Duration>);

/// A client that keeps `HTTPS_PROXY` and `NO_PROXY`, and whose connections and trusted
/// certificates all services share: the SDK's own would load them anew for each.
pub(super) fn shared_client() -> SharedHttpClient {
    let connectors: Mutex<Vec<(Timeouts, SharedHttpConnector)>> = Mutex::default();
    http_client_fn(move |settings, components| {
        let timeouts = (settings.connect_timeout(), settings.read_timeout());
        let mut connectors = connectors.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, connector)) = connectors.iter().find(|(key, _)| *key == timeouts) {
            return connector.clone();
        }
        let connector = connector(settings, components.sleep_impl());
        connectors.push((timeouts, connector.clone()));
        connector
    })
}

/// An answer that is longer than any is.
#[derive(Debug, thiserror::Error)]
#[error("the answer has more than {MAX_ANSWER} bytes")]
struct TooLarge;

/// A connector whose requests are known to be waited for, and whose answers are bounded.
#[derive(Debug)]
struct Watched<C>(C);

impl<C: HttpConnector> HttpConnector for Watched<C> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let url = request.uri().parse().map(|url| RedactedUrl::new(&url));
        let wait = Wait::begin(|| match url {
            Ok(url) => format!("the answer of {url}"),
            Err(_) => "an answer of AWS".to_owned(),
        });
        let is_read_whole = !reads_object(&request);
        let answer = self.0.call(request);
        HttpConnectorFuture::new(async move {
            let answered = answer.await;
            drop(wait);
            let answer = answered?;
            if is_read_whole || !answer.status().is_success() {
                return Ok(bounded(answer));
            }
            Ok(answer)
        })
    }
}

/// Whether the answer is an object, by what the SDK writes into the address.
fn reads_object(request: &HttpRequest) -> bool {
    let query = request.uri().split_once('?').map(|(_, query)| query);
    query.is_some_and(|query| query.split('&').any(|part| part == "x-id=GetObject"))
}

fn bounded(answer: HttpResponse) -> HttpResponse {
    answer.map(|body| {
        let body = Limited::new(body, MAX_ANSWER);
        SdkBody::from_body_1_x(body.map_err(|error| match error.downcast() {
            Ok(limit) => {
                let _: Box<http_body_util::LengthLimitError> = limit;
                TooLarge.into()
            }
            Err(other) => other,
        }))
    })
}

fn connector(
    settings: &HttpConnectorSettings,
    sleep: Option<aws_sdk_s3::config::SharedAsyncSleep>,
) -> SharedHttpConnector {
    let mut builder = Connector::builder()
        .connector_settings(settings.clone())
        .proxy_config(ProxyConfig::from_env());
    builder.set_sleep_impl(sleep);
    let tls = tls::Provider::Rustls(CryptoMode::AwsLc);
    SharedHttpConnector::new(Watched(builder.tls_provider(tls).build()))
}
