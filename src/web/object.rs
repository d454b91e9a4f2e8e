//! One object, as it was when it was opened.

use std::ops::Range;
use std::sync::Arc;

use futures_util::{FutureExt, StreamExt, TryStreamExt};
use reqwest::header::CONTENT_RANGE;
use reqwest::{Response, StatusCode, Url};

use super::client::Client;
use super::pin::Pin;
use super::{Config, Error};
use crate::content::{self, ByteStream, GetRange, RemoteObject};
use crate::network::ContentRange;
use crate::redact::RedactedUrl;

/// An object of a web server as it was when it was opened.
struct Pinned {
    client: Client,
    pin: Pin,
    size: u64,
}

/// Opens an object of a web server by one request, which brings its size and its first bytes. Reads
/// fail when it has changed since.
pub async fn open_object(config: Config, url: Url) -> Result<RemoteObject, Error> {
    let client = Client::new(config, url)?;
    let name = client.shown_url().to_string();
    let answer = client.get(&(0..RemoteObject::HEAD), None).await?;
    if is_empty(&answer) {
        return Ok(RemoteObject::empty(name));
    }
    let size = size(&answer, 0)?;
    let pin = Pin::of(answer.headers());
    let pin = pin.ok_or_else(|| Error::NoValidator {
        url: client.shown_url(),
    })?;
    let pinned = Arc::new(Pinned { client, pin, size });
    let get: GetRange = Arc::new(move |range| {
        let pinned = Arc::clone(&pinned);
        async move { pinned.body(range).await.map_err(content::Error::backend) }.boxed()
    });
    Ok(RemoteObject::open(name, size, pieces(answer), get).await)
}

impl Pinned {
    /// Asks for a range, which is not empty, and gives its bytes as they come.
    async fn body(&self, range: Range<u64>) -> Result<ByteStream, Error> {
        let answer = self.client.get(&range, Some(&self.pin)).await?;
        let url = || self.client.shown_url();
        if answer.status() == StatusCode::RANGE_NOT_SATISFIABLE {
            return Err(Error::Changed { url: url() });
        }
        let size = size(&answer, range.start)?;
        // Not every server heeds the condition.
        if size != self.size || Pin::of(answer.headers()).as_ref() != Some(&self.pin) {
            return Err(Error::Changed { url: url() });
        }
        Ok(pieces(answer))
    }
}

/// Returns true if the object has no bytes. A server may say that there is no such range of it, or
/// send all of it.
fn is_empty(answer: &Response) -> bool {
    match answer.status() {
        StatusCode::RANGE_NOT_SATISFIABLE => true,
        StatusCode::OK => answer.content_length() == Some(0),
        _ => false,
    }
}

/// The object's size, as an answer of the bytes from `first` on tells it.
fn size(answer: &Response, first: u64) -> Result<u64, Error> {
    let url = RedactedUrl::new(answer.url());
    if answer.status() != StatusCode::PARTIAL_CONTENT {
        return Err(Error::NoRanges { url });
    }
    let range = answer.headers().get(CONTENT_RANGE);
    let range = range.and_then(|text| ContentRange::parse(text.to_str().ok()?));
    let range = range.filter(|range| range.first == first);
    let range = range.ok_or(Error::Protocol {
        url,
        problem: "without the Content-Range that was asked for",
    })?;
    Ok(range.size)
}

fn pieces(answer: Response) -> ByteStream {
    let url = RedactedUrl::new(answer.url());
    answer
        .bytes_stream()
        .map_err(move |error| {
            content::Error::backend(Error::Transport {
                url: url.clone(),
                source: error.without_url(),
            })
        })
        .boxed()
}
