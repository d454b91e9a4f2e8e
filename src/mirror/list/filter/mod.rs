//! Filters: which tags of a repository are taken.

mod range;
mod version;

use std::collections::{BTreeMap, HashSet};

use regex_lite::{Regex, RegexBuilder};

use self::range::Range;
use self::version::Version;
use super::fields::{Field, Fields};
use super::node::Kind;
use super::problem::Problems;
use super::table::TAGS;
use crate::oci::Tag;

/// Longest regular expression, in bytes.
const MAX_PATTERN: usize = 1000;
/// Most room that a regular expression takes when it is compiled, in bytes.
const MAX_COMPILED: usize = 64 * 1024;
/// Most regular expressions of one key.
const MAX_PATTERNS: usize = 100;
/// Most tags that a filter names.
const MAX_NAMES: usize = 10_000;

/// The tags of a repository that are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagFilter {
    /// These, and no other.
    Names(Vec<Tag>),
    /// Those that pass all of these rules.
    Rules(Rules),
}

/// Rules that a tag passes or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    allow: Option<Vec<Pattern>>,
    deny: Vec<Pattern>,
    semver: Option<Range>,
    suffix: Option<Vec<Pattern>>,
    prereleases: bool,
    newest: Option<usize>,
}

impl TagFilter {
    /// A filter that all tags pass.
    pub(super) fn all() -> Self {
        Self::Rules(Rules::default())
    }

    /// The tags that are taken, in the order in which they are given.
    pub fn select<'a>(&self, tags: &'a [Tag]) -> Vec<&'a Tag> {
        match self {
            Self::Names(names) => {
                let names: HashSet<&Tag> = names.iter().collect();
                tags.iter().filter(|tag| names.contains(tag)).collect()
            }
            Self::Rules(rules) => rules.select(tags),
        }
    }

    /// The tags by their names, where the filter names them and the repository need not be
    /// listed.
    pub fn names(&self) -> Option<&[Tag]> {
        match self {
            Self::Names(names) => Some(names),
            Self::Rules(_) => None,
        }
    }

    /// Returns true if at most one tag can pass.
    pub(super) fn is_for_one(&self) -> bool {
        match self {
            Self::Names(names) => names.len() == 1,
            Self::Rules(rules) => rules.newest == Some(1),
        }
    }

    /// Reads `tags` of an entry.
    pub(super) fn read(field: &Field<'_>, problems: &mut Problems) -> Option<Self> {
        if let Kind::Map(_) = field.node.kind {
            let fields = Fields::read(field.node, field.place.clone(), TAGS, problems)?;
            return Some(Self::Rules(Rules::read(&fields, problems)));
        }
        let items = field.items();
        if items.is_empty() {
            field.problem(
                problems,
                "the list is empty: expected tags, or {} for all of them",
            );
        }
        if field.is_too_long(MAX_NAMES, problems) {
            return None;
        }
        let mut seen = HashSet::new();
        let names = items.iter().filter_map(|item| item.parse(problems));
        let names: Vec<Tag> = names.filter(|tag: &Tag| seen.insert(tag.clone())).collect();
        (!names.is_empty()).then_some(Self::Names(names))
    }
}

impl Rules {
    fn read(fields: &Fields<'_>, problems: &mut Problems) -> Self {
        let mut patterns = |name: &str| {
            let field = fields.written(name)?;
            Some(patterns(field, problems))
        };
        let (allow, deny, suffix) = (patterns("allow"), patterns("deny"), patterns("suffix"));
        let newest = fields
            .get("newest")
            .and_then(|field| field.number(&(1..=100_000), problems));
        let prereleases = fields
            .get("prereleases")
            .and_then(|field| field.choice(&[("true", true), ("false", false)], problems));
        let rules = Self {
            allow,
            deny: deny.unwrap_or_default(),
            semver: fields
                .get("semver")
                .and_then(|field| semver(field, problems)),
            suffix,
            prereleases: prereleases.unwrap_or_default(),
            newest,
        };
        if let Some(field) = fields.get("prereleases")
            && !rules.reads_versions()
        {
            field.problem(problems, "it needs semver, suffix or newest beside it");
        }
        rules
    }

