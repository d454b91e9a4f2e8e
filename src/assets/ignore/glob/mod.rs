//! Globs as npm's `minimatch` 10 reads them, with CDK's options `matchBase` and `flipNegate`.

mod braces;
mod class;
mod extended;
mod globstar;
mod segment;
mod source;

use super::expression::InvalidPattern;
use globstar::matches;
use segment::Segment;

#[derive(Debug)]
pub(super) struct GlobPatterns(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    /// The globs that the braces stand for: one match is enough.
    globs: Vec<Vec<Segment>>,
    exception: bool,
}

impl GlobPatterns {
    pub(super) fn new<'a>(patterns: impl Iterator<Item = &'a str>) -> Result<Self, InvalidPattern> {
        patterns.map(Rule::new).collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn ignore(&self, path: &str) -> bool {
        let names: Vec<&str> = path.split('/').collect();
        let mut ignored = false;
        for rule in &self.0 {
            if ignored == rule.exception && rule.matches(&names) {
                ignored = !rule.exception;
            }
        }
        ignored
    }
}

impl Rule {
    fn new(pattern: &str) -> Result<Self, InvalidPattern> {
        let glob = pattern.trim_start_matches('!');
        let globs = if pattern.starts_with('#') || glob.is_empty() {
            Vec::new()
        } else {
            let mut expanded = braces::expand(glob);
            let mut seen = std::collections::HashSet::new();
            expanded.retain(|glob| seen.insert(glob.clone()));
            expanded
                .iter()
                .map(|glob| segments(glob, pattern))
                .collect::<Result<_, _>>()?
        };
        Ok(Self {
            globs,
            exception: pattern.starts_with('!'),
        })
    }

    fn matches(&self, names: &[&str]) -> bool {
        self.globs.iter().any(|glob| {
            // A glob of one name is for files of that name in any directory.
            let names = if glob.len() == 1 {
                &names[names.len() - 1..]
            } else {
                names
            };
            matches(names, glob)
        })
    }
}

/// Splits a glob at its slashes, several in a row being one, and resolves what it can of `..`.
fn segments(glob: &str, pattern: &str) -> Result<Vec<Segment>, InvalidPattern> {
    let mut kept: Vec<&str> = Vec::new();
    let mut names = glob.split('/').enumerate().peekable();
    while let Some((position, name)) = names.next() {
        let inside_slashes = name.is_empty() && position > 0 && names.peek().is_some();
        let last = kept.last().copied();
        match name {
            _ if inside_slashes => {}
            "**" if last == Some("**") => {}
            ".." if last.is_some_and(|last| !["", "..", ".", "**"].contains(&last)) => {
                kept.pop();
            }
            _ => kept.push(name),
        }
    }
    if kept.is_empty() {
        kept.push("");
    }
    kept.into_iter()
        .map(|name| Segment::new(name, pattern))
        .collect()
}
