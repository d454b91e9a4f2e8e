//! One HTTP client for all calls to AWS.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, LengthLimitError, Limited, StreamBody};
use hyper::body::Frame;
use tokio::time::timeout;

use crate::content::{BoxError, Wait};
use crate::network::{Trouble, http_client};
use crate::redact::RedactedUrl;

/// The most that is read of an answer, which the SDK reads whole: more than any of them has. Objects
/// are read as they come, and have any length.
const MAX_ANSWER: usize = 4 << 20;

/// The time that the body of an answer may take that is read whole.
const BODY: Duration = Duration::from_secs(20);

type Timeouts = (Option<Duration>, Option<Duration>);

/// A client that keeps `HTTPS_PROXY` and `NO_PROXY`, and whose connections all services share: the
/// SDK's own would make them anew for each.
pub(super) fn shared_client() -> SharedHttpClient {
    let connectors: Mutex<Vec<(Timeouts, SharedHttpConnector)>> = Mutex::default();
    http_client_fn(move |settings, _| {
        let timeouts = (settings.connect_timeout(), settings.read_timeout());
        let mut connectors = connectors.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, connector)) = connectors.iter().find(|(key, _)| *key == timeouts) {
            return connector.clone();
        }
        let connector = connector(settings);
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

/// Returns true if the answer is an object, by what the SDK writes into the address.
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

fn connector(settings: &HttpConnectorSettings) -> SharedHttpConnector {
    let mut client = http_client().redirect(reqwest::redirect::Policy::none());
    if let Some(limit) = settings.connect_timeout() {
        client = client.connect_timeout(limit);
    }
    SharedHttpConnector::new(Watched(Sender {
        client: client.build().map_err(Arc::new),
        limit: settings.read_timeout(),
    }))
}

/// Sends requests as all other parts of Longshore do.
#[derive(Debug)]
struct Sender {
    /// The client, or why there is none.
    client: Result<reqwest::Client, Arc<reqwest::Error>>,
    /// The time that an answer may take to begin.
    limit: Option<Duration>,
}

impl HttpConnector for Sender {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (client, limit) = (self.client.clone(), self.limit);
        HttpConnectorFuture::new(async move {
            let client = client.map_err(|error| ConnectorError::user(error.into()))?;
            let answering = client.execute(readied(request)?);
            let answer = match limit {
                Some(limit) => timeout(limit, answering)
                    .await
                    .map_err(|late| ConnectorError::timeout(late.into()))?,
                None => answering.await,
            };
            let answer = hyper::Response::<reqwest::Body>::from(answer.map_err(unanswered)?);
            HttpResponse::try_from(answer.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::user(error.into()))
        })
    }
}

/// A signed request, which must go out as it was signed.
fn readied(request: HttpRequest) -> Result<reqwest::Request, ConnectorError> {
    let user = |error: BoxError| ConnectorError::user(error);
    let request = request
        .try_into_http1x()
        .map_err(|error| user(error.into()))?;
    let path = request.uri().path().to_owned();
    let request = request.map(reqwest::Body::wrap);
    let request = reqwest::Request::try_from(request).map_err(|error| user(error.into()))?;
    if request.url().path() != path {
        return Err(user(RelativePath.into()));
    }
    Ok(request)
}

/// A path that says another one, such as the key `a/../b`.
#[derive(Debug, thiserror::Error)]
#[error("the path of a request cannot have . or .. between its slashes")]
struct RelativePath;

/// An error as the SDK tells them apart: all but these pass, maybe.
fn unanswered(error: reqwest::Error) -> ConnectorError {
    if error.is_timeout() {
        ConnectorError::timeout(error.into())
    } else if error.is_builder() || error.is_body() {
        ConnectorError::user(error.into())
    } else {
        ConnectorError::io(error.into())
    }
}
