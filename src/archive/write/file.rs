//! Naming a file or directory that images are written to.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::oci::{InvalidReference, Reference, Tag};

/// The registry that Docker leaves out of a name.
const DOCKER_HUB: &str = "docker.io/";
const LIBRARY: &str = "library/";

/// A kind of file that holds images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A directory with an OCI image layout.
    Layout,
    /// A tar of an OCI image layout.
    OciArchive,
    /// A tar that `docker load` takes.
    DockerArchive,
}

impl Form {
    const ALL: [Self; 3] = [Self::Layout, Self::OciArchive, Self::DockerArchive];

    /// The word before the path, with its colon.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Layout => "oci:",
            Self::OciArchive => "oci-archive:",
            Self::DockerArchive => "docker-archive:",
        }
    }
}

/// A file or directory that an image is written to, and the names that the image gets there:
/// `oci:DIRECTORY[:NAME]`, `oci-archive:PATH[:NAME]` or `docker-archive:PATH[:NAME]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageFile {
    /// The error of reading it.
    pub form: Form,
    /// The place where it is. `None`: standard output.
    pub path: Option<PathBuf>,
    /// The image's name as it is written: `1.0`, `app:1.0`.
    pub name: Option<String>,
    /// More tags of the same image.
    pub tags: Vec<Tag>,
    /// True if images that an archive holds stay in it. Layouts always keep theirs.
    pub append: bool,
}

/// A text that names no file for images.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidFile {
    /// It begins with no known word.
    #[error("expected oci:DIRECTORY, oci-archive:PATH or docker-archive:PATH")]
    Form,
    /// Nothing stands where the path should be.
    #[error("{0:?} names no file: expected {0}PATH[:NAME]")]
    NoPath(&'static str),
    /// A directory cannot be standard output.
    #[error("a directory cannot go to standard output: write oci-archive:-")]
    LayoutToStdout,
    /// The name is none.
    #[error(
        "malformed NAME {text:?} after the path: expected a tag such as 1.0, or a name such as \
         app:1.0"
    )]
    Name {
        /// The text as it was written.
        text: String,
        /// The fault.
        source: InvalidReference,
    },
    /// Images are not stored under digests that someone chose.
    #[error("the NAME {0:?} after the path has a digest: give a tag")]
    NameWithDigest(String),
    /// An archive for Docker names images by repository and tag.
    #[error(
        "the tag {0} needs a repository's name: write docker-archive:PATH:NAME, such as \
         docker-archive:app.tar:app:1.0"
    )]
    TagAlone(Tag),
}

impl FromStr for ImageFile {
    type Err = InvalidFile;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let forms = Form::ALL.into_iter();
        let mut found = forms.filter_map(|form| Some((form, text.strip_prefix(form.prefix())?)));
        let (form, rest) = found.next().ok_or(InvalidFile::Form)?;
        let (path, name) = match rest.split_once([':', '#']) {
            Some((path, name)) => (path, Some(name)),
            None => (rest, None),
        };
        if path.is_empty() {
            return Err(InvalidFile::NoPath(form.prefix()));
        }
        if path == "-" && form == Form::Layout {
            return Err(InvalidFile::LayoutToStdout);
        }
        if let Some(name) = name {
            check_name(name)?;
        }
        Ok(Self {
            form,
            path: (path != "-").then(|| path.into()),
            name: name.map(str::to_owned),
            tags: Vec::new(),
            append: false,
        })
    }
}

fn check_name(text: &str) -> Result<(), InvalidFile> {
    if text.parse::<Tag>().is_ok() {
        return Ok(());
    }
    let named: Result<Reference, _> = text.parse();
    let named = named.map_err(|source| InvalidFile::Name {
        text: text.to_owned(),
        source,
    })?;
    match named.digest() {
        Some(_) => Err(InvalidFile::NameWithDigest(text.to_owned())),
        None => Ok(()),
    }
}

