//! Bodies in signed chunks, with headers behind them
//! ([Signature calculations: transferring payload in multiple chunks](https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html)).
//!
//! ```text
//! <size in hex>[;chunk-signature=…]\r\n<bytes>\r\n … 0[;…]\r\n[<name>:<value>\r\n …]\r\n
//! ```

use bytes::{Buf, Bytes, BytesMut};

/// The longest line between chunks.
const MAX_LINE: usize = 8 << 10;

/// Takes a body apart as it comes.
pub(super) struct Chunks {
    state: State,
    buffer: BytesMut,
    trailers: Vec<(String, String)>,
}

#[derive(Clone, Copy)]
enum State {
    Size,
    Chunk(usize),
    ChunkEnd,
    Trailers,
    Done,
}

/// The result of reading the bytes that came so far.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// These bytes of the payload.
    Piece(Bytes),
    /// Nothing before more comes.
    More,
    /// Nothing more at all.
    End,
}

/// A body that is no stream of chunks.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl Chunks {
    pub(super) fn new() -> Self {
        Self {
            state: State::Size,
            buffer: BytesMut::new(),
            trailers: Vec::new(),
        }
    }

    /// Takes the next bytes of the body.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// A header behind the payload, by its lowercase name, once that has ended.
    pub(super) fn trailer(&self, name: &str) -> Option<&str> {
        let trailer = self.trailers.iter().find(|(key, _)| key == name);
        trailer.map(|(_, value)| value.as_str())
    }

    pub(super) fn next(&mut self) -> Result<Step, Malformed> {
        loop {
            if let State::Done = self.state {
                return Ok(Step::End);
            }
            if let State::Chunk(left) = self.state {
                return Ok(self.piece(left));
            }
            let Some(line) = self.line()? else {
                return Ok(Step::More);
            };
            self.state = match self.state {
                State::Size => chunk(&line)?,
                State::ChunkEnd if line.is_empty() => State::Size,
                State::Trailers => match line.split_once(':') {
                    Some((name, value)) => {
                        let (name, value) = (name.to_ascii_lowercase(), value.trim());
                        self.trailers.push((name, value.to_owned()));
                        State::Trailers
                    }
                    None => State::Done,
                },
                _ => return Err(Malformed),
            };
        }
    }

    fn piece(&mut self, left: usize) -> Step {
        if self.buffer.is_empty() {
            return Step::More;
        }
        let piece = self.buffer.split_to(left.min(self.buffer.len()));
        self.state = match left - piece.len() {
            0 => State::ChunkEnd,
            left => State::Chunk(left),
        };
        Step::Piece(piece.freeze())
    }

    /// The next line without its end, once it is here.
    fn line(&mut self) -> Result<Option<String>, Malformed> {
        let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") else {
            let endless = self.buffer.len() > MAX_LINE;
            return if endless { Err(Malformed) } else { Ok(None) };
        };
        let line = self.buffer.split_to(end);
        self.buffer.advance(2);
        let line = String::from_utf8(line.to_vec()).map_err(|_| Malformed)?;
        Ok(Some(line))
    }
}

/// The state after a line that announces a chunk.
fn chunk(line: &str) -> Result<State, Malformed> {
    let size = line.split(';').next().unwrap_or_default();
    match usize::from_str_radix(size, 16) {
        Ok(0) => Ok(State::Trailers),
        Ok(size) => Ok(State::Chunk(size)),
        Err(_) => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Takes a body apart that comes in parts of `length` bytes: its payload, if it ends.
    fn payload(
        chunks: &mut Chunks,
        body: &[u8],
        length: usize,
    ) -> Result<Option<Vec<u8>>, Malformed> {
        let mut payload = Vec::new();
        let mut parts = body.chunks(length);
        loop {
            match chunks.next()? {
                Step::Piece(piece) => payload.extend_from_slice(&piece),
                Step::End => return Ok(Some(payload)),
                Step::More => match parts.next() {
                    Some(part) => chunks.feed(part),
                    None => return Ok(None),
                },
            }
        }
    }

    proptest! {
        #[test]
        fn puts_the_payload_together(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 0..8),
            length in 1_usize..70,
        ) {
            let mut body = Vec::new();
            for piece in &pieces {
                body.extend(format!("{:x};chunk-signature=0a\r\n", piece.len()).bytes());
                body.extend(piece);
                body.extend(b"\r\n");
            }
            body.extend(b"0\r\nX-Amz-Checksum-Crc32: AAAAAA==\r\n\r\n");
            let mut chunks = Chunks::new();
            prop_assert_eq!(payload(&mut chunks, &body, length), Ok(Some(pieces.concat())));
            prop_assert_eq!(chunks.trailer("x-amz-checksum-crc32"), Some("AAAAAA=="));
            let cut = &body[..body.len() - 2];
            prop_assert_eq!(payload(&mut Chunks::new(), cut, length), Ok(None));
        }

        #[test]
        fn any_body_ends(body in prop::collection::vec(any::<u8>(), 0..200), length in 1_usize..70) {
            let taken = payload(&mut Chunks::new(), &body, length);
            if let Ok(Some(payload)) = taken {
                prop_assert!(payload.len() < body.len());
            }
        }
    }

    #[test]
    fn refuses_what_is_no_chunk() {
        let endless = "1".repeat(MAX_LINE + 1);
        for body in ["x\r\n", "1\r\nab\r\n", "-1\r\n", endless.as_str()] {
            let taken = payload(&mut Chunks::new(), body.as_bytes(), 100);
            assert_eq!(taken, Err(Malformed), "{body}");
        }
    }
}
