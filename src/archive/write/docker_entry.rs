//! The files of an archive that `docker load` takes.

use crate::oci::Descriptor;

/// The file that lists the images.
pub(super) const MANIFEST: &str = "manifest.json";

/// The name of a blob's file. Loaders tell how a layer is compressed by its first bytes.
pub(super) fn entry_name(blob: &Descriptor) -> String {
    let hex = blob.digest.hex();
    if blob.media_type.is_image_config() {
        return format!("{hex}.json");
    }
    let ending = match blob.media_type.as_str() {
        zstd if zstd.ends_with("zstd") => ".zst",
        gzip if gzip.ends_with("gzip") => ".gz",
        _ => "",
    };
    format!("{hex}.tar{ending}")
}
