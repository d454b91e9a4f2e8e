//! A `.dockerignore` as Docker reads it, whichever builder is used: the rules of
//! `moby/patternmatcher`.

use super::expression::{Dialect, Expression, InvalidPattern, units};

/// The patterns of a `.dockerignore`: what of a build's context is not sent to the builder.
#[derive(Debug, Default)]
pub struct Dockerignore {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    matcher: Matcher,
    exception: bool,
}

#[derive(Debug)]
enum Matcher {
    Exact(String),
    Prefix(String),
    Suffix(String),
    Expression(Expression),
}

/// The result of matching a directory; its entries are decided from there.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// True if each rule matches the path or a directory above it. Empty for the context itself.
    matched: Vec<bool>,
    ignored: bool,
}

impl Verdict {
    /// Returns true if the path is left out.
    pub fn is_ignored(&self) -> bool {
        self.ignored
    }
}

impl Dockerignore {
    /// Reads the text of a `.dockerignore`.
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let rules = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
            .filter_map(|line| Rule::new(line.trim()).transpose())
            .collect::<Result<_, _>>()?;
        Ok(Self { rules })
    }

    /// Decides about a path relative to the context, from what was found about the directory
    /// that holds it. A directory that is left out may hold what is not, if
    /// [`Dockerignore::has_exceptions`].
    pub fn verdict(&self, path: &str, directory: &Verdict) -> Verdict {
        let path_units = units(path);
        let mut verdict = Verdict::default();
        for (position, rule) in self.rules.iter().enumerate() {
            let above = directory.matched.get(position).copied().unwrap_or_default();
            let matched = above
                || (rule.exception == verdict.ignored && rule.matcher.matches(path, &path_units));
            verdict.matched.push(matched);
            if matched {
                verdict.ignored = !rule.exception;
            }
        }
        verdict
    }

    /// Returns true if there is a pattern with `!`.
    pub fn has_exceptions(&self) -> bool {
        self.rules.iter().any(|rule| rule.exception)
    }
}

impl Rule {
    /// Reads a line. `None` for one that says nothing.
    fn new(text: &str) -> Result<Option<Self>, InvalidPattern> {
        let line = relative(text);
        let path = clean(line.trim());
        // An exclamation mark counts after a slash too: it is looked for again.
        let (exception, path) = match path.strip_prefix('!') {
            Some(path) => (true, path),
            None => (false, path.as_str()),
        };
        let invalid = |reason: &str| Err(InvalidPattern::new(text, reason));
        if exception && path.is_empty() {
            return invalid("nothing follows the exclamation mark");
        }
        if line.trim().is_empty() {
            return Ok(None);
        }
        if !is_well_formed(path) {
            return invalid(
                "a class in brackets is open, empty or named, or no punctuation follows a backslash",
            );
        }
        Ok(Some(Self {
            matcher: Matcher::new(path, text)?,
            exception,
        }))
    }
}

/// A line with its path relative to the context.
fn relative(line: &str) -> String {
    let (mark, path) = match line.strip_prefix('!') {
        Some(path) => ("!", path.trim()),
        None => ("", line),
    };
    if path.is_empty() {
        return mark.to_owned();
    }
    let path = clean(path);
    let path = match path.strip_prefix('/') {
        Some("") | None => path.as_str(),
        Some(path) => path,
    };
    format!("{mark}{path}")
}

/// Go's `filepath.Clean`.
fn clean(path: &str) -> String {
    let normal = super::script::normalize(path);
    match normal.strip_suffix('/') {
        Some("") | None => normal,
        Some(rest) => rest.to_owned(),
    }
}

impl Matcher {
    fn new(path: &str, text: &str) -> Result<Self, InvalidPattern> {
        let wild = |c: char| "*?[]\\".contains(c);
        if let Some(suffix) = path.strip_prefix("**")
            && !suffix.contains(wild)
        {
            return Ok(Self::Suffix(suffix.to_owned()));
        }
        if let Some(prefix) = path.strip_suffix("**")
            && !prefix.contains(wild)
        {
            return Ok(Self::Prefix(prefix.to_owned()));
        }
        if !path.contains(wild) {
            return Ok(Self::Exact(path.to_owned()));
        }
        Expression::new(expression(path), Dialect::Go, text).map(Self::Expression)
    }

    fn matches(&self, path: &str, units: &[u16]) -> bool {
        match self {
            Self::Exact(exact) => path == exact,
            Self::Prefix(prefix) => path.starts_with(prefix),
            // `**/name` is the name itself too.
            Self::Suffix(suffix) => {
                path.ends_with(suffix) || suffix.strip_prefix('/') == Some(path)
            }
            Self::Expression(expression) => expression.matches(units),
        }
    }
}

fn expression(path: &str) -> String {
    let mut source = String::from("^");
    let mut rest = path.chars().peekable();
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
            // Not `{`, `|` and `}`: Docker means to escape them too, but does not.
            '.' | '+' | '(' | ')' | '$' => source.extend(['\\', c]),
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

/// Returns true if Go's `filepath.Match` takes the pattern.
fn is_well_formed(path: &str) -> bool {
    let mut rest = path.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            // Docker reads an escaped letter as an escape of regular expressions.
            '\\' if !rest
                .next()
                .is_some_and(|c| c.is_ascii() && !c.is_ascii_alphanumeric()) =>
            {
                return false;
            }
            '[' => {
                rest.next_if_eq(&'^');
                if !take_class(&mut rest) {
                    return false;
                }
            }
            _ => {}
        }
    }
    true
}

/// Takes the rest of a class: characters and ranges, at least one, and the closing bracket.
fn take_class(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> bool {
    let mut taken = false;
    loop {
        if taken && rest.next_if_eq(&']').is_some() {
            return true;
        }
        if !take_member(rest) || (rest.next_if_eq(&'-').is_some() && !take_member(rest)) {
            return false;
        }
        taken = true;
    }
}

fn take_member(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> bool {
    match rest.next() {
        None | Some('-' | ']') => false,
        Some('\\') => rest.next().is_some(),
        Some('[') => rest.peek() != Some(&':'),
        Some(_) => true,
    }
}
