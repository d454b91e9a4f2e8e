//! Reading a whole content into memory, within a bound.

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

use super::{ByteStream, Error, Result};

/// Reads a stream to its end, of at most `limit` bytes.
pub async fn collect(mut stream: ByteStream, limit: u64) -> Result<Bytes> {
    let Some(first) = stream.next().await.transpose()? else {
        return Ok(Bytes::new());
    };
    if first.len() as u64 > limit {
        return Err(Error::TooLarge { limit });
    }
    let Some(second) = stream.next().await.transpose()? else {
        return Ok(first);
    };
    let mut whole = BytesMut::from(first);
    whole.extend_from_slice(&second);
    while let Some(piece) = stream.next().await.transpose()? {
        if (whole.len() + piece.len()) as u64 > limit {
            return Err(Error::TooLarge { limit });
        }
        whole.extend_from_slice(&piece);
    }
    if whole.len() as u64 > limit {
        return Err(Error::TooLarge { limit });
    }
    Ok(whole.freeze())
}
