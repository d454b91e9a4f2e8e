//! A `.dockerignore` as npm's `@balena/dockerignore` reads it, and CDK on top of that.
//!
//! Close to Docker's own rules, but not the same: letters match in either case, and what has a
//! meaning in a regular expression keeps it.

use super::expression::{Dialect, Expression, InvalidPattern, units};
use super::script::{dirname, normalize, trim};

#[derive(Debug)]
pub(super) struct DockerPatterns {
    rules: Rules,
    /// With the directories above every exception excepted too: by these a directory is left out
    /// as a whole.
    directories: Rules,
}

impl DockerPatterns {
    pub(super) fn new<'a>(patterns: impl Iterator<Item = &'a str>) -> Result<Self, InvalidPattern> {
        let mut rules = Rules::default();
        let mut directories = Rules::default();
        for pattern in patterns {
            rules.add(pattern)?;
            directories.add(pattern)?;
            for above in above_exception(pattern) {
                // Half of a pattern need not be one: what means nothing excepts nothing.
                let _ = directories.add(&above);
            }
        }
        Ok(Self { rules, directories })
    }

    pub(super) fn ignore(&self, path: &str) -> bool {
        self.rules.ignore(path)
    }

    pub(super) fn ignore_directory(&self, path: &str) -> bool {
        self.rules.ignore(path) && self.directories.ignore(path)
    }
}

/// The directories above what `!pattern` excepts, as exceptions themselves.
fn above_exception(pattern: &str) -> Vec<String> {
    let text = trim_start(pattern);
    let Some(mark) = ["!", "/!"].into_iter().find(|mark| text.starts_with(mark)) else {
        return Vec::new();
    };
    let line_end = ['\n', '\r', '\u{2028}', '\u{2029}'];
    let excepted = text[mark.len()..]
        .split(line_end)
        .next()
        .unwrap_or_default();
    let above = std::iter::successors(Some(dirname(excepted)), |path| Some(dirname(path)));
    above
        .take_while(|path| *path != "/" && *path != ".")
        .map(|path| format!("{mark}{path}"))
        .collect()
}

fn trim_start(text: &str) -> &str {
    let trimmed = trim(text);
    let start = text.find(trimmed).unwrap_or_default();
    &text[start..]
}

#[derive(Debug, Default)]
struct Rules(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    expression: Expression,
    exception: bool,
    /// How many names the pattern has, those that are `**` included.
    names: usize,
    /// The number of them that are `**`.
    any: usize,
}

impl Rules {
    fn add(&mut self, text: &str) -> Result<(), InvalidPattern> {
        for line in text.split('\n') {
            let line = line.strip_suffix('\r').unwrap_or(line);
            if !line.starts_with('#') && !trim(line).is_empty() {
                self.0.extend(Rule::new(trim(line))?);
            }
        }
        Ok(())
    }

    fn ignore(&self, path: &str) -> bool {
        let path = units(path);
        let slash = u16::from(b'/');
        // Where the path of each directory above ends.
        let above: Vec<usize> = (0..path.len()).filter(|i| path[*i] == slash).collect();
        let prefix = |names: usize| names.checked_sub(1).map_or(0, |last| above[last]);
        let mut ignored = false;
        for rule in &self.0 {
            if ignored != rule.exception {
                continue;
            }
            let matched = rule.expression.matches(&path)
                || rule
                    .directories(above.len())
                    .any(|names| rule.expression.matches(&path[..prefix(names)]));
            if matched {
                ignored = !rule.exception;
            }
        }
        ignored
    }
}

impl Rule {
    /// `None` for a pattern that says nothing.
    fn new(pattern: &str) -> Result<Option<Self>, InvalidPattern> {
        let (exception, path) = match pattern.strip_prefix('!') {
            Some(path) => (true, trim(path)),
            None => (false, pattern),
        };
        let mut path = if path.is_empty() {
            String::new()
        } else {
            clean(path)
        };
        if path.len() > 1 && path.starts_with('/') {
            path.remove(0);
        }
        if exception {
            path.insert(0, '!');
        }
        let path = trim(&path);
        if path.is_empty() {
            return Ok(None);
        }
        let path = clean(path);
        let (exception, path) = match path.strip_prefix('!') {
            Some("") => return Ok(None),
            Some(path) => (true, path),
            None => (false, path.as_str()),
        };
        Ok(Some(Self {
            expression: Expression::new(expression(path), Dialect::ScriptIgnoringCase, pattern)?,
            exception,
            names: path.split('/').count(),
            any: path.split('/').filter(|name| *name == "**").count(),
        }))
    }

    /// Which of the `above` directories that hold a path the pattern is tried on, by how many
    /// names each has.
    fn directories(&self, above: usize) -> std::ops::Range<usize> {
        if above == 0 {
            return 0..0;
        }
        if self.any > 0 {
            return self.names - self.any..above + 1;
        }
        if self.names > above {
            return 0..0;
        }
        self.names..self.names + 1
    }
}

/// Go's `filepath.Clean`, as far as the library has it.
fn clean(path: &str) -> String {
    let mut path = normalize(path);
    let before = path.strip_suffix('/').and_then(|rest| rest.chars().last());
    if before.is_some() {
        path.pop();
    }
    path
}

/// The expression that the library makes of a pattern.
fn expression(pattern: &str) -> String {
    let mut source = String::from("^");
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '*' if rest.next_if_eq(&'*').is_some() => {
                rest.next_if_eq(&'/');
                source += if rest.peek().is_none() {
                    ".*"
                } else {
                    "(.*/)?"
                };
            }
            '*' => source += "[^/]*",
            '?' => source += "[^/]",
            '.' | '$' => source.extend(['\\', c]),
            '\\' => {
                source.push('\\');
                source.extend(rest.next());
            }
            _ => source.push(c),
        }
    }
    source.push('$');
    source
}