    fn select<'a>(&self, tags: &'a [Tag]) -> Vec<&'a Tag> {
        let allow = self.allow.as_deref().map(compiled);
        let deny = compiled(&self.deny);
        let suffix = self.suffix.as_deref().map(compiled);
        let passed = tags.iter().filter(|tag| {
            let tag = tag.as_str();
            allow.as_deref().is_none_or(|allow| matches(allow, tag)) && !matches(&deny, tag)
        });
        if !self.reads_versions() {
            return passed.collect();
        }
        let versions = passed.filter_map(|tag| {
            let version = Version::of(tag.as_str())?;
            self.takes(&version, suffix.as_deref())
                .then_some((tag, version))
        });
        self.newest(versions.collect(), suffix.as_deref())
    }

    /// Returns true if a tag must be a version to pass.
    fn reads_versions(&self) -> bool {
        self.semver.is_some() || self.suffix.is_some() || self.newest.is_some()
    }

    fn takes(&self, version: &Version, suffix: Option<&[Regex]>) -> bool {
        let suffix_passes = match (suffix, &self.semver) {
            (Some(suffix), _) => matches(suffix, &version.suffix),
            (None, Some(_)) => version.suffix.is_empty(),
            (None, None) => true,
        };
        let version_passes = match &self.semver {
            Some(range) => range.has(version, self.prereleases),
            None => self.prereleases || !version.is_prerelease(),
        };
        suffix_passes && version_passes
    }

    /// The newest of each variant: of all that one pattern of `suffix` matches, or else of all
    /// whose suffix differs in numbers only.
    fn newest<'a>(
        &self,
        versions: Vec<(&'a Tag, Version)>,
        suffix: Option<&[Regex]>,
    ) -> Vec<&'a Tag> {
        let Some(most) = self.newest else {
            return versions.into_iter().map(|(tag, _)| tag).collect();
        };
        let variant = |version: &Version| {
            let mut patterns = suffix.unwrap_or_default().iter();
            let first = patterns.position(|pattern| pattern.is_match(&version.suffix));
            first.map_or_else(|| version.variant(), |position| format!("{position}"))
        };
        let mut variants: BTreeMap<String, Vec<&(&Tag, Version)>> = BTreeMap::new();
        for known in &versions {
            variants.entry(variant(&known.1)).or_default().push(known);
        }
        let mut kept = HashSet::new();
        for mut of_variant in variants.into_values() {
            of_variant.sort_by(|a, b| b.1.compare(&a.1));
            kept.extend(of_variant.into_iter().take(most).map(|(tag, _)| *tag));
        }
        let tags = versions.iter().map(|(tag, _)| *tag);
        tags.filter(|tag| kept.contains(tag)).collect()
    }
}

/// A regular expression that has been tried. It is compiled again where it is used, so that a
/// long list takes little memory.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern(String);

impl Pattern {
    fn new(text: &str) -> Result<Self, String> {
        if text.len() > MAX_PATTERN {
            let length = text.len();
            return Err(format!(
                "the regular expression is too long: expected at most {MAX_PATTERN} bytes, got \
                 {length}"
            ));
        }
        let pattern = Self(text.to_owned());
        // Alone first: `a)|(b` is no expression, though it is one within parentheses.
        for whole in [text.to_owned(), pattern.anchored()] {
            if let Err(error) = build(&whole) {
                return Err(format!("malformed regular expression {text:?}: {error}"));
            }
        }
        Ok(pattern)
    }

    fn anchored(&self) -> String {
        format!("^(?:{})$", self.0)
    }
}

fn build(pattern: &str) -> Result<Regex, regex_lite::Error> {
    RegexBuilder::new(pattern).size_limit(MAX_COMPILED).build()
}

fn compiled(patterns: &[Pattern]) -> Vec<Regex> {
    let compiled = patterns.iter().map(|pattern| {
        build(&pattern.anchored()).expect("a pattern is kept only if it can be compiled")
    });
    compiled.collect()
}

fn matches(patterns: &[Regex], text: &str) -> bool {
    patterns.iter().any(|pattern| pattern.is_match(text))
}

fn patterns(field: &Field<'_>, problems: &mut Problems) -> Vec<Pattern> {
    let mut patterns = Vec::new();
    let items = field.items();
    if field.is_too_long(MAX_PATTERNS, problems) {
        return patterns;
    }
    for item in items {
        let text = match item.text(problems) {
            Some(text) if item.name == "suffix" => text.strip_prefix('-').unwrap_or(text),
            Some(text) => text,
            None => continue,
        };
        match Pattern::new(text) {
            Ok(pattern) => patterns.push(pattern),
            Err(problem) => item.problem(problems, problem),
        }
    }
    patterns
}

fn semver(field: &Field<'_>, problems: &mut Problems) -> Option<Range> {
    let items = field.items();
    if field.is_too_long(MAX_PATTERNS, problems) {
        return None;
    }
    let ranges = items
        .iter()
        .filter_map(|item| item.parse::<Range>(problems));
    ranges.reduce(Range::or)
}
