//! A large image goes to files in little memory.

use std::fs;
use std::path::Path;
use std::process::Command;

use longshore::oci::{Algorithm, Descriptor, Digester, MediaType, RawManifest};
use serde_json::{Value, json};

use crate::support::{MemoryLimit, output};

/// Bytes of the layer that is copied in little memory.
const LARGE: u64 = 1 << 30;

#[test]
#[ignore = "needs real parts: run scripts/test"]
fn an_image_of_a_gibibyte_goes_to_files_in_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let start = large_layout(folder.path());
    let limit = MemoryLimit::new(64);
    let program = limit.within(Path::new(env!("CARGO_BIN_EXE_longshore")));
    let mut from = format!("oci:{start}");
    for form in ["oci-archive", "docker-archive", "oci"] {
        let to = format!("{form}:{}", path(form));
        let mut copy = Command::new(&program);
        copy.args(["copy", "--json", "--compression", "none", &from, &to]);
        copy.env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap());
        let report: Value = serde_json::from_slice(&output(&mut copy)).unwrap();
        assert!(report["size"].as_u64().unwrap() > LARGE, "{report}");
        let written = report["report"]["bytes_uploaded"].as_u64().unwrap();
        assert!((LARGE..LARGE + 4096).contains(&written), "{report}");
        if let Some(path) = from.strip_prefix("oci-archive:") {
            fs::remove_file(path).unwrap();
        }
        from = to;
    }
}

/// A layout whose layer is large and takes no room on a disk.
fn large_layout(folder: &Path) -> String {
    let root = folder.join("start");
    let blobs = root.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let sparse = fs::File::create(folder.join("layer")).unwrap();
    sparse.set_len(LARGE).unwrap();
    let mut digester = Digester::new(Algorithm::Sha256);
    let zeros = vec![0; 1 << 20];
    (0..LARGE >> 20).for_each(|_| digester.update(&zeros));
    let layer = Descriptor::new(MediaType::OCI_LAYER, digester.finish(), LARGE);
    fs::rename(folder.join("layer"), blobs.join(layer.digest.hex())).unwrap();
    let keep = |media_type: MediaType, value: Value| {
        let manifest = RawManifest::new(&media_type, value.to_string().into());
        fs::write(blobs.join(manifest.digest().hex()), manifest.bytes()).unwrap();
        manifest.descriptor()
    };
    let diff_ids = [&layer.digest];
    let config = json!({"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": diff_ids}});
    let config = keep(MediaType::OCI_CONFIG, config);
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": [layer]});
    let manifest = keep(MediaType::OCI_MANIFEST, manifest);
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    fs::write(root.join("index.json"), index.to_string()).unwrap();
    fs::write(root.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    root.display().to_string()
}
