//! One HTTP client for all calls to AWS.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{
    HttpConnectorSettings, SharedHttpClient, SharedHttpConnector, http_client_fn,
};

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

fn connector(
    settings: &HttpConnectorSettings,
    sleep: Option<aws_sdk_s3::config::SharedAsyncSleep>,
) -> SharedHttpConnector {
    let mut builder = Connector::builder()
        .connector_settings(settings.clone())
        .proxy_config(ProxyConfig::from_env());
    builder.set_sleep_impl(sleep);
    let tls = tls::Provider::Rustls(CryptoMode::AwsLc);
    SharedHttpConnector::new(builder.tls_provider(tls).build())
}
