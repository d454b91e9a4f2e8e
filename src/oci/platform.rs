//! Platforms: which machine an image runs on, and when one platform satisfies another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::null::null_as_default;

/// An operating system and an architecture
/// ([image-index.md, `platform`](https://github.com/opencontainers/image-spec/blob/main/image-index.md)).
///
/// Written `os/architecture[/variant]`, or `os(version)/architecture[/variant]`, as containerd does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// `amd64`, `arm64`, … as Go names them.
    #[serde(default, deserialize_with = "null_as_default")]
    pub architecture: String,
    /// `linux`, `windows`, … as Go names them.
    #[serde(default, deserialize_with = "null_as_default")]
    pub os: String,
    /// The operating system's version; Windows images need it.
    #[serde(
        rename = "os.version",
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub os_version: String,
    /// Features that the image needs of the operating system.
    #[serde(
        rename = "os.features",
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub os_features: Vec<String>,
    /// The CPU's variant, such as `v7` of `arm`.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub variant: String,
}

impl Platform {
    /// Returns true if nothing is known of the platform, as of attestations (`unknown/unknown`) and
    /// of artifacts that are no images.
    pub fn is_unknown(&self) -> bool {
        let unknown = |part: &str| part.is_empty() || part == "unknown";
        unknown(&self.os) && unknown(&self.architecture)
    }

    /// Returns true if an image of the platform `image` is what a request for `self` means, as
    /// containerd decides it: names are normalised (`x86_64` is `amd64`, `arm64/v8` is `arm64`,
    /// `arm` is
    /// `arm/v7`), and an OS version matches when the request names none or one that it starts with.
    pub fn matches(&self, image: &Self) -> bool {
        let (wanted, has) = (self.normalized(), image.normalized());
        wanted.os == has.os
            && wanted.architecture == has.architecture
            && wanted.variant == has.variant
            && version_matches(&wanted.os_version, &has.os_version)
    }

    /// Which of several images that match a request is the better one where this is larger: that
    /// for the later version of the operating system, as containerd prefers them.
    pub fn preference(&self) -> Vec<u64> {
        let parts = self.os_version.split('.');
        parts.map(|part| part.parse().unwrap_or(0)).collect()
    }

    fn normalized(&self) -> Self {
        let os = match self.os.to_ascii_lowercase().as_str() {
            "macos" => "darwin".to_owned(),
            other => other.to_owned(),
        };
        let architecture = self.architecture.to_ascii_lowercase();
        let variant = self.variant.to_ascii_lowercase();
        let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
            ("i386", _) => ("386", ""),
            ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
            ("x86_64" | "x86-64", variant) => ("amd64", variant),
            ("aarch64" | "arm64", "8" | "v8" | "v8.0") => ("arm64", ""),
            ("aarch64", variant) => ("arm64", variant),
            ("armhf", _) | ("arm", "" | "7") => ("arm", "v7"),
            ("armel", _) | ("arm", "6") => ("arm", "v6"),
            ("arm", "5") => ("arm", "v5"),
            ("arm", "8") => ("arm", "v8"),
            (architecture, variant) => (architecture, variant),
        };
        Self {
            architecture: architecture.to_owned(),
            os,
            os_version: self.os_version.clone(),
            os_features: Vec::new(),
            variant: variant.to_owned(),
        }
    }
}

fn version_matches(wanted: &str, has: &str) -> bool {
    let Some(rest) = has.strip_prefix(wanted) else {
        return false;
    };
    wanted.is_empty() || rest.is_empty() || rest.starts_with('.')
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.os)?;
        if !self.os_version.is_empty() {
            write!(f, "({})", self.os_version)?;
        }
        write!(f, "/{}", self.architecture)?;
        if !self.variant.is_empty() {
            write!(f, "/{}", self.variant)?;
        }
        Ok(())
    }
}

/// A text that names no platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no platform: expected os/architecture[/variant], such as linux/arm64")]
pub struct InvalidPlatform {
    text: String,
}

impl FromStr for Platform {
    type Err = InvalidPlatform;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidPlatform {
            text: text.to_owned(),
        };
        let mut parts = text.trim().split('/');
        let (os, os_version) = match parts.next().unwrap_or_default() {
            os if os.contains('(') => os
                .strip_suffix(')')
                .and_then(|os| os.split_once('('))
                .ok_or_else(invalid)?,
            os => (os, ""),
        };
        let architecture = parts.next().ok_or_else(invalid)?;
        let variant = parts.next().unwrap_or_default();
        let word = |part: &str| {
            part.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        let malformed = os.is_empty()
            || architecture.is_empty()
            || parts.next().is_some()
            || ![os, os_version, architecture, variant]
                .into_iter()
                .all(word);
        if malformed {
            return Err(invalid());
        }
        Ok(Self {
            architecture: architecture.to_owned(),
            os: os.to_owned(),
            os_version: os_version.to_owned(),
            os_features: Vec::new(),
            variant: variant.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        text.parse().unwrap()
    }

    #[test]
    fn prints_what_it_parses() {
        for text in ["linux/amd64", "linux/arm/v7", "windows(10.0.17763)/amd64"] {
            assert_eq!(platform(text).to_string(), text);
        }
    }

    #[test]
    fn refuses_what_is_no_platform() {
        for text in [
            "",
            "linux",
            "linux/",
            "/amd64",
            "linux/arm/v7/x",
            "win(10/amd64",
            "li nux/a",
        ] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }

    #[test]
    fn prefers_the_later_version() {
        let mut platforms = [
            "windows(10.0.17763.900)/amd64",
            "windows(10.0.17763.5000)/amd64",
            "windows/amd64",
        ]
        .map(platform);
        platforms.sort_by_key(Platform::preference);
        assert_eq!(platforms[2].os_version, "10.0.17763.5000");
        assert_eq!(platforms[0].os_version, "");
    }

    #[test]
    fn matches_as_containerd_does() {
        for (wanted, image, expected) in [
            ("linux/amd64", "linux/amd64", true),
            ("linux/x86_64", "linux/amd64", true),
            ("linux/arm64", "linux/arm64/v8", true),
            ("linux/arm64/v8", "linux/arm64", true),
            ("linux/arm", "linux/arm/v7", true),
            ("linux/arm/v6", "linux/arm/v7", false),
            ("linux/amd64", "linux/amd64/v3", false),
            ("linux/amd64", "windows/amd64", false),
            ("windows/amd64", "windows(10.0.17763.1)/amd64", true),
            (
                "windows(10.0.17763)/amd64",
                "windows(10.0.17763.1)/amd64",
                true,
            ),
            (
                "windows(10.0.177)/amd64",
                "windows(10.0.17763.1)/amd64",
                false,
            ),
        ] {
            let matched = platform(wanted).matches(&platform(image));
            assert_eq!(matched, expected, "{wanted} against {image}");
        }
    }
}
