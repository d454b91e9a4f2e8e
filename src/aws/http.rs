//! One HTTP client for all calls to AWS.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;

use crate::content::Wait;
use crate::network::Trouble;
use crate::redact::RedactedUrl;

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

/// A connector whose requests are known to be waited for, to the end of their answers, and whose
/// errors tell what is not to be tried again.
#[derive(Debug)]
struct Watched<C>(C);

impl<C: HttpConnector> HttpConnector for Watched<C> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let url = request.uri().parse().map(|url| RedactedUrl::new(&url));
        let wait = Wait::begin(|| match url {
            Ok(url) => format!("the answer of {url}"),
            Err(_) => "an answer of AWS".to_owned(),
        });
        let answer = self.0.call(request);
        HttpConnectorFuture::new(async move {
            match answer.await {
                Ok(mut answer) => {
                    // Its body is still to come.
                    answer.add_extension(Arc::new(wait));
                    Ok(answer)
                }
                Err(error) => Err(not_again(error)),
            }
        })
    }
}

/// An error as the SDK's retries are to see it: what does not pass is no matter of the network.
fn not_again(error: ConnectorError) -> ConnectorError {
    match Trouble::within(&error) {
        Some(trouble) if !trouble.may_pass() => ConnectorError::user(error.into()),
        _ => error,
    }
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
