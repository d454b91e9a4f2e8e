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

/// Reads a stream of exactly `length` bytes.
pub async fn collect_exactly(mut stream: ByteStream, length: u64) -> Result<Bytes> {
    let wrong = |actual: usize| Error::Size {
        expected: length,
        actual: actual as u64,
    };
    let capacity = usize::try_from(length).map_err(|_| wrong(0))?;
    let mut whole = BytesMut::new();
    while let Some(piece) = stream.next().await.transpose()? {
        if whole.is_empty() && piece.len() == capacity {
            return Ok(piece);
        }
        if whole.len() + piece.len() > capacity {
            return Err(wrong(whole.len() + piece.len()));
        }
        whole.reserve(capacity - whole.len());
        whole.extend_from_slice(&piece);
    }
    if whole.len() < capacity {
        return Err(wrong(whole.len()));
    }
    Ok(whole.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    fn pieces(parts: &[&'static str]) -> ByteStream {
        let parts: Vec<_> = parts.iter().map(|part| Ok(Bytes::from(*part))).collect();
        stream::iter(parts).boxed()
    }

    #[tokio::test]
    async fn a_stream_is_read_as_far_as_its_bound() {
        for parts in [
            &["abc"][..],
            &["ab", "c"],
            &["", "abc"],
            &["a", "", "bc", ""],
        ] {
            assert_eq!(collect(pieces(parts), 3).await.unwrap(), "abc");
            assert_eq!(collect_exactly(pieces(parts), 3).await.unwrap(), "abc");
            let error = collect(pieces(parts), 2).await.unwrap_err();
            assert!(matches!(error, Error::TooLarge { limit: 2 }), "{error}");
        }
        assert_eq!(collect_exactly(pieces(&[]), 0).await.unwrap(), "");
    }

    #[tokio::test]
    async fn too_few_or_too_many_bytes_are_an_error() {
        for (parts, length) in [
            (&["ab"][..], 3),
            (&[], 1),
            (&["ab", "cd"], 3),
            (&["abcd"], 3),
        ] {
            let error = collect_exactly(pieces(parts), length).await.unwrap_err();
            assert!(matches!(error, Error::Size { .. }), "{error}");
        }
    }
}
