//! Archives as `docker save` wrote them before version 25, whole or broken.

use longshore::oci::Digest;
use serde_json::json;

/// The entries of an archive, in order. Tests break what they are about.
pub(crate) struct Archive {
    pub(crate) entries: Vec<(String, Vec<u8>)>,
}

impl Archive {
    /// One image whose layers hold a file each, with these contents.
    pub(crate) fn of(files: &[&[u8]]) -> Self {
        let mut entries = Vec::new();
        let (mut names, mut diff_ids) = (Vec::new(), Vec::new());
        for (position, content) in files.iter().enumerate() {
            let layer = tar(&[(format!("srv/{position}"), content.to_vec())]);
            diff_ids.push(Digest::sha256(&layer).to_string());
            names.push(format!("{position}/layer.tar"));
            entries.push((format!("{position}/layer.tar"), layer));
        }
        let config = json!({
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        let manifest = json!([
            { "Config": "config.json", "RepoTags": ["example:1.0"], "Layers": names },
        ]);
        entries.push(("config.json".to_owned(), config.to_string().into_bytes()));
        entries.push((
            "manifest.json".to_owned(),
            manifest.to_string().into_bytes(),
        ));
        Self { entries }
    }

    pub(crate) fn without(mut self, entry: &str) -> Self {
        let before = self.entries.len();
        self.entries.retain(|(name, _)| name != entry);
        assert_ne!(before, self.entries.len(), "there is no {entry}");
        self
    }

    /// Changes the first byte of an entry.
    pub(crate) fn corrupted(mut self, entry: &str) -> Self {
        let found = self.entries.iter_mut().find(|(name, _)| name == entry);
        let (_, content) = found.expect("an entry of the archive");
        content[0] ^= 1;
        self
    }

    pub(crate) fn tar(&self) -> Vec<u8> {
        tar(&self.entries)
    }
}

fn tar(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder
            .append_data(&mut header, name, content.as_slice())
            .expect("a tar in memory");
    }
    builder.into_inner().expect("a tar in memory")
}
