//! The `Retry-After` header.

use std::fmt;
use std::time::Duration;

/// Reads a `Retry-After` header: seconds or an HTTP date
/// ([RFC 9110, section 10.2.3](https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3)).
pub(crate) fn parse_retry_after(text: &str) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(
        date.duration_since(std::time::SystemTime::now())
            .unwrap_or_default(),
    )
}

/// The time that an answer asks to wait, as errors show it behind the answer.
pub(crate) struct AskedWait(pub(crate) Option<Duration>);

impl fmt::Display for AskedWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(wait) => write!(f, " (try again in {} seconds)", wait.as_secs()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_retry_after() {
        assert_eq!(parse_retry_after(" 7 "), Some(Duration::from_secs(7)));
        let soon = std::time::SystemTime::now() + Duration::from_mins(1);
        let wait = parse_retry_after(&httpdate::fmt_http_date(soon)).unwrap();
        assert!((50..=60).contains(&wait.as_secs()), "{wait:?}");
        let past = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(parse_retry_after(past), Some(Duration::ZERO));
        assert_eq!(parse_retry_after("soon"), None);
    }

    proptest! {
        #[test]
        fn any_retry_after_is_read_or_not(text in "\\PC{0,40}") {
            let _ = parse_retry_after(&text);
        }
    }
}
