//! The secrets that this process holds, cut out of every text that leaves it.
//!
//! A peer may repeat what it was sent: a registry that quotes the `Authorization` header in an
//! error, a proxy that shows the request. So [`scrub`] stands where texts leave: answers, log
//! lines, and what a command prints.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// Shortest secret that is looked for. A shorter one would be found in every text.
const SHORTEST: usize = 6;
/// Most secrets that are remembered; the oldest is forgotten first.
const MOST: usize = 256;
/// What stands in place of a secret.
const CUT: &str = "[redacted]";

static HELD: Mutex<VecDeque<Held>> = Mutex::new(VecDeque::new());

/// A secret, and what it looks like in other texts.
struct Held {
    secret: Box<str>,
    forms: Vec<String>,
}

impl Held {
    fn of(secret: &str) -> Self {
        let json = serde_json::Value::from(secret).to_string();
        let mut forms = vec![
            secret.to_owned(),
            json.trim_matches('"').to_owned(),
            utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(),
            STANDARD.encode(secret),
            STANDARD_NO_PAD.encode(secret),
            URL_SAFE_NO_PAD.encode(secret),
        ];
        // The longest first, since a form may be a part of another.
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        forms.dedup();
        Self {
            secret: secret.into(),
            forms,
        }
    }
}

/// Has [`scrub`] cut this secret out of texts from now on.
pub fn remember(secret: &str) {
    if secret.len() < SHORTEST {
        return;
    }
    let mut held = held();
    if held.iter().any(|known| *known.secret == *secret) {
        return;
    }
    if held.len() == MOST {
        held.pop_front();
    }
    held.push_back(Held::of(secret));
}

/// Has [`scrub`] cut out the AWS credentials that the environment holds.
pub fn remember_environment() {
    for variable in ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
        if let Ok(secret) = std::env::var(variable) {
            remember(&secret);
        }
    }
}

/// `text` without the secrets that this process holds, plain or encoded.
pub fn scrub(text: &str) -> String {
    let mut shown = text.to_owned();
    for form in held().iter().flat_map(|held| &held.forms) {
        if shown.contains(form.as_str()) {
            shown = shown.replace(form.as_str(), CUT);
        }
    }
    shown
}

fn held() -> MutexGuard<'static, VecDeque<Held>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_cut_out_in_every_form() {
        let secret = "canary-\"of\"/live+tests";
        remember(secret);
        for text in [
            secret.to_owned(),
            serde_json::json!({ "said": secret }).to_string(),
            format!(
                "https://h/?token={}",
                utf8_percent_encode(secret, NON_ALPHANUMERIC)
            ),
            format!("Basic {}", STANDARD.encode(secret)),
            format!("{}.", URL_SAFE_NO_PAD.encode(secret)),
        ] {
            let shown = scrub(&text);
            assert!(shown.contains(CUT), "{shown}");
            assert!(
                !shown.contains("canary") && !shown.contains("Y2FuYXJ5"),
                "{shown}"
            );
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        remember("a");
        assert_eq!(scrub("a text of a peer"), "a text of a peer");
    }
}
