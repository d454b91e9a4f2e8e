//! The CRCs that S3 knows, with the interface by which `aws-smithy-checksums` asks for them.
//!
//! It takes the place of the crate `crc-fast`, which picks one of a hundred CRCs when it runs: their
//! tables, 0.7 MB, would all be in the program, and none is used. Longshore's own checksums are
//! SHA-256, so that this one is short rather than fast.

/// A CRC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrcAlgorithm {
    /// The CRC-32 of gzip and zip.
    Crc32IsoHdlc,
    /// CRC-32C.
    Crc32Iscsi,
    /// CRC-64/NVME.
    Crc64Nvme,
}

impl CrcAlgorithm {
    fn table(self) -> &'static Table {
        match self {
            Self::Crc32IsoHdlc => &CRC_32,
            Self::Crc32Iscsi => &CRC_32C,
            Self::Crc64Nvme => &CRC_64_NVME,
        }
    }

    /// The number that a sum begins with, and is combined with at its end.
    fn ones(self) -> u64 {
        match self {
            Self::Crc32IsoHdlc | Self::Crc32Iscsi => u32::MAX.into(),
            Self::Crc64Nvme => u64::MAX,
        }
    }
}

/// A sum of bytes that come one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Digest {
    algorithm: CrcAlgorithm,
    state: u64,
}

impl Digest {
    /// The sum of no bytes.
    pub fn new(algorithm: CrcAlgorithm) -> Self {
        Self {
            algorithm,
            state: algorithm.ones(),
        }
    }

    /// Adds `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        let table = self.algorithm.table();
        for byte in bytes {
            let [low, ..] = self.state.to_le_bytes();
            self.state = table[usize::from(low ^ byte)] ^ (self.state >> 8);
        }
    }

    /// The sum.
    pub fn finalize(self) -> u64 {
        self.state ^ self.algorithm.ones()
    }
}

/// The sum of `bytes`.
pub fn checksum(algorithm: CrcAlgorithm, bytes: &[u8]) -> u64 {
    let mut digest = Digest::new(algorithm);
    digest.update(bytes);
    digest.finalize()
}

/// The part of a sum that each value of a byte adds.
type Table = [u64; 256];

static CRC_32: Table = table(0xedb8_8320);
static CRC_32C: Table = table(0x82f6_3b78);
static CRC_64_NVME: Table = table(0x9a6c_9329_ac4b_c9b5);

/// The table of a polynomial whose lowest bit stands for the highest power.
const fn table(polynomial: u64) -> Table {
    let mut table = [0; 256];
    let mut remainder = 0;
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = remainder;
        byte += 1;
        remainder = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            let low = remainder & 1;
            remainder >>= 1;
            if low == 1 {
                remainder ^= polynomial;
            }
            bit += 1;
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values that the catalogue of CRCs has for the digits from 1 to 9.
    const KNOWN: [(CrcAlgorithm, u64); 3] = [
        (CrcAlgorithm::Crc32IsoHdlc, 0xcbf4_3926),
        (CrcAlgorithm::Crc32Iscsi, 0xe306_9283),
        (CrcAlgorithm::Crc64Nvme, 0xae8b_1486_0a79_9888),
    ];

    #[test]
    fn sums_are_those_of_the_catalogue() {
        for (algorithm, sum) in KNOWN {
            assert_eq!(checksum(algorithm, b"123456789"), sum, "{algorithm:?}");
            assert_eq!(checksum(algorithm, b""), 0, "{algorithm:?}");
        }
    }

    #[test]
    fn bytes_may_come_in_pieces() {
        for (algorithm, sum) in KNOWN {
            let mut digest = Digest::new(algorithm);
            for piece in [&b"1"[..], b"", b"2345678", b"9"] {
                digest.update(piece);
            }
            assert_eq!(digest.finalize(), sum, "{algorithm:?}");
        }
    }
}
