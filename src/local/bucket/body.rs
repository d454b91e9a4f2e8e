//! Bodies as the SDK sends them to S3: plain, or in signed chunks with a checksum behind them
//! ([Signature calculations: transferring payload in multiple chunks](https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html)).

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, Bytes, BytesMut};
use hyper::header::CONTENT_ENCODING;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use super::failure::Refusal;
use super::service::BucketService;
use crate::local::http::{Request, RequestBody};
use crate::oci::{Algorithm, Digester};

/// The longest line between chunks.
const MAX_LINE: usize = 8 << 10;

impl BucketService {
    /// Writes a request's body to a file, checks the checksums that it brings, and returns a
    /// digest of it.
    pub(super) async fn write(
        &self,
        request: &mut Request,
        path: &Path,
    ) -> Result<String, Refusal> {
        let mut file = File::create(path).await?;
        let mut sums = Sums::default();
        let mut payload = Payload::new(request);
        while let Some(piece) = payload.next(&mut request.body).await? {
            sums.update(&piece);
            file.write_all(&piece).await?;
        }
        file.flush().await?;
        let given = |name: &str| {
            let trailer = payload.trailers.iter().find(|(key, _)| key == name);
            let trailer = trailer.map(|(_, value)| value.as_str());
            trailer.or(request.header(name)).map(str::to_owned)
        };
        sums.finish(given("x-amz-checksum-crc32"))
    }
}

struct Sums {
    crc32: flate2::Crc,
    sha256: Digester,
}

impl Default for Sums {
    fn default() -> Self {
        Self {
            crc32: flate2::Crc::new(),
            sha256: Digester::new(Algorithm::Sha256),
        }
    }
}

impl Sums {
    fn update(&mut self, bytes: &[u8]) {
        self.crc32.update(bytes);
        self.sha256.update(bytes);
    }

    /// Compares with the given checksum, and returns the content's `ETag`.
    fn finish(self, crc32: Option<String>) -> Result<String, Refusal> {
        let actual = STANDARD.encode(self.crc32.sum().to_be_bytes());
        if crc32.is_some_and(|crc32| crc32 != actual) {
            return Err(Refusal::BadDigest);
        }
        Ok(self.sha256.finish().hex()[..32].to_owned())
    }
}

/// The payload of a body.
struct Payload {
    state: State,
    buffer: BytesMut,
    trailers: Vec<(String, String)>,
}

#[derive(Clone, Copy)]
enum State {
    Plain,
    Size,
    Chunk(usize),
    ChunkEnd,
    Trailers,
    Done,
}

impl Payload {
    fn new(request: &Request) -> Self {
        let encoding = request.header(CONTENT_ENCODING).unwrap_or_default();
        let hash = request.header("x-amz-content-sha256").unwrap_or_default();
        let chunked = encoding.contains("aws-chunked") || hash.starts_with("STREAMING-");
        Self {
            state: if chunked { State::Size } else { State::Plain },
            buffer: BytesMut::new(),
            trailers: Vec::new(),
        }
    }

    async fn next(&mut self, body: &mut RequestBody) -> Result<Option<Bytes>, Refusal> {
        loop {
            match self.state {
                State::Plain => return Ok(body.next().await?),
                State::Size => {
                    let line = self.line(body).await?;
                    let size = line.split(';').next().unwrap_or_default();
                    let size = usize::from_str_radix(size, 16).map_err(|_| malformed())?;
                    self.state = if size == 0 {
                        State::Trailers
                    } else {
                        State::Chunk(size)
                    };
                }
                State::Chunk(left) => {
                    if self.buffer.is_empty() {
                        self.fill(body).await?;
                    }
                    let piece = self.buffer.split_to(left.min(self.buffer.len())).freeze();
                    self.state = match left - piece.len() {
                        0 => State::ChunkEnd,
                        left => State::Chunk(left),
                    };
                    return Ok(Some(piece));
                }
                State::ChunkEnd => {
                    if !self.line(body).await?.is_empty() {
                        return Err(malformed());
                    }
                    self.state = State::Size;
                }
                State::Trailers => self.read_trailer(body).await?,
                State::Done => return Ok(None),
            }
        }
    }

    async fn read_trailer(&mut self, body: &mut RequestBody) -> Result<(), Refusal> {
        let line = self.line(body).await?;
        match line.split_once(':') {
            Some((name, value)) => self
                .trailers
                .push((name.to_ascii_lowercase(), value.trim().to_owned())),
            None => self.state = State::Done,
        }
        Ok(())
    }

    /// The next line, without its end.
    async fn line(&mut self, body: &mut RequestBody) -> Result<String, Refusal> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.buffer.split_to(end);
                self.buffer.advance(2);
                return String::from_utf8(line.to_vec()).map_err(|_| malformed());
            }
            if self.buffer.len() > MAX_LINE {
                return Err(malformed());
            }
            self.fill(body).await?;
        }
    }

    async fn fill(&mut self, body: &mut RequestBody) -> Result<(), Refusal> {
        let piece = body.next().await?.ok_or_else(malformed)?;
        self.buffer.extend_from_slice(&piece);
        Ok(())
    }
}

fn malformed() -> Refusal {
    Refusal::Malformed("The body is no stream of chunks.")
}
