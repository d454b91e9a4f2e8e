//! The way in which a repository is set up when it is created.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_json::{Value, json};

/// The way in which a repository is set up. What is `None` is left to ECR's default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepositorySettings {
    /// True if tags can be moved.
    pub mutability: Option<Mutability>,
    /// True if images are scanned when they are pushed.
    pub scan_on_push: Option<bool>,
    /// With which keys images are encrypted.
    pub encryption: Option<Encryption>,
    /// The repository's own tags, for billing and access.
    pub tags: BTreeMap<String, String>,
    /// Which images expire: a lifecycle policy as JSON.
    pub lifecycle_policy: Option<String>,
}

/// True if tags can be moved, with wildcards for the tags to which the opposite applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mutability {
    /// They can, except those that match.
    Mutable(Vec<String>),
    /// They cannot, except those that match.
    Immutable(Vec<String>),
}

/// With which keys images are encrypted. A key is given by ID, ARN or alias; without one, ECR's
/// own in the account is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// Keys that S3 manages.
    Aes256,
    /// A key of KMS.
    Kms(Option<String>),
    /// Two layers of encryption with a key of KMS.
    KmsDsse(Option<String>),
}

/// A wildcard for tags, as ECR tells of it.
#[derive(Deserialize)]
pub(super) struct TagFilter {
    filter: String,
}

/// True if images are scanned, as ECR tells it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ScanningConfiguration {
    #[serde(default)]
    pub(super) scan_on_push: bool,
}

/// The encryption of images, as ECR tells of it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EncryptionConfiguration {
    encryption_type: String,
    kms_key: Option<String>,
}

impl Mutability {
    fn parts(&self) -> (&'static str, &[String]) {
        match self {
            Self::Mutable(except) => ("MUTABLE", except),
            Self::Immutable(except) => ("IMMUTABLE", except),
        }
    }

    pub(super) fn of(kind: &str, filters: &[TagFilter]) -> Option<Self> {
        let except = filters.iter().map(|filter| filter.filter.clone()).collect();
        match kind {
            "MUTABLE" | "MUTABLE_WITH_EXCLUSION" => Some(Self::Mutable(except)),
            "IMMUTABLE" | "IMMUTABLE_WITH_EXCLUSION" => Some(Self::Immutable(except)),
            _ => None,
        }
    }
}

impl fmt::Display for Mutability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, except) = self.parts();
        if except.is_empty() {
            return f.write_str(name);
        }
        write!(f, "{name} except {}", except.join(", "))
    }
}

impl Encryption {
    fn parts(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::Aes256 => ("AES256", None),
            Self::Kms(key) => ("KMS", key.as_deref()),
            Self::KmsDsse(key) => ("KMS_DSSE", key.as_deref()),
        }
    }

    pub(super) fn of(configuration: &EncryptionConfiguration) -> Option<Self> {
        let key = configuration.kms_key.clone();
        match &*configuration.encryption_type {
            "AES256" => Some(Self::Aes256),
            "KMS" => Some(Self::Kms(key)),
            "KMS_DSSE" => Some(Self::KmsDsse(key)),
            _ => None,
        }
    }

    /// Returns true if a repository that has `actual` is as asked for. ECR tells keys by ARN, so
    /// that one given by alias or ID cannot be compared.
    pub(super) fn is_met_by(&self, actual: &Self) -> bool {
        let ((kind, key), (actual_kind, actual_key)) = (self.parts(), actual.parts());
        let comparable = key.filter(|key| key.starts_with("arn:") && key.contains(":key/"));
        kind == actual_kind && comparable.is_none_or(|key| Some(key) == actual_key)
    }
}

impl fmt::Display for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, key) = self.parts();
        match key {
            Some(key) => write!(f, "{kind} with {key}"),
            None => write!(f, "{kind}"),
        }
    }
}

impl RepositorySettings {
    /// The fields of a request to create a repository that is set up so.
    pub(super) fn request(&self) -> Value {
        let mut request = json!({});
        if let Some(mutability) = &self.mutability {
            let (kind, except) = mutability.parts();
            request["imageTagMutability"] = kind.into();
            if !except.is_empty() {
                request["imageTagMutability"] = format!("{kind}_WITH_EXCLUSION").into();
                request["imageTagMutabilityExclusionFilters"] =
                    except.iter().map(|tags| wildcard(tags)).collect();
            }
        }
        if let Some(scan) = self.scan_on_push {
            request["imageScanningConfiguration"] = json!({ "scanOnPush": scan });
        }
        if let Some(encryption) = &self.encryption {
            let (kind, key) = encryption.parts();
            let mut configuration = json!({ "encryptionType": kind });
            if let Some(key) = key {
                configuration["kmsKey"] = key.into();
            }
            request["encryptionConfiguration"] = configuration;
        }
        if !self.tags.is_empty() {
            let tags = self.tags.iter();
            request["tags"] = tags
                .map(|(key, value)| json!({ "Key": key, "Value": value }))
                .collect();
        }
        request
    }
}

fn wildcard(filter: &str) -> Value {
    json!({ "filterType": "WILDCARD", "filter": filter })
}
