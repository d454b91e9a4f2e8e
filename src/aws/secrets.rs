//! Credentials of registries that Secrets Manager keeps.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::OnceCell;

use super::clients::Endpoint;
use super::signed::{Api, JsonApi};
use super::{Arn, Call, Clients, Error, Operation, SecretRegistries};
use crate::content;
use crate::network::HostPattern;
use crate::registry::{CredentialProvider, Credentials};

const SECRETS_MANAGER: JsonApi = JsonApi {
    api: Api {
        id: "Secrets Manager",
        name: "secretsmanager",
        host: "secretsmanager",
        dual_stack_host: None,
        is_fips_in_gov_cloud: false,
    },
    content_type: "application/x-amz-json-1.1",
    target: "secretsmanager",
};
/// Most bytes that Secrets Manager keeps in a secret.
const MAX_SECRET: usize = 64 << 10;

/// Credentials in a secret: `user:password`, or JSON with `username` and `password`. JSON that also
/// has `registry` or `registries`, as [`HostPattern`]s, is for these registries only. Fetched when
/// they are first needed, and kept as long as this value.
#[derive(Clone, Debug)]
pub struct SecretCredentials {
    clients: Clients,
    id: String,
    fields: Option<Fields>,
    registries: SecretRegistries,
    fetched: Arc<OnceCell<Kept>>,
}

/// The fields of JSON that have a name and a password.
#[derive(Clone, Debug)]
struct Fields {
    username: String,
    password: String,
}

impl SecretCredentials {
    /// The secret `id`: its ARN, which also tells the region, or its name in `clients`' region.
    pub fn new(clients: &Clients, id: impl Into<String>) -> Self {
        Self {
            clients: clients.clone(),
            id: id.into(),
            fields: None,
            registries: SecretRegistries::default(),
            fetched: Arc::default(),
        }
    }

    /// Sends the credentials only to registries that `registries` has for the secret.
    #[must_use]
    pub fn only_for(mut self, registries: &SecretRegistries) -> Self {
        self.registries = registries.clone();
        self
    }

    /// The same, of a secret that is JSON with these fields.
    #[must_use]
    pub fn in_fields(mut self, username: &str, password: &str) -> Self {
        self.fields = Some(Fields {
            username: username.to_owned(),
            password: password.to_owned(),
        });
        self
    }

    async fn fetch(&self) -> Result<Kept, Error> {
        let call = self.call();
        let endpoint = Endpoint::usual(&call.region);
        let body = json!({ "SecretId": self.id });
        let asking = self.clients.ask(&SECRETS_MANAGER, &endpoint, &call, &body);
        let answer: Answer = asking.await?;
        let text = answer.text();
        let content = self.read(text.as_deref().filter(|text| text.len() <= MAX_SECRET))?;
        // The resource may call the secret by its name, or by a part of its ARN.
        let arn = answer.arn.as_deref();
        let partial = arn.and_then(without_suffix);
        let names = [answer.name.as_deref(), arn, partial];
        let names: Vec<_> = names.into_iter().flatten().collect();
        if names.is_empty() && !self.registries.is_empty() {
            return Err(Error::Incomplete {
                call: Box::new(call),
                expected: "the secret's name",
            });
        }
        Ok(Kept {
            names: names.into_iter().map(str::to_owned).collect(),
            content,
        })
    }

    fn read(&self, text: Option<&str>) -> Result<Content, Error> {
        let Some(fields) = &self.fields else {
            return text.and_then(read).ok_or_else(|| Error::SecretFormat {
                name: self.id.clone(),
            });
        };
        let read = text.and_then(|text| fields.read(text));
        read.ok_or_else(|| Error::SecretFields {
            name: self.id.clone(),
            username: fields.username.clone(),
            password: fields.password.clone(),
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
        registry: &'a str,
    ) -> BoxFuture<'a, content::Result<Option<Credentials>>> {
        async move {
            let fetched = self.fetched.get_or_try_init(|| self.fetch()).await;
            let kept = fetched.map_err(content::Error::backend)?;
            let refused = |by| Error::SecretRegistry {
                name: self.id.clone(),
                registry: registry.to_owned(),
                by,
            };
            if !kept.content.is_for(registry) {
                let by = "its registry or registries say which it is for";
                return Err(content::Error::backend(refused(by)));
            }
            let names: Vec<_> = kept.names.iter().map(String::as_str).collect();
            if !self.registries.allow(&names, registry) {
                let by = "the template's parameter SecretRegistries (LONGSHORE_SECRET_REGISTRIES) \
                          says which it is for";
                return Err(content::Error::backend(refused(by)));
            }
            Ok(Some(kept.content.credentials.clone()))
        }
        .boxed()
    }
}

/// What Secrets Manager tells of a secret.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(rename = "ARN")]
    arn: Option<String>,
    name: Option<String>,
    secret_string: Option<String>,
    /// Base64.
    secret_binary: Option<String>,
}

