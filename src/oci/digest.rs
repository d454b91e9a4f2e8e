//! Digests: the identity of stored bytes.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{self as crypto, Context};
use serde::{Deserialize, Serialize};

/// A digest algorithm that the image specification registers
/// ([descriptor.md, "Registered algorithms"](https://github.com/opencontainers/image-spec/blob/main/descriptor.md#registered-algorithms)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// SHA-256, what nearly every image uses.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// The algorithm's name as it stands before the colon of a digest.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        match name {
            "sha256" => Some(Self::Sha256),
            "sha512" => Some(Self::Sha512),
            _ => None,
        }
    }

    fn hex_len(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

/// The digest of some bytes, `<algorithm>:<lowercase hex>`
/// ([descriptor.md, "Digests"](https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests)).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest {
    algorithm: Algorithm,
    hex: Box<str>,
}

impl Digest {
    /// The SHA-256 digest of `bytes`.
    pub fn sha256(bytes: &[u8]) -> Self {
        let mut digester = Digester::new(Algorithm::Sha256);
        digester.update(bytes);
        digester.finish()
    }

    /// The algorithm that made this digest.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The encoded part, lowercase hex.
    pub fn hex(&self) -> &str {
        &self.hex
    }

    /// Returns true if this is the digest of `bytes`.
    pub fn matches(&self, bytes: &[u8]) -> bool {
        let mut digester = Digester::new(self.algorithm);
        digester.update(bytes);
        digester.finish() == *self
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.name(), self.hex)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDigest {
    /// There is no colon between algorithm and hex.
    #[error("expected <algorithm>:<hex>, got {0:?}")]
    NoAlgorithm(String),
    /// The algorithm is not one that Longshore can verify.
    #[error("unsupported digest algorithm {0:?}, expected sha256 or sha512")]
    Algorithm(String),
    /// The encoded part has the wrong length or characters.
    #[error("expected {expected} lowercase hex digits after {algorithm}:, got {got:?}")]
    Encoded {
        /// Name of the algorithm.
        algorithm: &'static str,
        /// Number of digits that the algorithm needs.
        expected: usize,
        /// The text that was met.
        got: String,
    },
}

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, hex) = text
            .split_once(':')
            .ok_or_else(|| InvalidDigest::NoAlgorithm(text.to_owned()))?;
        let algorithm =
            Algorithm::from_name(name).ok_or_else(|| InvalidDigest::Algorithm(name.to_owned()))?;
        let digits = hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if hex.len() != algorithm.hex_len() || !digits {
            return Err(InvalidDigest::Encoded {
                algorithm: algorithm.name(),
                expected: algorithm.hex_len(),
                got: hex.to_owned(),
            });
        }
        Ok(Self {
            algorithm,
            hex: hex.into(),
        })
    }
}

impl TryFrom<String> for Digest {
    type Error = InvalidDigest;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

/// Computes a [`Digest`] from bytes that arrive in pieces.
#[derive(Clone)]
pub struct Digester {
    algorithm: Algorithm,
    context: Context,
}

impl Digester {
    /// A digester that has seen no bytes.
    pub fn new(algorithm: Algorithm) -> Self {
        let context = Context::new(match algorithm {
            Algorithm::Sha256 => &crypto::SHA256,
            Algorithm::Sha512 => &crypto::SHA512,
        });
        Self { algorithm, context }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.context.update(bytes);
    }

    /// The digest of all bytes taken.
    pub fn finish(self) -> Digest {
        let hash = self.context.finish();
        let mut hex = String::with_capacity(self.algorithm.hex_len());
        for byte in hash.as_ref() {
            for nibble in [byte >> 4, byte & 15] {
                hex.push(char::from_digit(nibble.into(), 16).unwrap_or_default());
            }
        }
        Digest {
            algorithm: self.algorithm,
            hex: hex.into(),
        }
    }
}

impl fmt::Debug for Digester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digester({})", self.algorithm.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn pieces_hash_as_the_whole() {
        let mut digester = Digester::new(Algorithm::Sha256);
        digester.update(b"ab");
        digester.update(b"c");
        assert_eq!(digester.finish(), Digest::sha256(b"abc"));
        assert_eq!(Digest::sha256(b"").to_string(), EMPTY);
    }

    #[test]
    fn parses_what_it_prints() {
        let digest: Digest = EMPTY.parse().unwrap();
        assert_eq!(digest.to_string(), EMPTY);
        assert!(digest.matches(b""));
        assert!(!digest.matches(b"x"));
    }

    #[test]
    fn says_what_is_wrong() {
        let upper = EMPTY.to_uppercase().replace("SHA256", "sha256");
        for (text, part) in [
            ("sha256", "expected <algorithm>:<hex>"),
            ("md5:abc", "unsupported digest algorithm \"md5\""),
            ("sha256:abc", "expected 64 lowercase hex digits"),
            (upper.as_str(), "expected 64 lowercase hex digits"),
        ] {
            let error = text.parse::<Digest>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
