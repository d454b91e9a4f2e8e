//! Any bytes as an archive: found out or refused, in bounded time and memory. `scripts/fuzz` runs
//! it.

#![no_main]

use std::io::Write;
use std::sync::{Arc, LazyLock};

use flate2::write::GzEncoder;
use libfuzzer_sys::fuzz_target;
use longshore::archive::{Archive, Compression, Selected};
use longshore::content::{MemoryObject, Opener, collect};
use longshore::oci::Digest;
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

/// Reads an archive as it is, and compressed as a whole: both hold the same image.
async fn read(bytes: Vec<u8>) {
    let packed = gzip(&bytes);
    let plain = open(bytes).await;
    if let Some(archive) = &plain
        && !archive.is_complete()
    {
        // It is compressed itself.
        let _ = found_by(archive).await;
        return;
    }
    let packed = open(packed).await;
    let found = match plain {
        Some(archive) => found_by(&archive).await,
        None => None,
    };
    let found_packed = match packed {
        Some(archive) => found_by(&archive).await,
        None => None,
    };
    assert_eq!(found, found_packed);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::none());
    encoder.write_all(bytes).expect("bytes in memory");
    encoder.finish().expect("bytes in memory")
}

async fn open(bytes: Vec<u8>) -> Option<Archive> {
    let object = Arc::new(MemoryObject::new("fuzz", bytes));
    Archive::open(object).await.ok()
}

/// The image that is known when the archive was read to its end: its manifest, or its config.
async fn found_by(archive: &Archive) -> Option<Vec<u8>> {
    let select = || archive.select(None, Compression::Gzip);
    if let Ok(early) = select().await {
        take(early).await;
    }
    archive.complete().await.ok()?;
    match select().await.ok()? {
        Selected::Stored { root, .. } => Some(root.bytes().to_vec()),
        Selected::Unbuilt(image) => Some(image.config.to_vec()),
    }
}

/// Reads some of an image, in the order of the archive if it has one.
async fn take(selected: Selected) {
    let (order, mut blobs): (_, Vec<(Digest, Arc<dyn Opener>)>) = match selected {
        Selected::Stored { root, source } => {
            let _ = source.referrers(root.digest()).await;
            let Ok(manifest) = root.parse() else {
                return;
            };
            let blobs = manifest.blobs().take(4);
            let blobs = blobs.map(|blob| (blob.digest.clone(), source.blob(blob)));
            (source.order(), blobs.collect())
        }
        Selected::Unbuilt(image) => {
            let layers = image.layers.into_iter().take(4);
            let layers = layers.map(|layer| (layer.diff_id, layer.opener));
            (image.order, layers.collect())
        }
    };
    while !blobs.is_empty() {
        let wanted: Vec<_> = blobs.iter().map(|(digest, _)| digest).collect();
        let next = match &order {
            Some(order) => order.next(&wanted).await,
            None => Ok(0),
        };
        let Ok(next) = next else {
            return;
        };
        let (_, opener) = blobs.swap_remove(next);
        if let Ok(stream) = opener.open(0).await {
            let _ = collect(stream, LIMIT).await;
        }
    }
}
