//! Checking content while it flows.

use futures_util::{StreamExt, stream};

use super::{ByteStream, Error};
use crate::oci::{Descriptor, Digester};

/// Passes `stream` on and ends it in an error where size or digest are not the descriptor's.
///
/// The last piece is held back until the whole is known to be right, so that a consumer that
/// sends on what it gets never completes wrong content.
pub fn verified(stream: ByteStream, descriptor: &Descriptor) -> ByteStream {
    let state = Verify {
        stream,
        digester: Some(Digester::new(descriptor.digest.algorithm())),
        expected: descriptor.clone(),
        seen: 0,
    };
    stream::unfold(state, Verify::next).boxed()
}

struct Verify {
    stream: ByteStream,
    /// Gone when the stream has ended.
    digester: Option<Digester>,
    expected: Descriptor,
    seen: u64,
}

impl Verify {
    async fn next(mut self) -> Option<(super::Result<bytes::Bytes>, Self)> {
        let digester = self.digester.as_mut()?;
        let piece = match self.stream.next().await {
            Some(Ok(piece)) => piece,
            Some(Err(error)) => return Some((Err(error), self.ended())),
            None if self.seen == self.expected.size && self.seen == 0 => {
                return self.finish(bytes::Bytes::new());
            }
            None => {
                let error = self.size_error();
                return Some((Err(error), self.ended()));
            }
        };
        digester.update(&piece);
        self.seen += piece.len() as u64;
        if self.seen > self.expected.size {
            let error = self.size_error();
            return Some((Err(error), self.ended()));
        }
        if self.seen < self.expected.size {
            return Some((Ok(piece), self));
        }
        match self.stream.next().await {
            None => self.finish(piece),
            Some(Err(error)) => Some((Err(error), self.ended())),
            Some(Ok(more)) => {
                self.seen += more.len() as u64;
                if more.is_empty() {
                    return self.finish(piece);
                }
                let error = self.size_error();
                Some((Err(error), self.ended()))
            }
        }
    }

    fn finish(mut self, last: bytes::Bytes) -> Option<(super::Result<bytes::Bytes>, Self)> {
        let actual = self.digester.take()?.finish();
        if actual == self.expected.digest {
            return Some((Ok(last), self));
        }
        let expected = self.expected.digest.clone();
        Some((Err(Error::Digest { expected, actual }), self))
    }

    fn size_error(&self) -> Error {
        Error::Size {
            expected: self.expected.size,
            actual: self.seen,
        }
    }

    fn ended(mut self) -> Self {
        self.digester = None;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::collect;
    use crate::oci::{Digest, MediaType};
    use bytes::Bytes;

    fn pieces(parts: &[&'static str]) -> ByteStream {
        let parts: Vec<_> = parts.iter().map(|part| Ok(Bytes::from(*part))).collect();
        stream::iter(parts).boxed()
    }

    fn descriptor(text: &str) -> Descriptor {
        let digest = Digest::sha256(text.as_bytes());
        Descriptor::new(MediaType::OCTET_STREAM, digest, text.len() as u64)
    }

    #[tokio::test]
    async fn passes_what_is_right() {
        for parts in [&["ab", "c"][..], &["abc"], &["a", "", "bc", ""]] {
            let stream = verified(pieces(parts), &descriptor("abc"));
            assert_eq!(collect(stream, 10).await.unwrap(), "abc");
        }
        assert_eq!(
            collect(verified(pieces(&[]), &descriptor("")), 1)
                .await
                .unwrap(),
            ""
        );
    }

    #[tokio::test]
    async fn withholds_the_end_of_what_is_wrong() {
        for (parts, text) in [
            (&["ab", "d"][..], "digest mismatch"),
            (&["ab"], "expected 3 bytes, got 2"),
            (&["ab", "cd"], "expected 3 bytes, got 4"),
            (&["abc", "d"], "expected 3 bytes, got 4"),
            (&[], "expected 3 bytes, got 0"),
        ] {
            let mut stream = verified(pieces(parts), &descriptor("abc"));
            let mut passed = 0;
            let error = loop {
                match stream.next().await.expect("an error before the end") {
                    Ok(piece) => passed += piece.len(),
                    Err(error) => break error.to_string(),
                }
            };
            assert!(error.contains(text), "{parts:?}: {error}");
            assert!(passed < 3, "{parts:?}");
            assert!(stream.next().await.is_none());
        }
    }
}
