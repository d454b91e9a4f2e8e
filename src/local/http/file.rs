//! Answering a GET or HEAD with a file, or a part of one.

use std::io::{self, SeekFrom};
use std::path::Path;

use bytes::BytesMut;
use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, RANGE};
use hyper::{Method, StatusCode};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::range::{Asked, asked};
use super::{Body, Request, Response, empty, set};

/// Bytes that are read from disk at once.
const PIECE: usize = 256 << 10;

/// An open file about to be served.
pub(crate) struct FileAnswer {
    file: File,
    size: u64,
}

impl FileAnswer {
    /// Opens a regular file.
    pub(crate) async fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path).await?;
        let metadata = file.metadata().await?;
        if !metadata.is_file() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let size = metadata.len();
        Ok(Self { file, size })
    }

    /// The file's metadata.
    pub(crate) async fn metadata(&self) -> io::Result<std::fs::Metadata> {
        self.file.metadata().await
    }

    /// The answer: 200 with all of the file, 206 with the part that the request asks for, or
    /// 416 where that lies outside.
    pub(crate) async fn respond(mut self, request: &Request) -> io::Result<Response> {
        let size = self.size;
        let (status, range) = match asked(request.header(RANGE), size) {
            Asked::Whole => (StatusCode::OK, 0..size),
            Asked::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
            Asked::Outside => {
                let mut response = empty(StatusCode::RANGE_NOT_SATISFIABLE);
                set(&mut response, CONTENT_RANGE, format!("bytes */{size}"));
                return Ok(response);
            }
        };
        let length = range.end - range.start;
        let mut response = empty(status);
        if request.method != Method::HEAD {
            self.file.seek(SeekFrom::Start(range.start)).await?;
            *response.body_mut() = stream_file(self.file, length);
        }
        if status == StatusCode::PARTIAL_CONTENT {
            let last = range.end - 1;
            set(
                &mut response,
                CONTENT_RANGE,
                format!("bytes {}-{last}/{size}", range.start),
            );
        }
        set(&mut response, ACCEPT_RANGES, "bytes");
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
        Ok(response)
    }
}

fn stream_file(file: File, length: u64) -> Body {
    let file = file.take(length);
    let pieces = stream::try_unfold(file, |mut file| async move {
        let mut piece = BytesMut::with_capacity(PIECE);
        let read = file.read_buf(&mut piece).await?;
        Ok((read > 0).then(|| (Frame::data(piece.freeze()), file)))
    });
    BodyExt::boxed_unsync(StreamBody::new(pieces.boxed()))
}
