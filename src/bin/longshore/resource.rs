//! The resource that deploys a staged archive.

use serde_json::{Value, json};

/// A `Custom::ECRImage`.
pub(crate) struct Resource {
    pub(crate) source: String,
    /// The registry and repository that it is deployed to. `None`: the template's resource
    /// `Repository`.
    pub(crate) destination: Option<String>,
    pub(crate) tag: String,
    /// The stack that exports the service token.
    pub(crate) provider_stack: String,
}

impl Resource {
    /// What stands under `Resources` of a template, as YAML.
    pub(crate) fn yaml(&self) -> String {
        let quoted = |text: &str| Value::from(text).to_string();
        let destination = match &self.destination {
            Some(destination) => quoted(destination),
            None => "!GetAtt Repository.RepositoryUri".to_owned(),
        };
        format!(
            "Image:\n  \
             Type: Custom::ECRImage\n  \
             Properties:\n    \
             ServiceToken: !ImportValue {token}\n    \
             ServiceTimeout: 960\n    \
             Source: {source}\n    \
             Destination: {destination}\n    \
             Tags: [{tag}]",
            token = quoted(&self.service_token()),
            source = quoted(&self.source),
            tag = quoted(&self.tag),
        )
    }

    /// The same, as JSON.
    pub(crate) fn json(&self) -> Value {
        let destination = match &self.destination {
            Some(destination) => json!(destination),
            None => json!({"Fn::GetAtt": ["Repository", "RepositoryUri"]}),
        };
        json!({"Image": {
            "Type": "Custom::ECRImage",
            "Properties": {
                "ServiceToken": {"Fn::ImportValue": self.service_token()},
                "ServiceTimeout": 960,
                "Source": self.source,
                "Destination": destination,
                "Tags": [self.tag],
            },
        }})
    }

    fn service_token(&self) -> String {
        format!("{}-ServiceToken", self.provider_stack)
    }
}
