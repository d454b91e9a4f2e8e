//! One HTTP client for all calls to AWS.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, LengthLimitError, Limited, StreamBody};
use hyper::body::Frame;
use tokio::time::timeout;

use crate::content::{BoxError, Wait};
use crate::network::Trouble;
use crate::redact::RedactedUrl;

/// The most that is read of an answer, which the SDK reads whole: more than any of them has. Objects
/// are read as they come, and have any length.
const MAX_ANSWER: usize = 4 << 20;

/// How long the body of an answer may take that is read whole.
const BODY: Duration = Duration::from_secs(20);

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

/// A connector whose requests are known to be waited for, to the end of their answers, whose answers
/// are bounded, and whose errors tell what is not to be tried again.
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
            let mut answer = answer.await.map_err(not_again)?;
            if !is_read_whole && answer.status().is_success() {
                // Its body is still to come.
                answer.add_extension(Arc::new(wait));
                return Ok(answer);
            }
            let body = std::mem::replace(answer.body_mut(), SdkBody::empty());
            *answer.body_mut() = match whole(body).await {
                Ok(bytes) => SdkBody::from(bytes),
                Err(error) => failing(error),
            };
            Ok(answer)
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

/// Whether the answer is an object, by what the SDK writes into the address.
fn reads_object(request: &HttpRequest) -> bool {
    let query = request.uri().split_once('?').map(|(_, query)| query);
    query.is_some_and(|query| query.split('&').any(|part| part == "x-id=GetObject"))
}

/// The bytes of an answer's body, within the bounds of length and time.
async fn whole(body: SdkBody) -> Result<Bytes, BoxError> {
    let collected = timeout(BODY, Limited::new(body, MAX_ANSWER).collect()).await;
    match collected {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(TooLarge.into()),
        Ok(Err(error)) => Err(error),
        Err(late) => Err(ConnectorError::timeout(late.into()).into()),
    }
}

/// A body that ends with an error, as the SDK meets it when it reads an answer.
fn failing(error: BoxError) -> SdkBody {
    let error: Result<Frame<Bytes>, _> = Err(error);
    SdkBody::from_body_1_x(StreamBody::new(stream::iter([error])))
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
