//! Credentials of registries that Secrets Manager keeps.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use tokio::sync::OnceCell;

use super::{Arn, Call, Clients, Error, Operation};
use crate::content;
use crate::registry::{CredentialProvider, Credentials};

/// Credentials in a secret: `user:password`, or JSON with `username` and `password`. Fetched
/// when they are first needed, and kept as long as this value.
#[derive(Clone, Debug)]
pub struct SecretCredentials {
    clients: Clients,
    id: String,
    fetched: Arc<OnceCell<Credentials>>,
}

impl SecretCredentials {
    /// The secret `id`: its ARN, which also tells the region, or its name in `clients`' region.
    pub fn new(clients: &Clients, id: impl Into<String>) -> Self {
        Self {
            clients: clients.clone(),
            id: id.into(),
            fetched: Arc::default(),
        }
    }

    async fn fetch(&self) -> Result<Credentials, Error> {
        let call = self.call();
        let client = self.clients.secrets(&call.region);
        let answer = client.get_secret_value().secret_id(&self.id).send().await;
        let answer = answer.map_err(|error| self.clients.explain(&call, &error))?;
        let text = match (answer.secret_string(), answer.secret_binary()) {
            (Some(text), _) => Some(text),
            (None, Some(binary)) => std::str::from_utf8(binary.as_ref()).ok(),
            (None, None) => None,
        };
        let read = text.and_then(read);
        read.ok_or_else(|| Error::SecretFormat {
            name: self.id.clone(),
        })
    }

    fn call(&self) -> Call {
        let arn = self.id.parse::<Arn>().ok();
        let region = arn.as_ref().map(|arn| arn.region.clone());
        let region = region.unwrap_or_else(|| self.clients.region().to_owned());
        let arn = arn.unwrap_or_else(|| Arn::secret(&region, &self.id));
        Call {
            operation: Operation::GetSecretValue,
            target: format!("secret {}", self.id),
            resource: arn.to_string(),
            region,
        }
    }
}

impl CredentialProvider for SecretCredentials {
    fn credentials<'a>(
        &'a self,
        _registry: &'a str,
    ) -> BoxFuture<'a, content::Result<Option<Credentials>>> {
        async {
            let fetched = self.fetched.get_or_try_init(|| self.fetch()).await;
            fetched.cloned().map(Some).map_err(content::Error::backend)
        }
        .boxed()
    }
}

#[derive(Deserialize)]
struct Written {
    username: String,
    password: String,
}

/// Reads either way of writing. A password may have colons, a name may not.
fn read(text: &str) -> Option<Credentials> {
    let text = text.trim();
    if text.starts_with('{') {
        let written: Written = serde_json::from_str(text).ok()?;
        return Some(Credentials::basic(written.username, written.password));
    }
    let (username, password) = text.split_once(':')?;
    let is_given = !username.is_empty() && !password.is_empty();
    is_given.then(|| Credentials::basic(username, password))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_ways_of_writing() {
        let expected = Some(Credentials::basic("AWS", "p:w"));
        assert_eq!(read("AWS:p:w\n"), expected);
        assert_eq!(
            read(r#"{"username":"AWS","password":"p:w","note":1}"#),
            expected
        );
    }

    #[test]
    fn other_texts_are_no_credentials() {
        for text in [
            "",
            "user",
            ":password",
            "user:",
            "{",
            r#"{"username":"u"}"#,
            "[]",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
