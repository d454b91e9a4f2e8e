//! Bodies of objects on their way to a file.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::CONTENT_ENCODING;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use super::chunked::{Chunks, Malformed, Step};
use super::failure::Refusal;
use crate::local::http::Request;
use crate::oci::{Algorithm, Digester};

/// The checksum that the SDK sends unless it is told another.
const CHECKSUM: &str = "x-amz-checksum-crc32";

impl From<Malformed> for Refusal {
    fn from(_: Malformed) -> Self {
        Self::Malformed("The body is no stream of chunks.")
    }
}

/// Writes a request's body to a file, compares it with the checksum that it brings, and returns
/// a digest of it.
pub(super) async fn write(request: &mut Request, path: &Path) -> Result<String, Refusal> {
    let mut written = Written {
        file: File::create(path).await?,
        crc32: flate2::Crc::new(),
        sha256: Digester::new(Algorithm::Sha256),
    };
    let mut checksum = request.header(CHECKSUM).map(str::to_owned);
    if is_chunked(request) {
        let mut chunks = Chunks::new();
        loop {
            match chunks.next()? {
                Step::Piece(piece) => written.take(&piece).await?,
                Step::More => {
                    let piece = request.body.next().await?.ok_or(Malformed)?;
                    chunks.feed(&piece);
                }
                Step::End => break,
            }
        }
        checksum = chunks.trailer(CHECKSUM).map(str::to_owned).or(checksum);
    } else {
        while let Some(piece) = request.body.next().await? {
            written.take(&piece).await?;
        }
    }
    written.finish(checksum).await
}

fn is_chunked(request: &Request) -> bool {
    let encoding = request.header(CONTENT_ENCODING).unwrap_or_default();
    let hash = request.header("x-amz-content-sha256").unwrap_or_default();
    encoding.contains("aws-chunked") || hash.starts_with("STREAMING-")
}

struct Written {
    file: File,
    crc32: flate2::Crc,
    sha256: Digester,
}

impl Written {
    async fn take(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        self.crc32.update(bytes);
        self.sha256.update(bytes);
        self.file.write_all(bytes).await?;
        Ok(())
    }

    async fn finish(mut self, checksum: Option<String>) -> Result<String, Refusal> {
        self.file.flush().await?;
        let actual = STANDARD.encode(self.crc32.sum().to_be_bytes());
        if checksum.is_some_and(|expected| expected != actual) {
            return Err(Refusal::BadDigest);
        }
        Ok(self.sha256.finish().hex()[..32].to_owned())
    }
}