impl ImageFile {
    /// All names that the image gets, each once.
    pub fn names(&self) -> Result<Vec<String>, InvalidFile> {
        let mut names: Vec<String> = self.own_name().into_iter().collect();
        for tag in &self.tags {
            let name = self.tagged(tag)?;
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// The name of an image under another tag than the written one.
    pub(super) fn tagged(&self, tag: &Tag) -> Result<String, InvalidFile> {
        match (self.repository(), self.form) {
            (Some(repository), _) => Ok(format!("{repository}:{tag}")),
            (None, Form::DockerArchive) => Err(InvalidFile::TagAlone(tag.clone())),
            (None, _) => Ok(tag.to_string()),
        }
    }

    fn own_name(&self) -> Option<String> {
        let name = self.name.as_ref()?;
        if self.form != Form::DockerArchive {
            return Some(name.clone());
        }
        let reference: Reference = name.parse().ok()?;
        let latest = Tag::latest();
        let tag = reference.tag().unwrap_or(&latest);
        Some(format!("{}:{tag}", self.repository()?))
    }

    /// The part before the tag in the written name. A tag alone has nothing before it.
    fn repository(&self) -> Option<String> {
        let name = self.name.as_ref()?;
        if self.form == Form::DockerArchive {
            let reference: Reference = name.parse().ok()?;
            return Some(familiar(&reference.repository().to_string()).to_owned());
        }
        match name.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => Some(repository.to_owned()),
            _ => name.contains('/').then(|| name.clone()),
        }
    }
}

/// A repository's name as Docker shows it.
fn familiar(repository: &str) -> &str {
    match repository.strip_prefix(DOCKER_HUB) {
        Some(name) => name.strip_prefix(LIBRARY).unwrap_or(name),
        None => repository,
    }
}

/// Without the image's name.
impl fmt::Display for ImageFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "{}{}", self.form.prefix(), path.display()),
            None => write!(f, "{}-", self.form.prefix()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str, tags: &[&str]) -> Vec<String> {
        let file: ImageFile = text.parse().unwrap();
        let tags = tags.iter().map(|tag| tag.parse().unwrap()).collect();
        ImageFile { tags, ..file }.names().unwrap()
    }

    #[test]
    fn an_image_has_the_name_that_is_written_and_its_other_tags() {
        for (text, tags, expected) in [
            ("oci:a", &[][..], &[][..]),
            ("oci:a:1.0", &["1", "1.0"], &["1.0", "1"]),
            ("oci:a#1.0", &[], &["1.0"]),
            ("oci:a", &["1"], &["1"]),
            ("oci-archive:a.tar:app:1.0", &["1"], &["app:1.0", "app:1"]),
            (
                "oci:a:quay.io:443/app",
                &["1"],
                &["quay.io:443/app", "quay.io:443/app:1"],
            ),
            ("docker-archive:a.tar:app", &["1"], &["app:latest", "app:1"]),
            ("docker-archive:-:docker.io/library/app:1", &[], &["app:1"]),
            (
                "docker-archive:-:docker.io/team/app:1",
                &[],
                &["team/app:1"],
            ),
            (
                "docker-archive:-:quay.io/team/app:1",
                &[],
                &["quay.io/team/app:1"],
            ),
        ] {
            assert_eq!(names(text, tags), expected, "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, part) in [
            ("oci:", "names no file"),
            ("docker-archive::app:1", "names no file"),
            ("oci:-", "oci-archive:-"),
            ("oci:a:App Name", "expected a tag such as 1.0"),
            ("oci:a:", "expected a tag"),
            ("docker-archive:a.tar:UPPER/case:1", "expected a tag"),
            ("nginx", "expected oci:"),
        ] {
            let error = text.parse::<ImageFile>().unwrap_err();
            assert!(error.to_string().contains(part), "{text}: {error}");
        }
        let digest = crate::oci::Digest::sha256(b"");
        let error = format!("oci:a:app@{digest}").parse::<ImageFile>();
        assert!(matches!(error, Err(InvalidFile::NameWithDigest(_))));
        let file: ImageFile = "docker-archive:a.tar".parse().unwrap();
        let tags = vec!["1".parse().unwrap()];
        let error = ImageFile { tags, ..file }.names().unwrap_err();
        assert!(error.to_string().contains("docker-archive:PATH:NAME"));
    }
}
