//! Header values that are secrets.

use reqwest::header::HeaderValue;

use crate::redact::remember;

/// A header value that is not shown by `Debug`, nor where a peer repeats it.
pub(in crate::registry) fn sensitive(text: &str) -> Option<HeaderValue> {
    if let Some((_scheme, secret)) = text.split_once(' ') {
        remember(secret);
    }
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
