//! Any bytes as an archive: found out or refused, in bounded time and memory. `scripts/fuzz` runs
//! it.

#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use longshore::archive::{Archive, Compression, Selected};
use longshore::content::{MemoryObject, collect};
use tokio::runtime::{Builder, Runtime};

/// More than any of the inputs decompresses to on its way through.
const LIMIT: u64 = 16 << 20;

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().build().expect("a runtime"));

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes.to_vec();
    mend(&mut bytes);
    RUNTIME.block_on(read(bytes));
});

/// Gives headers their checksum, which is beyond what a fuzzer finds.
fn mend(bytes: &mut [u8]) {
    for block in bytes.chunks_exact_mut(512) {
        let mut header = tar::Header::from_byte_slice(block).clone();
        if block[257..262] == *b"ustar" {
            header.set_cksum();
            block.copy_from_slice(header.as_bytes());
        }
    }
}

async fn read(bytes: Vec<u8>) {
    let object = Arc::new(MemoryObject::new("fuzz", bytes));
    let Ok(archive) = Archive::open(object).await else {
        return;
    };
    let Ok(selected) = archive.select(None, Compression::Gzip).await else {
        return;
    };
    match selected {
        Selected::Stored { root, source } => {
            let _ = root.parse();
            let _ = source.referrers(root.digest()).await;
        }
        Selected::Unbuilt(image) => {
            for layer in image.layers.iter().take(4) {
                if let Ok(stream) = layer.opener.open(0).await {
                    let _ = collect(stream, LIMIT).await;
                }
            }
        }
    }
}
