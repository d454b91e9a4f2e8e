//! Redirects: which answers are followed, and how many in a row.

use reqwest::{Method, StatusCode};

/// The number of times that one request is sent elsewhere.
pub(super) const MAX_REDIRECTS: usize = 5;

/// Returns true if an answer sends a request that reads elsewhere
/// ([RFC 9110, 15.4](https://www.rfc-editor.org/rfc/rfc9110#section-15.4)).
pub(super) fn redirects(method: &Method, status: StatusCode) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
        && matches!(
            status,
            StatusCode::MOVED_PERMANENTLY
                | StatusCode::FOUND
                | StatusCode::SEE_OTHER
                | StatusCode::TEMPORARY_REDIRECT
                | StatusCode::PERMANENT_REDIRECT
        )
}