impl Answer {
    /// The secret, if it is a text.
    fn text(&self) -> Option<Cow<'_, str>> {
        if let Some(text) = &self.secret_string {
            return Some(text.into());
        }
        let binary = STANDARD.decode(self.secret_binary.as_ref()?).ok()?;
        String::from_utf8(binary).ok().map(Cow::Owned)
    }
}

/// Credentials in the way in which a secret has them, from elsewhere.
#[derive(Clone, Debug)]
pub struct WrittenCredentials(Content);

impl WrittenCredentials {
    /// Reads `user:password`, or JSON with `username` and `password`.
    pub fn read(text: &str) -> Option<Self> {
        read(text).map(Self)
    }

    /// Returns true if they may be sent to a registry.
    pub fn are_for(&self, registry: &str) -> bool {
        self.0.is_for(registry)
    }

    /// The credentials.
    pub fn credentials(&self) -> &Credentials {
        &self.0.credentials
    }
}

#[derive(Deserialize)]
struct Written {
    username: String,
    password: String,
    #[serde(default)]
    registry: Option<String>,
    #[serde(default)]
    registries: Vec<String>,
}

/// A secret.
#[derive(Clone, Debug)]
struct Kept {
    /// Its name, and its ARN with and without the characters at its end.
    names: Vec<String>,
    content: Content,
}

/// What a secret holds.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Content {
    credentials: Credentials,
    /// The registries that it is for. Empty: whichever a resource names it for.
    registries: Vec<HostPattern>,
}

impl Content {
    fn is_for(&self, registry: &str) -> bool {
        let mut registries = self.registries.iter();
        self.registries.is_empty() || registries.any(|pattern| pattern.matches(registry))
    }
}

impl Fields {
    fn read(&self, text: &str) -> Option<Content> {
        let written: serde_json::Value = serde_json::from_str(text).ok()?;
        let field = |name: &str| written.get(name)?.as_str().filter(|text| !text.is_empty());
        Some(Content {
            credentials: Credentials::basic(field(&self.username)?, field(&self.password)?),
            registries: Vec::new(),
        })
    }
}

/// An ARN without the hyphen and the six characters that Secrets Manager adds.
fn without_suffix(arn: &str) -> Option<&str> {
    let (partial, suffix) = arn.rsplit_once('-')?;
    (suffix.len() == 6).then_some(partial)
}

/// Reads either way of writing. A password may have colons, a name may not.
fn read(text: &str) -> Option<Content> {
    let text = text.trim();
    if text.starts_with('{') {
        let written: Written = serde_json::from_str(text).ok()?;
        let registries = written.registries.iter().chain(&written.registry);
        return Some(Content {
            registries: registries
                .map(|host| host.parse().ok())
                .collect::<Option<_>>()?,
            credentials: Credentials::basic(written.username, written.password),
        });
    }
    let (username, password) = text.split_once(':')?;
    let is_given = !username.is_empty() && !password.is_empty();
    is_given.then(|| Content {
        credentials: Credentials::basic(username, password),
        registries: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_ways_of_writing() {
        let expected = Some(Content {
            credentials: Credentials::basic("AWS", "p:w"),
            registries: Vec::new(),
        });
        assert_eq!(read("AWS:p:w\n"), expected);
        assert_eq!(
            read(r#"{"username":"AWS","password":"p:w","note":1}"#),
            expected
        );
    }

    #[test]
    fn a_secret_that_names_registries_is_for_these() {
        let text =
            r#"{"username":"u","password":"p","registry":"quay.io","registries":["*.corp"]}"#;
        let kept = read(text).unwrap();
        for (registry, is_for) in [("quay.io", true), ("a.corp", true), ("evil.example", false)] {
            assert_eq!(kept.is_for(registry), is_for, "{registry}");
        }
        assert!(read("u:p").unwrap().is_for("evil.example"));
        let malformed = r#"{"username":"u","password":"p","registry":"https://quay.io/"}"#;
        assert_eq!(read(malformed), None);
    }

    #[test]
    fn fields_have_names_of_their_own() {
        let fields = Fields {
            username: "name".to_owned(),
            password: "secret".to_owned(),
        };
        let kept = fields.read(r#"{"name":"u","secret":"p:w","password":"other"}"#);
        assert_eq!(kept.unwrap().credentials, Credentials::basic("u", "p:w"));
        for text in [
            "u:p",
            r#"{"name":"u","secret":""}"#,
            r#"{"name":1,"secret":"p"}"#,
        ] {
            assert_eq!(fields.read(text), None, "{text}");
        }
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
