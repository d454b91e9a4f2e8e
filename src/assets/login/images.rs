//! The images that a builder pulls itself: those that a Dockerfile and the build's options name.
//!
//! Nothing is built by what is read here. A name too many costs a token that nobody needs, so
//! stages are not told apart by whether they are built.

use std::collections::{BTreeMap, BTreeSet};
use std::str::Lines;

use super::expand::{expand, words};
use crate::assets::ImageAsset;

const DOCKER_HUB: &str = "docker.io";
/// The prefix of an image in a further context.
const IMAGE_CONTEXT: &str = "docker-image://";

/// An image as far as its login goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::assets) struct ImageName {
    /// The registry's host, with its port if it has one.
    pub(super) registry: String,
    /// The repository's name, which may have a tag and a digest.
    pub(super) path: String,
}

impl ImageName {
    fn parse(text: &str) -> Self {
        let (registry, path) = match text.split_once('/') {
            Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (host, path),
            _ => (DOCKER_HUB, text),
        };
        Self {
            registry: registry.to_owned(),
            path: path.to_owned(),
        }
    }
}

/// The images that are pulled for an asset with this Dockerfile, and those that layers are cached
/// in.
pub(in crate::assets) fn images(asset: &ImageAsset, dockerfile: &str) -> BTreeSet<ImageName> {
    let (directives, escape) = directives(dockerfile);
    let mut reader = Reader {
        asset,
        escape,
        globals: BTreeMap::new(),
        variables: BTreeMap::new(),
        stages: BTreeSet::new(),
        images: directives.into_iter().collect(),
    };
    for line in instructions(dockerfile, escape) {
        reader.read(&line);
    }
    let contexts = asset.build_contexts.iter();
    let contexts = contexts.filter_map(|(_, place)| place.strip_prefix(IMAGE_CONTEXT));
    let caches = asset.cache_from.iter().chain(&asset.cache_to);
    let caches = caches.filter_map(|cache| cached_in(cache));
    reader
        .images
        .extend(contexts.chain(caches).map(ImageName::parse));
    reader.images
}

/// The image that is a cache: `type=registry,ref=IMAGE`, or `IMAGE` alone.
fn cached_in(cache: &str) -> Option<&str> {
    if !cache.contains('=') {
        return Some(cache);
    }
    cache
        .split(',')
        .find_map(|field| field.strip_prefix("ref="))
}

/// The frontend that `# syntax=` names, and the character that `# escape=` does.
fn directives(dockerfile: &str) -> (Option<ImageName>, char) {
    let (mut frontend, mut escape) = (None, '\\');
    for line in dockerfile.trim_start_matches('\u{feff}').lines() {
        let directive = line.trim().strip_prefix('#');
        let Some((name, value)) = directive.and_then(|text| text.split_once('=')) else {
            break;
        };
        match name.trim().to_ascii_lowercase().as_str() {
            "syntax" => frontend = Some(ImageName::parse(value.trim())),
            "escape" if value.trim() == "`" => escape = '`',
            "escape" | "check" => {}
            _ => break,
        }
    }
    (frontend, escape)
}

/// The instructions, each as one line, without comments and here-documents.
fn instructions(dockerfile: &str, escape: char) -> Vec<String> {
    let mut lines = dockerfile.trim_start_matches('\u{feff}').lines();
    let (mut found, mut current) = (Vec::new(), String::new());
    let mut skips_documents = true;
    while let Some(line) = lines.next() {
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        if let Some(part) = continued(line, escape) {
            current.push_str(part);
            continue;
        }
        current.push_str(line);
        let ends = document_ends(&current, escape);
        if skips_documents && !ends.is_empty() {
            match after_documents(lines.clone(), &ends) {
                Some(after) => lines = after,
                None => skips_documents = false,
            }
        }
        found.push(std::mem::take(&mut current));
    }
    found.push(current);
    found
}

/// The part of a line before the character that continues it.
fn continued(line: &str, escape: char) -> Option<&str> {
    let part = line.trim_end().strip_suffix(escape)?;
    (!part.ends_with(escape)).then_some(part)
}

