//! CDK's output directory: where its asset manifests are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::ManifestError;
use super::document::load;

/// How deep stages lie in each other. None does in more than two or three.
const MAX_DEPTH: usize = 16;

#[derive(Deserialize)]
struct Assembly {
    #[serde(default)]
    artifacts: BTreeMap<String, Artifact>,
}

#[derive(Deserialize)]
struct Artifact {
    r#type: String,
    #[serde(default)]
    properties: Properties,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Properties {
    file: Option<String>,
    directory_name: Option<String>,
}

/// The manifests in an output directory and in those of its stages. Where CDK left no list of
/// them, those that are there.
pub(super) fn manifests(directory: &Path) -> Result<Vec<PathBuf>, ManifestError> {
    let mut found = Vec::new();
    if directory.join("manifest.json").is_file() {
        collect(directory, 0, &mut found)?;
    } else {
        found = files(directory)?;
    }
    if found.is_empty() {
        return Err(ManifestError::None {
            path: directory.to_owned(),
        });
    }
    Ok(found)
}

fn collect(directory: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), ManifestError> {
    if depth == MAX_DEPTH {
        return Err(ManifestError::Nested {
            path: directory.to_owned(),
        });
    }
    let file = directory.join("manifest.json");
    let assembly: Assembly = serde_json::from_slice(&load(&file)?)
        .map_err(|source| ManifestError::Malformed { path: file, source })?;
    for artifact in assembly.artifacts.into_values() {
        match (artifact.r#type.as_str(), artifact.properties) {
            (
                "cdk:asset-manifest",
                Properties {
                    file: Some(file), ..
                },
            ) => {
                found.push(directory.join(file));
            }
            (
                "cdk:cloud-assembly",
                Properties {
                    directory_name: Some(name),
                    ..
                },
            ) => {
                collect(&directory.join(name), depth + 1, found)?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn files(directory: &Path) -> Result<Vec<PathBuf>, ManifestError> {
    let failed = |error| ManifestError::read(directory, error);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name == "assets.json" || name.ends_with(".assets.json") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
