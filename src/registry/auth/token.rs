//! Bearer tokens: asking for them, and keeping them while they live
//! ([token documentation](https://distribution.github.io/distribution/spec/auth/token/)).

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use reqwest::header::HeaderValue;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::scope::Scopes;
use super::sensitive::sensitive;
use super::{Credentials, timestamp};

/// The time that a token lives that does not say so
/// ([`expires_in`](https://distribution.github.io/distribution/spec/auth/token/#token-response-fields)).
const UNSTATED_LIFETIME: Duration = Duration::from_mins(1);
/// The longest lifetime that is believed.
const LONGEST_LIFETIME: Duration = Duration::from_hours(24);
/// The longest token that is used: more than a registry takes as a header.
const MAX_TOKEN: usize = 16 << 10;
/// The number of tokens that are kept.
const MAX_TOKENS: usize = 256;

/// Who issues tokens, for what, to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::registry) struct Issuer {
    pub(in crate::registry) realm: reqwest::Url,
    pub(in crate::registry) service: Option<String>,
    pub(in crate::registry) credentials: Option<Credentials>,
}

/// A token with what it is for and how long it lives.
#[derive(Clone, Debug)]
struct Token {
    issuer: Issuer,
    scopes: Scopes,
    header: HeaderValue,
    expires: Instant,
}

/// The tokens of a client.
#[derive(Debug, Default)]
pub(in crate::registry) struct TokenCache(Mutex<Vec<Token>>);

impl TokenCache {
    /// The `Authorization` header for a request that needs `scopes`.
    pub(in crate::registry) fn get(&self, issuer: &Issuer, scopes: &Scopes) -> Option<HeaderValue> {
        let now = Instant::now();
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|token| token.expires > now);
        let found = tokens
            .iter()
            .find(|token| token.issuer == *issuer && token.scopes.cover(scopes));
        found.map(|token| token.header.clone())
    }

    /// Keeps a token and gives its header.
    pub(in crate::registry) fn put(
        &self,
        issuer: Issuer,
        scopes: Scopes,
        token: Issued,
    ) -> HeaderValue {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= MAX_TOKENS {
            tokens.remove(0);
        }
        tokens.push(Token {
            issuer,
            scopes,
            header: token.header.clone(),
            expires: Instant::now() + token.lifetime,
        });
        token.header
    }

    /// Drops a token that a registry refused.
    pub(in crate::registry) fn forget(&self, refused: &HeaderValue) {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|token| token.header != refused);
    }
}

/// A token server's answer.
#[derive(Debug)]
pub(in crate::registry) struct Issued {
    header: HeaderValue,
    lifetime: Duration,
}

/// Reads a token server's answer; `None` if there is no token in it.
pub(in crate::registry) fn parse_issued(body: &[u8], now: SystemTime) -> Option<Issued> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Answer<'a> {
        #[serde(borrow)]
        token: Option<&'a RawValue>,
        #[serde(borrow)]
        access_token: Option<&'a RawValue>,
        #[serde(borrow)]
        expires_in: Option<&'a RawValue>,
        #[serde(borrow)]
        issued_at: Option<&'a RawValue>,
    }
    let answer: Answer<'_> = serde_json::from_slice(body).ok()?;
    let token = [answer.token, answer.access_token]
        .into_iter()
        .filter_map(text)
        .find(|token| (1..=MAX_TOKEN).contains(&token.len()))?;
    let lifetime = seconds(answer.expires_in)
        .unwrap_or(UNSTATED_LIFETIME)
        .min(LONGEST_LIFETIME);
    // A clock that disagrees with the server's by more than the lifetime says nothing.
    let age = text(answer.issued_at)
        .and_then(|issued| timestamp::parse(&issued))
        .and_then(|issued| now.duration_since(issued).ok())
        .filter(|age| *age < lifetime)
        .unwrap_or_default();
    let left = lifetime.saturating_sub(age);
    let margin = (left / 5).min(Duration::from_secs(30));
    Some(Issued {
        header: sensitive(&format!("Bearer {token}"))?,
        lifetime: left.saturating_sub(margin),
    })
}