/// The lines that end the here-documents of an instruction, and whether tabs may stand before them.
fn document_ends(instruction: &str, escape: char) -> Vec<(String, bool)> {
    let words = words(instruction, escape);
    let takes_documents = words
        .first()
        .is_some_and(|word| ["RUN", "COPY", "ADD"].contains(&word.to_ascii_uppercase().as_str()));
    if !takes_documents {
        return Vec::new();
    }
    let ends = words.iter().filter_map(|word| {
        let word = word.trim_start_matches(|c: char| c.is_ascii_digit());
        let rest = word.strip_prefix("<<")?;
        let (rest, strips_tabs) = match rest.strip_prefix('-') {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let end = expand(rest, escape, &|_| None);
        (!end.is_empty() && !rest.contains('<')).then_some((end, strips_tabs))
    });
    ends.collect()
}

/// The lines after the here-documents, if they end.
fn after_documents<'a>(mut lines: Lines<'a>, ends: &[(String, bool)]) -> Option<Lines<'a>> {
    for (end, strips_tabs) in ends {
        lines.find(|line| match strips_tabs {
            true => line.trim_start_matches('\t') == end,
            false => line == end,
        })?;
    }
    Some(lines)
}

struct Reader<'a> {
    asset: &'a ImageAsset,
    escape: char,
    /// Arguments before the first stage.
    globals: BTreeMap<String, String>,
    /// Arguments of the stage.
    variables: BTreeMap<String, String>,
    /// Names of stages, in lowercase.
    stages: BTreeSet<String>,
    images: BTreeSet<ImageName>,
}

