//! The place where a source is: how the `Source` of a resource or a command names it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use reqwest::Url;

use crate::network::Reach;
use crate::oci::{InvalidReference, Reference};
use crate::redact::{RedactedUrl, without_credentials};

/// A source as users write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// `s3://bucket/key[?versionId=…][#selector]`: an archive in S3.
    S3(S3Location),
    /// `https://host/path[?query][#selector]`: an archive on a web server. Without TLS on this
    /// machine only.
    Https(HttpsLocation),
    /// `[docker://]host/name[:tag][@digest]`: an image in a registry.
    Registry(Reference),
    /// `docker-archive:PATH[#selector]`, `oci-archive:PATH[#selector]`: an archive in a file.
    File(FileLocation),
    /// `oci:DIRECTORY[#selector]`: an OCI image layout in a folder.
    Directory(FileLocation),
}

/// An object in S3 and what to select from the archive that it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Location {
    /// The bucket's name, its alias, or the ARN of an access point.
    pub bucket: String,
    /// The object's key, as S3 has it.
    pub key: String,
    /// The object's version, if one is pinned.
    pub version_id: Option<String>,
    /// The selector after `#`, which chooses an image of the archive.
    pub selector: Option<String>,
}

/// An object of a web server and what to select from the archive that it holds. `Debug` shows no
/// query: it is what opens a presigned URL.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpsLocation {
    /// The place where it is.
    pub url: Url,
    /// The selector after `#`, which chooses an image of the archive.
    pub selector: Option<String>,
}

impl fmt::Debug for HttpsLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpsLocation")
            .field("url", &RedactedUrl::new(&self.url))
            .field("selector", &self.selector)
            .finish()
    }
}

/// A file or folder and what to select from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileLocation {
    /// The place where it is.
    pub path: PathBuf,
    /// The selector after `#`, which chooses an image of the archive.
    pub selector: Option<String>,
}

/// A text that names no source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidLocation {
    /// Nothing is written.
    #[error("the source is empty: expected s3://bucket/key or an image reference")]
    Empty,
    /// There is no key after the bucket.
    #[error("{0:?} names no object: expected s3://bucket/key")]
    NoKey(String),
    /// The part after `?` is not `versionId=…`.
    /// It is not shown: it may be a signature.
    #[error("unknown parameter after the key: expected ?versionId=… or none")]
    Query,
    /// It begins as a URL and is none. It is not shown: it may be a presigned one.
    #[error("malformed URL: expected https://host/path[#selector]")]
    Url,
    /// The archive would come without TLS.
    #[error("refusing to read {0} without TLS: expected an https URL")]
    Insecure(RedactedUrl),
    /// There is no path after `docker-archive:`, `oci-archive:` or `oci:`.
    #[error("{0:?} names no file")]
    NoPath(String),
    /// It is no image reference either.
    #[error("malformed image reference {text:?}")]
    Reference {
        /// The text as it was written.
        text: String,
        /// The fault.
        source: InvalidReference,
    },
}

impl FromStr for Location {
    type Err = InvalidLocation;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text.is_empty() {
            return Err(InvalidLocation::Empty);
        }
        if let Some(rest) = text.strip_prefix("s3://") {
            return s3(rest, text).map(Self::S3);
        }
        if is_web(text) {
            return https(text).map(Self::Https);
        }
        for prefix in ["docker-archive:", "oci-archive:"] {
            if let Some(rest) = text.strip_prefix(prefix) {
                return file(rest, text).map(Self::File);
            }
        }
        if let Some(rest) = text.strip_prefix("oci:") {
            return file(rest, text).map(Self::Directory);
        }
        text.parse()
            .map(Self::Registry)
            .map_err(|source| InvalidLocation::Reference {
                text: without_credentials(text),
                source,
            })
    }
}

/// Reads what follows `s3://`. A `#` or `?` of the key itself is written `%23` or `%3F`, and a
/// `%` as `%25`; any other character of a key stands as it is.
fn s3(rest: &str, text: &str) -> Result<S3Location, InvalidLocation> {
    let no_key = || InvalidLocation::NoKey(without_credentials(text));
    let (rest, selector) = split_selector(rest);
    let (bucket, key) = split_bucket(rest).ok_or_else(no_key)?;
    let (key, version_id) = match key.split_once('?') {
        Some((key, query)) => (key, Some(version(query)?)),
        None => (key, None),
    };
    let key = percent_decode_str(key)
        .decode_utf8()
        .map_err(|_| no_key())?;
    if bucket.is_empty() || key.is_empty() {
        return Err(no_key());
    }
    Ok(S3Location {
        bucket: bucket.to_owned(),
        key: key.into_owned(),
        version_id,
        selector,
    })
}

/// Splits bucket and key. An access point's ARN has slashes of its own.
fn split_bucket(rest: &str) -> Option<(&str, &str)> {
    let mut from = 0;
    if rest.starts_with("arn:") {
        from = rest.find("accesspoint/")? + "accesspoint/".len();
    }
    let slash = from + rest[from..].find('/')?;
    Some((&rest[..slash], &rest[slash + 1..]))
}

fn version(query: &str) -> Result<String, InvalidLocation> {
    match query.strip_prefix("versionId=") {
        Some(version) if !version.is_empty() && !version.contains('&') => Ok(version.to_owned()),
        _ => Err(InvalidLocation::Query),
    }
}

