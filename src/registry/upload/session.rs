//! One upload session: where it is, and what it has.

use bytes::{Bytes, BytesMut};
use futures_util::stream::Fuse;
use futures_util::{StreamExt, TryStreamExt};
use reqwest::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderName, HeaderValue, RANGE,
};
use reqwest::{Method, StatusCode, Url};

use crate::content::{self, ByteStream, ChunkMemory};
use crate::oci::Digest;
use crate::redact::RedactedUrl;
use crate::registry::Error;
use crate::registry::auth::Access;
use crate::registry::blob;
use crate::registry::feed::Feed;
use crate::registry::transport::{Call, Transport};
use crate::registry::wire::Response;

/// The size below which a registry takes no chunk but the last.
const MINIMUM_CHUNK: HeaderName = HeaderName::from_static("oci-chunk-min-length");
/// The largest such size that is believed: chunks are held in memory.
const MAX_MINIMUM_CHUNK: u64 = 16 << 20;
const OCTETS: &str = "application/octet-stream";

/// Why an upload did not come to its end.
#[derive(Debug)]
pub(super) enum Failure {
    /// The blob's bytes could not be read.
    Source(content::Error),
    /// The registry did not take them.
    Registry(Error),
    /// The credentials had expired, and there are new ones.
    Renewed(Error),
    /// All bytes were read, and their digest is still not known.
    Undigested,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Registry(error)
    }
}

impl From<content::Error> for Failure {
    fn from(error: content::Error) -> Self {
        Self::Source(error)
    }
}

/// An upload session of a registry. Its location changes with each answer.
#[derive(Debug)]
pub(super) struct Session {
    location: Url,
    /// Bytes that the registry has. Counted here: some registries' `Range` lags behind.
    pub(super) offset: u64,
    /// The size that all chunks but the last must have.
    pub(super) minimum_chunk: u64,
    /// The most bytes that one request sends, where that is not a whole blob.
    pub(super) largest_body: Option<u64>,
    /// True if it was taken up again after a failure.
    pub(super) resumed: bool,
    /// True if the registry was asked to commit it.
    pub(super) committing: bool,
}

impl Session {
    /// Opens a session.
    pub(super) async fn start(transport: &Transport) -> Result<Self, Error> {
        let url = transport.url("blobs/uploads/");
        let call = Call::new(Method::POST, url, Access::Push);
        Self::of(transport, &transport.send(&call).await?)
    }

    /// The session that an answer opened.
    pub(super) fn of(transport: &Transport, response: &Response) -> Result<Self, Error> {
        let location = response.location()?;
        transport.permit(&location)?;
        let minimum = response.header(&MINIMUM_CHUNK);
        let minimum: u64 = minimum.and_then(|text| text.parse().ok()).unwrap_or(0);
        Ok(Self {
            location,
            offset: 0,
            minimum_chunk: minimum.min(MAX_MINIMUM_CHUNK),
            largest_body: None,
            resumed: false,
            committing: false,
        })
    }

