//! A token of a registry: kept until shortly before it ends, fetched once for all who wait.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use tokio::sync::Mutex;

use super::Error;
use crate::registry::Credentials;

/// How long before its end a token is no longer used.
const MARGIN: Duration = Duration::from_mins(15);
/// A token younger than this that is refused will not be replaced by a better one.
const YOUNG: Duration = Duration::from_mins(1);
/// The time that a token is used whose end is not told. They are given for 12 hours.
const LIFETIME: Duration = Duration::from_hours(6);

/// A token with its times, by the clock of the wall: that of a frozen function stands still.
pub(super) struct Token {
    credentials: Credentials,
    fetched: SystemTime,
    expires: SystemTime,
}

/// A token as ECR and ECR Public tell of it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AuthorizationData {
    authorization_token: Option<String>,
    /// Seconds since 1970.
    expires_at: Option<f64>,
}

impl AuthorizationData {
    pub(super) fn token(&self) -> Option<Token> {
        let end = self.expires_at.map(Duration::try_from_secs_f64);
        let end = end.and_then(Result::ok);
        let end = end.and_then(|end| SystemTime::UNIX_EPOCH.checked_add(end));
        Token::read(self.authorization_token.as_deref()?, end)
    }
}

impl Token {
    /// Reads the Base64 of `AWS:password`.
    fn read(text: &str, expires: Option<SystemTime>) -> Option<Self> {
        let text = String::from_utf8(STANDARD.decode(text).ok()?).ok()?;
        let (username, password) = text.split_once(':')?;
        let fetched = SystemTime::now();
        Some(Self {
            credentials: Credentials::basic(username, password),
            fetched,
            expires: expires.unwrap_or(fetched + LIFETIME),
        })
    }
}

/// The place of a token.
#[derive(Clone, Default)]
pub(super) struct TokenCell(Arc<Mutex<Option<Token>>>);

impl TokenCell {
    /// The token's credentials. `fetch` is called where there is none that lasts.
    pub(super) async fn get(
        &self,
        fetch: impl Future<Output = Result<Token, Error>>,
    ) -> Result<Credentials, Error> {
        // Held while fetching, so that many who need a token make one request.
        let mut token = self.0.lock().await;
        let lasts = |token: &&Token| token.expires > SystemTime::now() + MARGIN;
        if let Some(token) = token.as_ref().filter(lasts) {
            return Ok(token.credentials.clone());
        }
        Ok(token.insert(fetch.await?).credentials.clone())
    }

    /// Drops a token that was refused, unless it is fresh.
    pub(super) fn invalidate(&self) {
        // Someone who holds it is fetching a new one.
        let Ok(mut token) = self.0.try_lock() else {
            return;
        };
        token.take_if(|token| token.fetched.elapsed().is_ok_and(|age| age > YOUNG));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_is_a_token_or_none(text in "\\PC{0,40}|[A-Za-z0-9+/=]{0,40}") {
            Token::read(&text, None);
        }

        #[test]
        fn a_token_is_read_at_its_first_colon(password in "\\PC{0,40}") {
            let token = Token::read(&STANDARD.encode(format!("AWS:{password}")), None).unwrap();
            prop_assert_eq!(token.credentials, Credentials::basic("AWS", password));
        }
    }
}
