//! The mark that tells one state of an object from the next.

use reqwest::header::{ETAG, HeaderMap, HeaderName, IF_MATCH, IF_UNMODIFIED_SINCE, LAST_MODIFIED};

/// A header that changes when the object does
/// ([RFC 9110, 8.8](https://www.rfc-editor.org/rfc/rfc9110#section-8.8)).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pin {
    header: HeaderName,
    value: String,
}

impl Pin {
    /// The mark of the object that an answer is about. Weak `ETag`s do not: they may stay as they
    /// are where bytes change.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let text = |name: &HeaderName| headers.get(name)?.to_str().ok();
        let etag = text(&ETAG).filter(|etag| !etag.starts_with("W/"));
        let (header, value) = match etag {
            Some(etag) => (ETAG, etag),
            None => (LAST_MODIFIED, text(&LAST_MODIFIED)?),
        };
        Some(Self {
            header,
            value: value.to_owned(),
        })
    }

    /// The header that asks for the object in this state only, and its value.
    pub(super) fn condition(&self) -> (HeaderName, &str) {
        let name = if self.header == ETAG {
            IF_MATCH
        } else {
            IF_UNMODIFIED_SINCE
        };
        (name, &self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(headers: &[(HeaderName, &str)]) -> Option<(HeaderName, String)> {
        let headers = headers.iter();
        let headers = headers.map(|(name, value)| (name.clone(), value.parse().unwrap()));
        let pin = Pin::of(&headers.collect())?;
        let (name, value) = pin.condition();
        Some((name, value.to_owned()))
    }

    #[test]
    fn only_what_changes_with_every_byte_pins() {
        let strong = (ETAG, "\"a\"");
        let weak = (ETAG, "W/\"a\"");
        let date = (LAST_MODIFIED, "Sun, 06 Nov 1994 08:49:37 GMT");
        let by_date = Some((IF_UNMODIFIED_SINCE, date.1.to_owned()));
        let both = condition(&[strong.clone(), date.clone()]);
        assert_eq!(both, Some((IF_MATCH, "\"a\"".to_owned())));
        assert_eq!(condition(&[weak.clone(), date]), by_date);
        assert_eq!(condition(&[weak]), None);
    }
}