/// The value of a member, if it is text.
fn text(value: Option<&RawValue>) -> Option<String> {
    serde_json::from_str(value?.get()).ok()
}

/// A lifetime, as a number or as text. `None` where it is none: a token beside it is used all the
/// same.
fn seconds(value: Option<&RawValue>) -> Option<Duration> {
    let number = match text(value) {
        Some(text) => text.trim().parse().ok()?,
        None => serde_json::from_str(value?.get()).ok()?,
    };
    let duration = Duration::try_from_secs_f64(number).ok()?;
    (!duration.is_zero()).then_some(duration)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::auth::scope::Access;
    use proptest::prelude::*;

    fn lifetime(body: &str) -> u64 {
        let now = timestamp::parse("2026-01-01T00:01:00Z").unwrap();
        parse_issued(body.as_bytes(), now)
            .unwrap()
            .lifetime
            .as_secs()
    }

    #[test]
    fn tokens_live_as_long_as_they_say_less_a_margin() {
        assert_eq!(lifetime(r#"{"token":"t"}"#), 48);
        assert_eq!(lifetime(r#"{"access_token":"t","expires_in":300}"#), 270);
        let issued = r#"{"token":"t","expires_in":300,"issued_at":"2026-01-01T00:00:00Z"}"#;
        assert_eq!(lifetime(issued), 210);
        let skewed = r#"{"token":"t","expires_in":300,"issued_at":"2025-01-01T00:00:00Z"}"#;
        assert_eq!(lifetime(skewed), 270);
        for (odd, expected) in [
            (r#""expires_in":"300""#, 270),
            (r#""expires_in":300.9"#, 270),
            (r#""expires_in":-1"#, 48),
            (r#""expires_in":"soon""#, 48),
            (r#""expires_in":null"#, 48),
            (r#""expires_in":0"#, 48),
            (r#""expires_in":[300]"#, 48),
            (r#""expires_in":300,"issued_at":1767225600"#, 270),
            (r#""expires_in":300,"issued_at":"yesterday""#, 270),
            (r#""expires_in":300,"access_token":7"#, 270),
        ] {
            assert_eq!(
                lifetime(&format!(r#"{{"token":"t",{odd}}}"#)),
                expected,
                "{odd}"
            );
        }
    }

    #[test]
    fn an_answer_without_a_token_is_none() {
        for body in [
            &b"{}"[..],
            br#"{"token":""}"#,
            b"[]",
            b"",
            br#"{"token":1}"#,
        ] {
            assert!(parse_issued(body, SystemTime::now()).is_none());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn serves_whom_the_token_is_for_while_it_lives() {
        let issuer = |user: &str| Issuer {
            realm: "https://auth.example/token".parse().unwrap(),
            service: None,
            credentials: Some(Credentials::basic(user, "secret")),
        };
        let push = Scopes::of("a", Access::Push);
        let pull = Scopes::of("a", Access::Pull);
        let cache = TokenCache::default();
        let token = parse_issued(br#"{"token":"t","expires_in":100}"#, SystemTime::now());
        cache.put(issuer("one"), push, token.unwrap());
        assert!(cache.get(&issuer("one"), &pull).is_some());
        assert!(cache.get(&issuer("two"), &pull).is_none());
        tokio::time::advance(Duration::from_secs(81)).await;
        assert!(cache.get(&issuer("one"), &pull).is_none());
    }

    proptest! {
        #[test]
        fn any_answer_is_read_or_refused(expires in any::<u64>(), issued in "\\PC{0,30}") {
            let body = serde_json::json!({"token": "t", "expires_in": expires, "issued_at": issued});
            let parsed = parse_issued(body.to_string().as_bytes(), SystemTime::now());
            prop_assert!(parsed.unwrap().lifetime <= LONGEST_LIFETIME);
        }
    }
}
