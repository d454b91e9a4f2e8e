//! A `.gitignore` as npm's `ignore` 5 reads it: letters match in either case.

use std::cell::RefCell;
use std::sync::LazyLock;

use regress::{Match, Regex};

use super::expression::{Dialect, Expression, InvalidPattern, units};
use super::script::trim;

#[derive(Debug)]
pub(super) struct GitPatterns {
    rules: Vec<Rule>,
    /// The directory that was asked about last, and what was found: the next file is in it, most
    /// of the time.
    last: RefCell<(String, bool)>,
}

#[derive(Debug)]
struct Rule {
    expression: Expression,
    exception: bool,
}

impl GitPatterns {
    pub(super) fn new<'a>(patterns: impl Iterator<Item = &'a str>) -> Result<Self, InvalidPattern> {
        let rules = patterns
            .filter(|pattern| says_something(pattern))
            .map(Rule::new)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            rules,
            last: RefCell::default(),
        })
    }

    /// A directory's path ends with a slash.
    pub(super) fn ignore(&self, path: &str) -> bool {
        self.parent_ignored(path) || self.matched(path)
    }

    fn parent_ignored(&self, path: &str) -> bool {
        let Some(slash) = path.trim_end_matches('/').rfind('/') else {
            return false;
        };
        let parent = &path[..=slash];
        let last = self.last.borrow();
        if last.0 == parent {
            return last.1;
        }
        drop(last);
        let ignored = self.ignore(parent);
        self.last.replace((parent.to_owned(), ignored));
        ignored
    }

    fn matched(&self, path: &str) -> bool {
        let path = units(path);
        let mut ignored = false;
        for rule in &self.rules {
            if ignored == rule.exception && rule.expression.matches(&path) {
                ignored = !rule.exception;
            }
        }
        ignored
    }
}

fn says_something(pattern: &str) -> bool {
    let backslashes = pattern.len() - pattern.trim_end_matches('\\').len();
    !trim(pattern).is_empty() && backslashes != 1 && !pattern.starts_with('#')
}

impl Rule {
    fn new(pattern: &str) -> Result<Self, InvalidPattern> {
        let (exception, text) = match pattern.strip_prefix('!') {
            Some(text) => (true, text),
            None => (false, pattern),
        };
        let text = match text.strip_prefix('\\') {
            Some(literal) if literal.starts_with(['!', '#']) => literal,
            _ => text,
        };
        Ok(Self {
            expression: Expression::new(expression(text), Dialect::ScriptIgnoringCase, pattern)?,
            exception,
        })
    }
}

/// One of the library's rewritings of a pattern into an expression.
struct Rewriting {
    find: Regex,
    global: bool,
    replace: fn(&Found<'_>) -> String,
}

/// A match of a rewriting.
struct Found<'a> {
    text: &'a str,
    place: &'a Match,
    pattern: &'a str,
}

impl<'a> Found<'a> {
    fn all(&self) -> &'a str {
        &self.text[self.place.range()]
    }

    fn group(&self, index: usize) -> &'a str {
        self.place
            .group(index)
            .map_or("", |range| &self.text[range])
    }
}

/// The expression that the library makes of a pattern.
fn expression(pattern: &str) -> String {
    REWRITINGS
        .iter()
        .fold(pattern.to_owned(), |text, rewriting| {
            let replace = |place: &Match| {
                (rewriting.replace)(&Found {
                    text: &text,
                    place,
                    pattern,
                })
            };
            if rewriting.global {
                rewriting.find.replace_all_with(&text, replace)
            } else {
                rewriting.find.replace_with(&text, replace)
            }
        })
}

/// The library's list, in its order.
static REWRITINGS: LazyLock<Vec<Rewriting>> = LazyLock::new(|| {
    let once = |find, replace| rewriting(find, false, replace);
    let all = |find, replace| rewriting(find, true, replace);
    vec![
        // A byte order mark.
        once(r"^\uFEFF", |_| String::new()),
        // Trailing spaces, unless they are quoted.
        once(r"((?:\\\\)*?)(\\?\s+)$", |found| {
            let quoted = found.group(2).starts_with('\\');
            format!("{}{}", found.group(1), if quoted { " " } else { "" })
        }),
        all(r"(\\+?)\s", |found| {
            format!("{} ", without_odd(found.group(1)))
        }),
        // What means something in an expression, but nothing here.
        all(r"[\\$.|*+(){^]", |found| format!(r"\{}", found.all())),
        all(r"(?!\\)\?", |_| "[^/]".to_owned()),
        once(r"^\/", |_| "^".to_owned()),
        all(r"\/", |_| r"\/".to_owned()),
        once(r"^\^*\\\*\\\*\\\/", |_| r"^(?:.*\/)?".to_owned()),
        // A pattern with a slash before its end is relative to the directory.
        once(r"^(?=[^^])", |found| {
            let anywhere = !has_inner_slash(found.pattern);
            if anywhere { r"(?:^|\/)" } else { "^" }.to_owned()
        }),
        all(r"\\\/\\\*\\\*(?=\\\/|$)", |found| {
            let inner = found.text[found.place.start()..].encode_utf16().count() > 6;
            if inner { r"(?:\/[^\/]+)*" } else { r"\/.+" }.to_owned()
        }),
        all(r"(^|[^\\]+)(\\\*)+(?=.+)", |found| {
            let stars = found.group(2).replace(r"\*", r"[^\/]*");
            format!("{}{stars}", found.group(1))
        }),
        all(r"\\\\\\(?=[$.|*+(){^])", |_| r"\".to_owned()),
        all(r"\\\\", |_| r"\".to_owned()),
        // Classes.
        all(r"(\\)?\[([^\]/]*?)(\\*)($|\])", |found| {
            let (class, end, close) = (found.group(2), found.group(3), found.group(4));
            if found.group(1) == r"\" {
                return format!(r"\[{class}{}{close}", without_odd(end));
            }
            if close == "]" && end.len().is_multiple_of(2) {
                return format!("[{}{end}]", in_order(class));
            }
            "[]".to_owned()
        }),
        // The end: `name/` is a directory only.
        once(r"(?:[^*])$", |found| match found.all() {
            "/" => "/$".to_owned(),
            last => format!(r"{last}(?=$|\/$)"),
        }),
        once(r"(\^|\\\/)?\\\*$", |found| {
            let name = match found.group(1) {
                "" => "[^/]*".to_owned(),
                before => format!("{before}[^/]+"),
            };
            format!(r"{name}(?=$|\/$)")
        }),
    ]
});

fn rewriting(find: &str, global: bool, replace: fn(&Found<'_>) -> String) -> Rewriting {
    Rewriting {
        find: Regex::new(find).expect("an expression written here"),
        global,
        replace,
    }
}

fn has_inner_slash(pattern: &str) -> bool {
    pattern
        .find('/')
        .is_some_and(|slash| slash + 1 < pattern.len())
}

/// Backslashes in pairs.
fn without_odd(backslashes: &str) -> &str {
    &backslashes[..backslashes.len() - backslashes.len() % 2]
}

/// A class without the ranges that end before they begin: JavaScript refuses those.
fn in_order(class: &str) -> String {
    static RANGE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new("([0-z])-([0-z])").expect("an expression written here"));
    RANGE.replace_all_with(class, |found| {
        let range = &class[found.range()];
        if range.chars().next() <= range.chars().last() {
            range.to_owned()
        } else {
            String::new()
        }
    })
}