fn is_web(text: &str) -> bool {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| {
        scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http")
    })
}

fn https(text: &str) -> Result<HttpsLocation, InvalidLocation> {
    let (url, selector) = split_selector(text);
    let url = Url::parse(url).map_err(|_| InvalidLocation::Url)?;
    let here = Reach::of_url(&url) == Reach::Loopback;
    if url.scheme() != "https" && !here {
        return Err(InvalidLocation::Insecure(RedactedUrl::new(&url)));
    }
    Ok(HttpsLocation { url, selector })
}

fn file(rest: &str, text: &str) -> Result<FileLocation, InvalidLocation> {
    let (path, selector) = split_selector(rest);
    if path.is_empty() {
        return Err(InvalidLocation::NoPath(text.to_owned()));
    }
    Ok(FileLocation {
        path: path.into(),
        selector,
    })
}

fn split_selector(text: &str) -> (&str, Option<String>) {
    match text.split_once('#') {
        Some((rest, selector)) => (rest, Some(selector.to_owned())),
        None => (text, None),
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let selector = match self {
            Self::S3(at) => {
                write!(f, "s3://{}/{}", at.bucket, at.key)?;
                if let Some(version) = &at.version_id {
                    write!(f, "?versionId={version}")?;
                }
                &at.selector
            }
            Self::Https(at) => {
                write!(f, "{}", RedactedUrl::new(&at.url))?;
                &at.selector
            }
            Self::Registry(reference) => return write!(f, "{reference}"),
            Self::File(at) => {
                write!(f, "{}", at.path.display())?;
                &at.selector
            }
            Self::Directory(at) => {
                write!(f, "oci:{}", at.path.display())?;
                &at.selector
            }
        };
        match selector {
            Some(selector) => write!(f, "#{selector}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s3_of(text: &str) -> S3Location {
        match text.parse() {
            Ok(Location::S3(at)) => at,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn reads_objects() {
        let plain = s3_of("s3://bucket/path/to/image.tar");
        assert_eq!(
            (plain.bucket.as_str(), plain.key.as_str()),
            ("bucket", "path/to/image.tar")
        );
        assert_eq!((plain.version_id, plain.selector), (None, None));

        let full = s3_of("s3://b/k.tar?versionId=abc.def#repo:tag");
        assert_eq!(full.version_id.as_deref(), Some("abc.def"));
        assert_eq!(full.selector.as_deref(), Some("repo:tag"));

        let odd = s3_of("s3://b/a b:c+d/ä%23%3F%25.tar");
        assert_eq!(odd.key, "a b:c+d/ä#?%.tar");

        let arn = "arn:aws:s3:eu-west-1:123456789012:accesspoint/images";
        let point = s3_of(&format!("s3://{arn}/a/b.tar"));
        assert_eq!(
            (point.bucket.as_str(), point.key.as_str()),
            (arn, "a/b.tar")
        );
    }

    #[test]
    fn reads_files_and_references() {
        for (text, shown) in [
            ("nginx:1.27", "docker.io/library/nginx:1.27"),
            ("docker-archive:a/b.tar#x:y", "a/b.tar#x:y"),
            ("oci-archive:/b.tar", "/b.tar"),
            ("oci:dir", "oci:dir"),
            ("s3://b/k?versionId=1#@0", "s3://b/k?versionId=1#@0"),
        ] {
            assert_eq!(text.parse::<Location>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn urls_are_read_whole_and_shown_without_what_opens_them() {
        let text = "https://user:hunter2@files.example/a%20b.tar?X-Amz-Signature=abc&x=1#app:1";
        let location: Location = text.parse().unwrap();
        let Location::Https(at) = &location else {
            panic!("{location}")
        };
        assert_eq!(format!("{}#app:1", at.url), text);
        assert_eq!(at.selector.as_deref(), Some("app:1"));
        let shown = location.to_string();
        assert_eq!(shown, "https://files.example/a%20b.tar?[redacted]#app:1");
        for shown in [shown, format!("{location:?}")] {
            assert!(
                !shown.contains("abc") && !shown.contains("hunter2"),
                "{shown}"
            );
        }
        assert!("http://127.0.0.1:8000/a.tar".parse::<Location>().is_ok());
    }

    #[test]
    fn a_refused_url_does_not_show_what_opens_it() {
        for text in [
            "http://files.example/a.tar?sig=hunter2",
            "HTTPS://files example/a.tar?sig=hunter2",
            "https://?sig=hunter2",
        ] {
            let error = text.parse::<Location>().unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("hunter2"), "{shown}");
            assert!(shown.contains("https"), "{shown}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, part) in [
            ("", "empty"),
            ("s3://bucket", "names no object"),
            ("s3://bucket/", "names no object"),
            ("s3:///key", "names no object"),
            ("s3://b/k?X-Amz-Signature=hunter2", "unknown parameter"),
            ("docker://user:hunter2@host/x", "credentials are no part"),
            ("user:hunter2@host/x:1", "credentials are no part"),
            ("host/x?X-Amz-Signature=hunter2", "no query"),
            ("oci:", "names no file"),
            ("Not An Image", "malformed image reference"),
        ] {
            let error = text.parse::<Location>().unwrap_err();
            let source = std::error::Error::source(&error).map(ToString::to_string);
            let error = format!("{error}: {}", source.unwrap_or_default());
            assert!(error.contains(part), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{text}: {error}");
        }
    }
}
