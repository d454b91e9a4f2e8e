//! Types that keep secrets out of logs, errors and answers.

mod addresses;
mod forms;
mod held;
mod json;

use std::fmt;

use held::without_parts;
pub use held::{
    remember, remember_address, remember_environment, remember_redirect, without_secrets,
};

/// `text` as it may leave the process: without the secrets that it holds, and without the users and
/// the queries of web addresses.
pub fn scrub(text: &str) -> String {
    without_parts(&addresses::without_queries(text))
}

/// As [`scrub`], of a line of JSON: it stays one.
pub fn scrub_json(line: &str) -> String {
    let line = addresses::without_queries(line);
    if without_parts(&line) == line {
        return line;
    }
    json::map_strings(&line, without_parts)
}

/// A password, token or other text that must never be printed: `Debug` hides it, and there is
/// no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    /// Takes a secret, which [`scrub`] cuts out of texts from now on.
    pub fn new(text: impl Into<String>) -> Self {
        let text: String = text.into();
        remember(&text);
        Self(text.into())
    }

    /// The secret itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// A URL as it may be shown: without user, password, query and fragment, which carry signatures
/// and upload states.
#[derive(Clone, PartialEq, Eq)]
pub struct RedactedUrl(String);

impl RedactedUrl {
    /// The part of `url` that may be shown.
    pub fn new(url: &reqwest::Url) -> Self {
        let mut url = url.clone();
        let had_query = url.query().is_some();
        url.set_query(None);
        url.set_fragment(None);
        // These fail only for URLs that cannot have a user, which then have none.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let query = if had_query { "?[redacted]" } else { "" };
        Self(format!("{url}{query}"))
    }

    /// The host, with its port if it is not the scheme's own.
    pub fn host(&self) -> String {
        let (_, rest) = self.0.split_once("//").unwrap_or(("", &self.0));
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        rest[..end].to_owned()
    }
}

impl fmt::Display for RedactedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RedactedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `text` as it may be shown where it should name an image or an object and does not: without
/// what may be a user with a password before `@`, and without a query.
pub fn without_credentials(text: &str) -> String {
    let (text, query) = match text.split_once('?') {
        Some((text, _)) => (text, "?[redacted]"),
        None => (text, ""),
    };
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), text),
    };
    match rest.rsplit_once('@') {
        Some((before, after)) if !is_digest(after) || before.contains('@') => {
            format!("{scheme}[redacted]@{after}{query}")
        }
        _ => format!("{scheme}{rest}{query}"),
    }
}

fn is_digest(text: &str) -> bool {
    text.starts_with("sha256:") || text.starts_with("sha512:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_cut_out_of_names() {
        for (text, shown) in [
            ("docker://u:p@h/x", "docker://[redacted]@h/x"),
            ("u:p@h/x@sha256:00", "[redacted]@sha256:00"),
            ("h/x@sha256:00", "h/x@sha256:00"),
            ("s3://b/k?X-Amz-Signature=1", "s3://b/k?[redacted]"),
            ("h/x:1", "h/x:1"),
        ] {
            assert_eq!(without_credentials(text), shown);
        }
    }

    #[test]
    fn shows_no_secret() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?}"), "[secret]");
        let url = "https://user:pass@host/path?X-Amz-Signature=abc#frag"
            .parse()
            .unwrap();
        let shown = RedactedUrl::new(&url).to_string();
        assert_eq!(shown, "https://host/path?[redacted]");
        assert_eq!(RedactedUrl::new(&url).host(), "host");
    }
}
