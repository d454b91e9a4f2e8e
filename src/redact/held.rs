//! The secrets that this process holds, cut out of every text that leaves it.
//!
//! A peer may repeat what it was sent: a registry that quotes the `Authorization` header in an
//! error, a proxy that shows the request. So [`super::scrub`] stands where texts leave: answers,
//! log lines, and what a command prints.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use reqwest::Url;

use super::forms::{Form, SHORTEST, forms};

/// Most secrets that are remembered of those that may be used again.
const MOST_LASTING: usize = 256;
/// Most keys of addresses that are asked once.
const MOST_PASSING: usize = 128;
/// Shortest value in a query that is taken for a key.
const SHORTEST_KEY: usize = 12;
/// The parts of parameters' names that tell that they hold keys: S3's, `CloudFront`'s, Azure's,
/// Google's, and the states of uploads.
const KEYS: [&str; 8] = [
    "sig",
    "token",
    "state",
    "credential",
    "secret",
    "password",
    "auth",
    "key",
];
/// The text in place of a secret.
const CUT: &str = "[redacted]";

static HELD: Mutex<Memory> = Mutex::new(Memory::new());

/// A secret, and what it looks like in other texts.
struct Held {
    secret: Box<str>,
    forms: Vec<Form>,
}

struct Memory {
    /// Those of the process, as long as it lives.
    own: Vec<Held>,
    /// Passwords and tokens, the least recent first.
    lasting: VecDeque<Held>,
    /// Keys of addresses that others sent this process to, the oldest first.
    passing: VecDeque<Held>,
}

impl Memory {
    const fn new() -> Self {
        Self {
            own: Vec::new(),
            lasting: VecDeque::new(),
            passing: VecDeque::new(),
        }
    }

    fn remember(&mut self, secret: &str) {
        keep(&mut self.lasting, secret, MOST_LASTING);
    }

    fn remember_redirect(&mut self, url: &Url) {
        keys(url).for_each(|key| keep(&mut self.passing, &key, MOST_PASSING));
    }

    fn without_secrets(&self, text: &str) -> String {
        self.without(text, Form::find)
    }

    fn without_parts(&self, text: &str) -> String {
        self.without(text, Form::find_parts)
    }

    fn without(&self, text: &str, find: impl Fn(&Form, &str) -> Vec<Range<usize>>) -> String {
        let lower = text.to_ascii_lowercase();
        let held = self.own.iter().chain(&self.lasting).chain(&self.passing);
        let forms = held.flat_map(|held| &held.forms);
        let mut found: Vec<_> = forms.flat_map(|form| find(form, &lower)).collect();
        found.sort_by_key(|part| part.start);
        let mut shown = String::with_capacity(text.len());
        let mut end = 0;
        for part in found {
            if part.start > end || end == 0 {
                shown.push_str(&text[end..part.start]);
                shown.push_str(CUT);
            }
            end = end.max(part.end);
        }
        shown.push_str(&text[end..]);
        shown
    }
}

/// Has [`super::scrub`] cut this secret out of texts from now on. One of fewer than six bytes would
/// be found in every text, and is not looked for.
pub fn remember(secret: &str) {
    held().remember(secret);
}

/// Has [`super::scrub`] cut out the keys in the query of an address that is asked again and again.
pub fn remember_address(url: &Url) {
    keys(url).for_each(|key| remember(&key));
}

/// As [`remember_address`], of an address that an answer names. There are many of them, and only
/// the latest matter.
pub fn remember_redirect(url: &Url) {
    held().remember_redirect(url);
}

/// Has [`super::scrub`] cut out the credentials that the environment holds: AWS's, and those of
/// proxies.
pub fn remember_environment() {
    let aws = [
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    ];
    let aws = aws.iter().filter_map(|name| std::env::var(name).ok());
    let proxies = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].map(str::to_owned);
    let proxies = proxies
        .iter()
        .flat_map(|name| [name.clone(), name.to_lowercase()]);
    let passwords = proxies.filter_map(|name| {
        let url: Url = std::env::var(name).ok()?.parse().ok()?;
        url.password().map(str::to_owned)
    });
    let secrets: Vec<String> = aws.chain(passwords).collect();
    let own = &mut held().own;
    own.extend(
        secrets
            .iter()
            .filter(|secret| secret.len() >= SHORTEST)
            .map(|secret| Held::of(secret)),
    );
}

/// `text` without the secrets that this process holds, plain or encoded, in letters of any case.
pub fn without_secrets(text: &str) -> String {
    held().without_secrets(text)
}

/// The same, also without parts of secrets.
pub(super) fn without_parts(text: &str) -> String {
    held().without_parts(text)
}

impl Held {
    fn of(secret: &str) -> Self {
        Self {
            secret: secret.into(),
            forms: forms(secret),
        }
    }
}

/// Makes `secret` the latest of `kept`.
fn keep(kept: &mut VecDeque<Held>, secret: &str, most: usize) {
    if secret.len() < SHORTEST {
        return;
    }
    let known = kept.iter().position(|known| *known.secret == *secret);
    let known = known.and_then(|at| kept.remove(at));
    if kept.len() == most {
        kept.pop_front();
    }
    kept.push_back(known.unwrap_or_else(|| Held::of(secret)));
}

