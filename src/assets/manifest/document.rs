//! One manifest, as `cloud-assembly-schema` has it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::{Asset, Destination, ManifestError, Place, Source};
use crate::assets::ImageAsset;

/// The newest major version of the schema that is followed here.
const NEWEST: u64 = 55;
/// The longest manifest that is read.
const MAX_BYTES: u64 = 64 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    #[serde(default)]
    files: Members<FileAsset>,
    #[serde(default)]
    docker_images: Members<DockerImageAsset>,
}

#[derive(Deserialize)]
struct Versioned {
    version: String,
    /// The members that only the manifest of the cloud assembly has.
    #[serde(default)]
    artifacts: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FileAsset {
    display_name: Option<String>,
    source: FileSource,
    destinations: Members<FileDestination>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FileSource {
    path: Option<String>,
    packaging: Option<Packaging>,
    executable: Option<Vec<String>>,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Packaging {
    File,
    Zip,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileDestination {
    bucket_name: String,
    object_key: String,
    #[serde(flatten)]
    aws: AwsDestination,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DockerImageAsset {
    display_name: Option<String>,
    source: DockerImageSource,
    destinations: Members<DockerImageDestination>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DockerImageSource {
    directory: Option<String>,
    executable: Option<Vec<String>>,
    docker_file: Option<String>,
    docker_build_target: Option<String>,
    #[serde(default)]
    docker_build_args: Members<String>,
    #[serde(default)]
    docker_build_contexts: Members<String>,
    docker_build_ssh: Option<String>,
    #[serde(default)]
    docker_build_secrets: Members<String>,
    network_mode: Option<String>,
    platform: Option<String>,
    #[serde(default)]
    docker_outputs: Vec<String>,
    #[serde(default)]
    cache_from: Vec<CacheOption>,
    cache_to: Option<CacheOption>,
    #[serde(default)]
    cache_disabled: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CacheOption {
    r#type: String,
    #[serde(default)]
    params: Members<String>,
}

impl CacheOption {
    /// As builders take it.
    fn argument(self) -> String {
        let params = self.params.0.into_iter();
        let params = params.map(|(name, value)| format!("{name}={value}"));
        let kind = format!("type={}", self.r#type);
        let parts: Vec<String> = std::iter::once(kind).chain(params).collect();
        parts.join(",")
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DockerImageDestination {
    repository_name: String,
    image_tag: String,
    #[serde(flatten)]
    aws: AwsDestination,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AwsDestination {
    region: Option<String>,
    assume_role_arn: Option<String>,
    assume_role_external_id: Option<String>,
    #[serde(default)]
    assume_role_additional_options: Value,
}

/// Reads a manifest.
pub(super) fn read(path: &Path) -> Result<Vec<Asset>, ManifestError> {
    let bytes = load(path)?;
    let malformed = |source| ManifestError::Malformed {
        path: path.to_owned(),
        source,
    };
    let Versioned { version, artifacts } = serde_json::from_slice(&bytes).map_err(malformed)?;
    if artifacts.is_some() {
        return Err(ManifestError::Assembly {
            path: path.to_owned(),
        });
    }
    let major = version
        .split('.')
        .next()
        .and_then(|major| major.parse().ok());
    if major.is_none_or(|major: u64| major > NEWEST) {
        return Err(ManifestError::Version {
            path: path.to_owned(),
            version,
            newest: NEWEST,
        });
    }
    let document: Document = serde_json::from_slice(&bytes).map_err(malformed)?;
    let directory = path.parent().unwrap_or(Path::new("/"));
    let reader = Reader { path, directory };
    let files = document.files.0.into_iter();
    let files = files.map(|(id, asset)| reader.file(id, asset));
    let images = document.docker_images.0.into_iter();
    let images = images.map(|(id, asset)| reader.image(id, asset));
    files.chain(images).collect()
}

/// Reads a file of bounded length.
pub(super) fn load(path: &Path) -> Result<Vec<u8>, ManifestError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes));
    read.map_err(|error| ManifestError::read(path, error))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(ManifestError::TooLong {
            path: path.to_owned(),
            limit: MAX_BYTES,
        });
    }
    Ok(bytes)
}

struct Reader<'a> {
    path: &'a Path,
    directory: &'a Path,
}

impl Reader<'_> {
    fn file(&self, id: String, asset: FileAsset) -> Result<Asset, ManifestError> {
        let name = asset.display_name.unwrap_or_else(|| id.clone());
        let source = match asset.source {
            FileSource {
                executable: Some(command),
                ..
            } => Source::FileCommand {
                command: self.command(&name, command)?,
            },
            FileSource {
                path: Some(path),
                packaging,
                ..
            } => Source::File {
                path: self.resolve(&path),
                zip: packaging == Some(Packaging::Zip),
            },
            _ => return Err(self.wrong(&name, "names neither a path nor an executable")),
        };
        let destinations = asset.destinations.0.into_iter();
        let destinations = destinations.map(|(id, destination)| {
            let place = Place::Bucket {
                name: destination.bucket_name,
                key: destination.object_key,
            };
            self.destination(&name, id, destination.aws, place)
        });
        Ok(Asset {
            destinations: destinations.collect::<Result<_, _>>()?,
            id,
            name,
            source,
        })
    }

    fn image(&self, id: String, asset: DockerImageAsset) -> Result<Asset, ManifestError> {
        let name = asset.display_name.unwrap_or_else(|| id.clone());
        let source = match asset.source {
            DockerImageSource {
                executable: Some(command),
                ..
            } => Source::ImageCommand {
                command: self.command(&name, command)?,
                directory: self.directory.to_owned(),
            },
            DockerImageSource {
                directory: Some(ref directory),
                ..
            } => {
                let directory = self.resolve(directory);
                Source::Build(Box::new(image_asset(directory, asset.source)))
            }
            _ => return Err(self.wrong(&name, "names neither a directory nor an executable")),
        };
        let destinations = asset.destinations.0.into_iter();
        let destinations = destinations.map(|(id, destination)| {
            let place = Place::Repository {
                name: destination.repository_name,
                tag: destination.image_tag,
            };
            self.destination(&name, id, destination.aws, place)
        });
        Ok(Asset {
            destinations: destinations.collect::<Result<_, _>>()?,
            id,
            name,
            source,
        })
    }

    fn destination(
        &self,
        asset: &str,
        id: String,
        aws: AwsDestination,
        place: Place,
    ) -> Result<Destination, ManifestError> {
        let options = &aws.assume_role_additional_options;
        let no_options = options.is_null() || options.as_object().is_some_and(Map::is_empty);
        if !no_options {
            let problem = "has assumeRoleAdditionalOptions, which are not supported: publish it \
                           with cdk-assets";
            return Err(self.wrong(asset, problem));
        }
        Ok(Destination {
            id,
            region: aws.region,
            role_arn: aws.assume_role_arn,
            external_id: aws.assume_role_external_id,
            place,
        })
    }

    fn command(&self, asset: &str, command: Vec<String>) -> Result<Vec<String>, ManifestError> {
        if command.is_empty() {
            return Err(self.wrong(asset, "has an executable without a program"));
        }
        Ok(command)
    }

    /// A path of the manifest, which is relative to it.
    fn resolve(&self, path: &str) -> PathBuf {
        self.directory.join(path)
    }

    fn wrong(&self, asset: &str, problem: &'static str) -> ManifestError {
        ManifestError::Asset {
            path: self.path.to_owned(),
            asset: asset.to_owned(),
            problem,
        }
    }
}

fn image_asset(directory: PathBuf, source: DockerImageSource) -> ImageAsset {
    let platforms = source.platform.iter().flat_map(|given| given.split(','));
    ImageAsset {
        directory,
        platforms: platforms.map(str::to_owned).collect(),
        file: source.docker_file,
        target: source.docker_build_target,
        build_args: source.docker_build_args.0,
        build_contexts: source.docker_build_contexts.0,
        build_secrets: source.docker_build_secrets.0,
        build_ssh: source.docker_build_ssh,
        network: source.network_mode,
        outputs: source.docker_outputs,
        cache_from: source
            .cache_from
            .into_iter()
            .map(CacheOption::argument)
            .collect(),
        cache_to: source.cache_to.map(CacheOption::argument),
        no_cache: source.cache_disabled,
        is_staged: true,
        ..ImageAsset::default()
    }
}

/// The members of an object, in their order.
struct Members<T>(Vec<(String, T)>);

impl<T> Default for Members<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Members<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Collect<T> {
            type Value = Members<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Collect(std::marker::PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(text: &str) -> Result<Vec<Asset>, ManifestError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.assets.json");
        std::fs::write(&path, text).unwrap();
        read(&path)
    }

    #[test]
    fn only_versions_that_are_known() {
        assert!(of(r#"{"version":"36.0.24"}"#).unwrap().is_empty());
        for version in ["56.0.0", "new", ""] {
            let error = of(&format!(r#"{{"version":{version:?}}}"#)).unwrap_err();
            assert!(matches!(error, ManifestError::Version { .. }), "{error}");
        }
    }

    #[test]
    fn what_is_not_understood_is_not_passed_over() {
        let image = |source: &str, destination: &str| {
            of(&format!(
                r#"{{"version":"1.0.0","dockerImages":{{"a":{{"displayName":"App","source":{source},
                "destinations":{{"d":{{"repositoryName":"r","imageTag":"t"{destination}}}}}}}}}}}"#
            ))
        };
        assert_eq!(image(r#"{"directory":"x"}"#, "").unwrap()[0].name, "App");
        for (source, destination, part) in [
            ("{}", "", "asset App of"),
            (r#"{"executable":[]}"#, "", "without a program"),
            (
                r#"{"directory":"x","dockerSquash":true}"#,
                "",
                "no asset manifest that can be",
            ),
            (
                r#"{"directory":"x"}"#,
                r#","assumeRoleAdditionalOptions":{"Tags":[]}"#,
                "assumeRoleAdditionalOptions",
            ),
        ] {
            let error = image(source, destination).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_manifest_or_an_error(text in "\\PC{0,40}", inner in "[{}\\[\\]\":,a-z0-9]{0,40}") {
            let _ = of(&text);
            let _ = of(&format!(r#"{{"version":"1.0.0","dockerImages":{{{inner}}}}}"#));
        }
    }
}
