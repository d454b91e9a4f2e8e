//! The meaning of a registry's failure: the specification's error document.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

/// The number of errors of one answer that are kept.
const MAX_ERRORS: usize = 8;
/// How much of a code or message is kept, in characters.
const MAX_TEXT: usize = 512;

/// The error in the registry's vocabulary. Open: registries have codes of their own.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ErrorCode(Cow<'static, str>);

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        impl ErrorCode {
            $($(#[$doc])* pub const $name: Self = Self(Cow::Borrowed(stringify!($name)));)*
        }
    };
}

error_codes! {
    /// The blob is not there.
    BLOB_UNKNOWN;
    /// The upload session is broken.
    BLOB_UPLOAD_INVALID;
    /// The upload session is not there.
    BLOB_UPLOAD_UNKNOWN;
    /// The digest is not that of the content.
    DIGEST_INVALID;
    /// A manifest names content that is not there.
    MANIFEST_BLOB_UNKNOWN;
    /// The manifest is refused.
    MANIFEST_INVALID;
    /// The manifest is not there.
    MANIFEST_UNKNOWN;
    /// The repository's name is refused.
    NAME_INVALID;
    /// The repository is not there.
    NAME_UNKNOWN;
    /// The size is not that of the content.
    SIZE_INVALID;
    /// The tag is refused: malformed, or not to be overwritten.
    TAG_INVALID;
    /// No or wrong credentials.
    UNAUTHORIZED;
    /// The credentials do not allow this.
    DENIED;
    /// The registry does not do this.
    UNSUPPORTED;
    /// Too many requests in too little time.
    TOOMANYREQUESTS;
}

impl ErrorCode {
    /// The code as the registry wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One error of a registry's answer, in one line of bounded length. The document's `detail` is
/// not kept: registries put requests into it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ErrorDetail {
    /// The error.
    pub code: ErrorCode,
    /// The same for people. May be empty.
    pub message: String,
}

impl fmt::Display for ErrorDetail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code.as_str(), self.message.as_str()) {
            ("", message) => f.write_str(message),
            (code, "") => f.write_str(code),
            (code, message) => write!(f, "{code}: {message}"),
        }
    }
}

/// Reads an error document. Empty where the body is something else.
pub(super) fn parse_errors(body: &[u8]) -> Vec<ErrorDetail> {
    // A tree of values would take a hundred times what the body has.
    #[derive(Deserialize)]
    struct Document<'a> {
        #[serde(borrow)]
        errors: Vec<Entry<'a>>,
    }
    #[derive(Deserialize)]
    struct Entry<'a> {
        #[serde(borrow, default)]
        code: Option<&'a RawValue>,
        #[serde(borrow, default)]
        message: Option<&'a RawValue>,
    }
    let Ok(document) = serde_json::from_slice::<Document<'_>>(body) else {
        return Vec::new();
    };
    let entries = document.errors.into_iter().take(MAX_ERRORS);
    entries
        .map(|entry| ErrorDetail {
            code: ErrorCode(Cow::Owned(one_line(entry.code))),
            message: one_line(entry.message),
        })
        .collect()
}

/// A JSON value as text without line breaks, control characters and excess.
fn one_line(value: Option<&RawValue>) -> String {
    let Some(value) = value.map(RawValue::get) else {
        return String::new();
    };
    let text = match serde_json::from_str(value) {
        Ok(text) => Cow::Owned(text),
        Err(_) => Cow::Borrowed(value),
    };
    let printable = text
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| !c.is_control());
    printable.take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keeps_unknown_codes_and_drops_details() {
        let body = br#"{"errors":[
            {"code":"TAG_INVALID","message":"the tag\n'x' \u001b[31mexists","detail":{"secret":"s"}},
            {"code":"WEIRD","message":null},
            {"message":"no code"}
        ]}"#;
        let shown: Vec<_> = parse_errors(body).iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            ["TAG_INVALID: the tag 'x' [31mexists", "WEIRD", "no code"]
        );
    }

    #[test]
    fn reads_nothing_from_other_bodies() {
        for body in [&b""[..], b"<html>", b"{}", br#"{"errors":null}"#, b"[1]"] {
            assert_eq!(parse_errors(body), []);
        }
    }

    proptest! {
        #[test]
        fn shows_no_control_characters(message in ".{0,900}") {
            let body = serde_json::json!({"errors": [{"code": message, "message": message}]});
            for error in parse_errors(body.to_string().as_bytes()) {
                prop_assert!(!error.to_string().chars().any(char::is_control));
                prop_assert!(error.message.chars().count() <= MAX_TEXT);
            }
        }
    }
}