impl Reader<'_> {
    fn read(&mut self, line: &str) {
        let words = words(line, self.escape);
        let Some((instruction, words)) = words.split_first() else {
            return;
        };
        match instruction.to_ascii_uppercase().as_str() {
            "ARG" => words.iter().for_each(|word| self.argument(word)),
            "FROM" => self.stage(words),
            "COPY" | "ADD" => self.flags(words, "--from=", Some),
            "RUN" => self.flags(words, "--mount=", |value| {
                value
                    .split(',')
                    .find_map(|field| field.strip_prefix("from="))
            }),
            _ => {}
        }
    }

    fn argument(&mut self, word: &str) {
        let (name, default) = match word.split_once('=') {
            Some((name, default)) => (name, Some(self.expand(default))),
            None => (word, self.globals.get(word).cloned()),
        };
        let mut given = self.asset.build_args.iter().rev();
        let given = given.find(|(given, _)| given == name);
        let value = given.map(|(_, value)| value.clone()).or(default);
        let arguments = if self.is_before_stages() {
            &mut self.globals
        } else {
            &mut self.variables
        };
        arguments.extend(value.map(|value| (name.to_owned(), value)));
    }

    /// Returns true if no stage has begun: each has a name, be it that of its number.
    fn is_before_stages(&self) -> bool {
        self.stages.is_empty()
    }

    fn stage(&mut self, words: &[&str]) {
        self.variables.clear();
        let mut words = words.iter().filter(|word| !word.starts_with("--"));
        if let Some(image) = words.next() {
            self.image(image);
        }
        let number = self.stages.len().to_string();
        let name = words.nth(1).map(|name| name.to_ascii_lowercase());
        self.stages.insert(name.unwrap_or(number));
    }

    /// Reads an image out of each flag that begins with `begin`.
    fn flags<'w>(
        &mut self,
        words: &[&'w str],
        begin: &str,
        image: impl Fn(&'w str) -> Option<&'w str>,
    ) {
        let flags = words.iter().take_while(|word| word.starts_with("--"));
        for flag in flags {
            if let Some(image) = flag.strip_prefix(begin).and_then(&image) {
                self.image(image);
            }
        }
    }

    fn image(&mut self, word: &str) {
        let image = self.expand(word);
        let mut contexts = self.asset.build_contexts.iter();
        let is_here = image.is_empty()
            || image == "scratch"
            || image.bytes().all(|byte| byte.is_ascii_digit())
            || self.stages.contains(&image.to_ascii_lowercase())
            || contexts.any(|(name, _)| *name == image);
        if !is_here {
            self.images.insert(ImageName::parse(&image));
        }
    }

    fn expand(&self, word: &str) -> String {
        let lookup = |name: &str| {
            let value = self.variables.get(name).or_else(|| self.globals.get(name));
            value.map(String::as_str)
        };
        expand(word, self.escape, &lookup)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(dockerfile: &str, asset: &ImageAsset) -> Vec<String> {
        let images = images(asset, dockerfile).into_iter();
        images
            .map(|image| format!("{} {}", image.registry, image.path))
            .collect()
    }

    fn plain(dockerfile: &str) -> Vec<String> {
        of(dockerfile, &ImageAsset::default())
    }

    #[test]
    fn images_are_those_that_docker_pulls() {
        for (dockerfile, expected) in [
            ("FROM scratch\nCOPY --from=0 / /\n", &[][..]),
            (
                "from h.io/a:1 as Build\nFROM build\nCOPY --from=BUILD a b\n",
                &["h.io a:1"],
            ),
            ("FROM alpine", &["docker.io alpine"]),
            (
                "FROM team/app\nFROM localhost/x\nFROM h:5000/y@sha256:00",
                &["docker.io team/app", "h:5000 y@sha256:00", "localhost x"],
            ),
            (
                "FROM --platform=$BUILDPLATFORM \\\n  # why\n\n  h.io/a \\\n  AS x\r\n",
                &["h.io a"],
            ),
            ("ARG H=h.io\nARG I=${H}/a\nFROM $I:${TAG:-1}", &["h.io a:1"]),
            (
                "ARG H\nFROM ${H:-h.io}/a\nARG H=other.io\nCOPY --chown=1 --from=${H}/b x y",
                &["h.io a", "other.io b"],
            ),
            (
                "FROM scratch\nRUN --mount=type=bind,from=h.io/tools,target=/t --network=none x",
                &["h.io tools"],
            ),
            (
                "FROM scratch\nRUN <<EOF cat <<-'END'\nFROM h.io/no\nEOF\nx\n\tEND\nCOPY --from=h.io/b a b",
                &["h.io b"],
            ),
            (
                "FROM scratch\nRUN a <<EOF\nCOPY --from=h.io/b a b",
                &["h.io b"],
            ),
            (
                "FROM scratch\nRUN echo \"<<EOF x\" '<<E'\nCOPY --from=h.io/b a b",
                &["h.io b"],
            ),
            (
                "# Syntax = h.io/frontend:1\n# escape=`\nFROM `\n h.io/a\\\n",
                &["h.io a\\", "h.io frontend:1"],
            ),
            (
                "# a comment\n# syntax=h.io/no\nFROM \"h.io/a\"",
                &["h.io a"],
            ),
            ("\u{feff}FROM h.io/a\n", &["h.io a"]),
            ("RUN x --from=h.io/no\nFROM", &[]),
        ] {
            assert_eq!(plain(dockerfile), expected, "{dockerfile}");
        }
    }

    #[test]
    fn options_choose_images_and_name_some() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let asset = ImageAsset {
            build_args: vec![pair("H", "given.io"), pair("UNASKED", "no.io")],
            build_contexts: vec![
                pair("base", "docker-image://context.io/a"),
                pair("files", "../files"),
            ],
            cache_from: vec![
                "type=registry,ref=from.io/cache".to_owned(),
                "type=gha".to_owned(),
            ],
            cache_to: Some("to.io/cache".to_owned()),
            ..ImageAsset::default()
        };
        let dockerfile =
            "ARG H=h.io\nFROM $H/a AS x\nFROM base\nCOPY --from=files a b\nFROM $UNASKED/b";
        let expected = [
            "context.io a",
            "docker.io /b",
            "from.io cache",
            "given.io a",
            "to.io cache",
        ];
        assert_eq!(of(dockerfile, &asset), expected);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(FROM |ARG |RUN |COPY --from=|<<E|A=|\\$A|\\$\\{A:-|\\}|\\\\|`|#|\"|'|\n|\t| |h\\.io/|\\PC){0,40}") {
            plain(&text);
        }

        #[test]
        fn an_image_is_found_however_it_is_written(
            before in "(#[a-z =]{0,9}\n|\n|RUN x \\\\\n +y\n|ARG B=\"c d\"\n){0,4}",
            from in "(FROM|from|From)( --platform=linux/arm64)?( |\t| \\\\\n| \\\\\n# z\n){1,3}",
            after in "( AS [a-z]{1,5})?(\nRUN [a-z \"]{0,9})?",
        ) {
            let found = plain(&format!("# first\n{before}{from}h.io/app:1{after}\n"));
            prop_assert_eq!(found, ["h.io app:1"]);
        }
    }
}
