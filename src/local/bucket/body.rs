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
const CRC32: &str = "x-amz-checksum-crc32";
const SHA256: &str = "x-amz-checksum-sha256";

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
    let mut checksums = [CRC32, SHA256].map(|name| request.header(name).map(str::to_owned));
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
        for (checksum, name) in checksums.iter_mut().zip([CRC32, SHA256]) {
            *checksum = chunks.trailer(name).map(str::to_owned).or(checksum.take());
        }
    } else {
        while let Some(piece) = request.body.next().await? {
            written.take(&piece).await?;
        }
    }
    written.finish(checksums).await
}

fn is_chunked(request: &Request) -> bool {
    let encoding = request.header(CONTENT_ENCODING).unwrap_or_default();
    let hash = request.header("x-amz-content-sha256").unwrap_or_default();
    encoding.contains("aws-chunked") || hash.starts_with("STREAMING-")
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let pairs = (0..hex.len()).step_by(2).map(|at| &hex[at..at + 2]);
    pairs
        .filter_map(|pair| u8::from_str_radix(pair, 16).ok())
        .collect()
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

    /// Compares the CRC-32 and the SHA-256, where they are told.
    async fn finish(mut self, told: [Option<String>; 2]) -> Result<String, Refusal> {
        self.file.flush().await?;
        let sha256 = self.sha256.finish();
        let actual = [
            STANDARD.encode(self.crc32.sum().to_be_bytes()),
            STANDARD.encode(bytes_of(sha256.hex())),
        ];
        let differs =
            |(told, actual): (Option<String>, String)| told.is_some_and(|told| told != actual);
        if told.into_iter().zip(actual).any(differs) {
            return Err(Refusal::BadDigest);
        }
        Ok(sha256.hex()[..32].to_owned())
    }
}