    /// Sends all of `stream` in one request; `size` is the whole blob's, if it is known.
    pub(super) async fn send(
        &mut self,
        transport: &Transport,
        stream: ByteStream,
        size: Option<u64>,
    ) -> Result<(), Failure> {
        let url = self.location.clone();
        let authorization = transport.authorization_for(&url, Access::Push).await?;
        let shown = RedactedUrl::new(&url);
        let (feed, body) = Feed::new(stream, || format!("the upload by PATCH {shown}"));
        let mut request = reqwest::Request::new(Method::PATCH, url);
        *request.body_mut() = Some(body);
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(OCTETS));
        if let Some(size) = size {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(size - self.offset));
            if self.offset > 0 {
                headers.insert(
                    CONTENT_RANGE,
                    content_range(self.offset, size - self.offset),
                );
            }
        }
        if let Some(authorization) = &authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        let stall = transport.wire().patience().stall;
        let answer = tokio::select! {
            answer = transport.wire().send(request) => answer,
            () = feed.stalled(stall) => Err(Error::Timeout {
                method: Method::PATCH,
                url: RedactedUrl::new(&self.location),
                after: stall,
            }),
        };
        if let Some(error) = feed.take_failure() {
            return Err(Failure::Source(error));
        }
        let response = answer?;
        let renewed = transport
            .renew(&response, authorization.as_ref(), Access::Push)
            .await?;
        if renewed.is_some() {
            return Err(Failure::Renewed(response.into_error().await));
        }
        let response = transport.success(response).await?;
        self.took(transport, &response, feed.sent())?;
        Ok(())
    }

    /// Sends `stream` in requests of at most `chunk` bytes each, and of fewer where so many uploads
    /// are under way that there is no memory for more.
    pub(super) async fn send_in_chunks(
        &mut self,
        transport: &Transport,
        stream: ByteStream,
        chunk: u64,
    ) -> Result<(), Failure> {
        let mut stream = stream.fuse();
        let mut rest = Bytes::new();
        loop {
            let memory = ChunkMemory::take(self.minimum_chunk, chunk).await;
            let size = memory.bytes().min(chunk);
            let full = filled(&mut stream, &mut rest, size).await?;
            if full.is_empty() {
                return Ok(());
            }
            self.largest_body = Some(size);
            self.send_chunk(transport, full).await?;
        }
    }

    async fn send_chunk(&mut self, transport: &Transport, chunk: Bytes) -> Result<(), Error> {
        let length = chunk.len() as u64;
        let range = content_range(self.offset, length);
        let call = Call::new(Method::PATCH, self.location.clone(), Access::Push)
            .header(CONTENT_TYPE, OCTETS)
            .header(CONTENT_RANGE, range.to_str().unwrap_or_default())
            .body(chunk)
            .patience(transport.wire().patience().commit);
        let response = transport.once(&call).await?;
        self.took(transport, &response, length)
    }

    fn took(&mut self, transport: &Transport, response: &Response, sent: u64) -> Result<(), Error> {
        self.offset += sent;
        self.moved(transport, response)
    }

    /// Goes on where an answer points, if it points anywhere.
    fn moved(&mut self, transport: &Transport, response: &Response) -> Result<(), Error> {
        if let Ok(location) = response.location() {
            transport.permit(&location)?;
            self.location = location;
        }
        Ok(())
    }

    /// Ends the session: `last` and what was sent before it become the blob.
    pub(super) async fn commit(
        &mut self,
        transport: &Transport,
        digest: &Digest,
        last: Bytes,
    ) -> Result<(), Failure> {
        self.committing = true;
        let length = last.len() as u64;
        let mut url = self.location.clone();
        url.query_pairs_mut()
            .append_pair("digest", &digest.to_string());
        let call = Call::new(Method::PUT, url, Access::Push)
            .header(CONTENT_TYPE, OCTETS)
            .body(last)
            .patience(transport.wire().patience().commit);
        let size = self.offset + length;
        let response = transport.once(&call).await?;
        if response.status() == StatusCode::CREATED {
            return Ok(());
        }
        // 201 is what the specification asks for, and any other success may be a proxy's.
        match blob::size(transport, digest).await {
            Ok(found) if found == size => Ok(()),
            Ok(_) | Err(Error::Protocol { .. }) => Err(absent(&response).into()),
            Err(error) if error.is_not_found() => Err(absent(&response).into()),
            Err(error) => Err(error.into()),
        }
    }

    /// How far the registry says the session is.
    pub(super) async fn ask_offset(&mut self, transport: &Transport) -> Result<u64, Error> {
        let call = Call::new(Method::GET, self.location.clone(), Access::Push);
        let response = transport.once(&call).await?;
        let offset = response
            .header(&RANGE)
            .and_then(parse_range_end)
            .ok_or_else(|| response.problem("without a Range"))?;
        self.moved(transport, &response)?;
        Ok(offset)
    }

    /// An error about this session.
    pub(super) fn problem(&self, problem: &'static str) -> Error {
        Error::Protocol {
            method: Method::PATCH,
            url: RedactedUrl::new(&self.location),
            problem,
        }
    }
}

/// The next `size` bytes of a stream, or all that are left. `rest` is what is left of its last piece.
async fn filled(
    stream: &mut Fuse<ByteStream>,
    rest: &mut Bytes,
    size: u64,
) -> Result<Bytes, content::Error> {
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let mut held = BytesMut::with_capacity(size);
    while held.len() < size {
        if rest.is_empty() {
            match stream.try_next().await? {
                Some(piece) => *rest = piece,
                None => break,
            }
        }
        let room = size - held.len();
        held.extend_from_slice(&rest.split_to(rest.len().min(room)));
    }
    Ok(held.freeze())
}

fn absent(committed: &Response) -> Error {
    committed.problem("with a success, and does not have the blob")
}

/// `<first>-<last>`, without the unit that HTTP's own header has.
fn content_range(offset: u64, length: u64) -> HeaderValue {
    let last = (offset + length).saturating_sub(1);
    // Digits and a dash are always a header value.
    HeaderValue::from_str(&format!("{offset}-{last}"))
        .unwrap_or_else(|_| HeaderValue::from_static("0-0"))
}

/// The number of bytes in `0-<last>`. `0-0` is what registries say of an empty session, and also
/// of one with a single byte, which is then sent again and refused.
fn parse_range_end(text: &str) -> Option<u64> {
    let text = text.trim();
    let text = text.strip_prefix("bytes=").unwrap_or(text);
    let last: u64 = text.strip_prefix("0-")?.parse().ok()?;
    if last == 0 {
        Some(0)
    } else {
        last.checked_add(1)
    }
}