/// The values in a query that are keys.
fn keys(url: &Url) -> impl Iterator<Item = String> {
    let pairs = url.query_pairs();
    pairs.filter_map(|(name, value)| {
        let name = name.to_ascii_lowercase();
        let is_key = value.len() >= SHORTEST_KEY && KEYS.iter().any(|part| name.contains(part));
        is_key.then(|| value.into_owned())
    })
}

fn held() -> MutexGuard<'static, Memory> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    use super::*;
    use crate::redact::json::map_strings;

    fn holding(secret: &str) -> Memory {
        let mut memory = Memory::new();
        memory.remember(secret);
        memory
    }

    fn assert_cut(memory: &Memory, text: &str, words: &[&str]) {
        let shown = memory.without_parts(text);
        assert!(shown.contains(CUT), "{text}: {shown}");
        let shown = shown.to_lowercase();
        for word in words {
            assert!(!shown.contains(&word.to_lowercase()), "{text}: {shown}");
        }
    }

    #[test]
    fn a_secret_is_cut_out_in_every_form() {
        let secret = "canary-\"of\"/live+tests";
        let memory = holding(secret);
        for text in [
            secret.to_owned(),
            serde_json::json!({ "said": secret }).to_string(),
            format!("<p>{}</p>", secret.replace('"', "&quot;")),
            format!(
                "https://h/?token={}",
                utf8_percent_encode(secret, NON_ALPHANUMERIC)
            ),
            format!("Basic {}", STANDARD.encode(secret)),
            format!("{}.", URL_SAFE_NO_PAD.encode(secret)),
            format!("Basic {}", STANDARD.encode(format!("u:{secret}"))),
            format!("Basic {}", STANDARD.encode(format!("us:{secret}"))),
            secret.to_uppercase(),
        ] {
            assert_cut(&memory, &text, &["canary", "Y2FuYXJ5", "hbmFyeS"]);
        }
    }

    #[test]
    fn parts_of_a_long_secret_are_cut_out() {
        let secret = "first0half1of2the3canary4second5half6of7it";
        let memory = holding(secret);
        for text in [
            "no such token: first0half1of2...",
            "no such token: …second5half6of7it",
            "first0half1of2the3 and 4second5half6of7it",
        ] {
            assert_cut(&memory, text, &["first0half", "half6of7it"]);
        }
    }

    #[test]
    fn names_that_a_secret_begins_or_ends_with_stay() {
        let memory = holding("123456789012-auth-token");
        let name = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app-token";
        assert_eq!(memory.without_parts(name), name);
        let memory = holding("Company-Production-Registry-Password-7");
        let name = "company-production.example/registry";
        assert_eq!(memory.without_parts(name), name);
        assert_eq!(
            memory.without_secrets("Company-Production-Registry"),
            "Company-Production-Registry"
        );
    }

    #[test]
    fn the_keys_of_addresses_are_cut_out() {
        let redirect = "https://b.s3.amazonaws.com/k?X-Amz-Algorithm=AWS4-HMAC-SHA256\
                        &X-Amz-Signature=5af0signature5af0&repository=library/alpine-linux";
        let mut memory = Memory::new();
        memory.remember_redirect(&redirect.parse().unwrap());
        assert_cut(
            &memory,
            "no such key: 5AF0SIGNATURE5AF0",
            &["signature5af0"],
        );
        let other = "AWS4-HMAC-SHA256 of library/alpine-linux";
        assert_eq!(memory.without_parts(other), other);
    }

    #[test]
    fn many_passing_keys_do_not_push_out_a_password() {
        let mut memory = holding("the canary that stays");
        for number in 0..2 * MOST_PASSING + MOST_LASTING {
            let url = format!("https://h/k?sig=passing-key-number-{number}");
            memory.remember_redirect(&url.parse().unwrap());
        }
        assert_cut(&memory, "is the canary that stays", &["canary"]);
        assert!(memory.passing.len() <= MOST_PASSING);
    }

    #[test]
    fn what_is_no_secret_stays() {
        let memory = holding("a");
        for text in ["a text of a peer", ""] {
            assert_eq!(memory.without_parts(text), text);
        }
    }

    proptest! {
        #[test]
        fn no_half_of_a_secret_survives(
            secret in "[!-~]{24,60}",
            before in "\\PC{0,20}",
            after in "\\PC{0,20}",
        ) {
            let memory = holding(&secret);
            let middle = secret.len() / 2;
            for half in [&secret[..], &secret[..middle], &secret[middle..]] {
                for half in [half.to_owned(), half.to_uppercase()] {
                    let shown = memory.without_parts(&format!("{before}{half}{after}"));
                    prop_assert!(!shown.contains(&half), "{half} in {shown}");
                }
            }
        }

        #[test]
        fn a_line_of_json_stays_one(secret in "[ -~]{6,40}", said in "\\PC{0,60}", part in 0usize..40) {
            let memory = holding(&secret);
            let part = &secret[..part.min(secret.len())];
            let line = serde_json::json!({ "message": format!("{said}{part}"), "said": said });
            let cut = |text: &str| memory.without_parts(text);
            let shown = map_strings(&line.to_string(), cut);
            prop_assert!(serde_json::from_str::<serde_json::Value>(&shown).is_ok(), "{shown}");
        }
    }
}
