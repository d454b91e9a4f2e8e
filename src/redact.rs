//! Types that keep secrets out of logs, errors and answers.

use std::fmt;

/// A password, token or other text that must never be printed: `Debug` hides it, and there is
/// no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    /// Takes a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into().into())
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
    /// What may be shown of `url`.
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

#[cfg(test)]
mod tests {
    use super::*;

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
