//! How a repository is set up when it is created.

use std::collections::BTreeMap;
use std::fmt;

use aws_sdk_ecr::types::{
    EncryptionConfiguration, EncryptionType, ImageScanningConfiguration, ImageTagMutability,
    ImageTagMutabilityExclusionFilter, ImageTagMutabilityExclusionFilterType, Tag,
};

/// How a repository is set up. What is `None` is left to ECR's default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepositorySettings {
    /// Whether tags can be moved.
    pub mutability: Option<Mutability>,
    /// Whether images are scanned when they are pushed.
    pub scan_on_push: Option<bool>,
    /// With which keys images are encrypted.
    pub encryption: Option<Encryption>,
    /// The repository's own tags, for billing and access.
    pub tags: BTreeMap<String, String>,
    /// Which images expire: a lifecycle policy as JSON.
    pub lifecycle_policy: Option<String>,
}

/// Whether tags can be moved, with wildcards for the tags to which the opposite applies.
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

impl Mutability {
    pub(super) fn parts(
        &self,
    ) -> (
        ImageTagMutability,
        Option<Vec<ImageTagMutabilityExclusionFilter>>,
    ) {
        let (plain, excluding, except) = match self {
            Self::Mutable(except) => (
                ImageTagMutability::Mutable,
                ImageTagMutability::MutableWithExclusion,
                except,
            ),
            Self::Immutable(except) => (
                ImageTagMutability::Immutable,
                ImageTagMutability::ImmutableWithExclusion,
                except,
            ),
        };
        if except.is_empty() {
            return (plain, None);
        }
        let filters = except.iter().filter_map(|filter| {
            let builder = ImageTagMutabilityExclusionFilter::builder()
                .filter_type(ImageTagMutabilityExclusionFilterType::Wildcard);
            // Fails only where a part is not given.
            builder.filter(filter).build().ok()
        });
        (excluding, Some(filters.collect()))
    }

    pub(super) fn of(
        kind: &ImageTagMutability,
        filters: &[ImageTagMutabilityExclusionFilter],
    ) -> Option<Self> {
        let except = filters.iter().map(|filter| filter.filter.clone()).collect();
        match kind {
            ImageTagMutability::Mutable | ImageTagMutability::MutableWithExclusion => {
                Some(Self::Mutable(except))
            }
            ImageTagMutability::Immutable | ImageTagMutability::ImmutableWithExclusion => {
                Some(Self::Immutable(except))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Mutability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, except) = match self {
            Self::Mutable(except) => ("MUTABLE", except),
            Self::Immutable(except) => ("IMMUTABLE", except),
        };
        if except.is_empty() {
            return f.write_str(name);
        }
        write!(f, "{name} except {}", except.join(", "))
    }
}

impl Encryption {
    fn parts(&self) -> (EncryptionType, Option<&str>) {
        match self {
            Self::Aes256 => (EncryptionType::Aes256, None),
            Self::Kms(key) => (EncryptionType::Kms, key.as_deref()),
            Self::KmsDsse(key) => (EncryptionType::KmsDsse, key.as_deref()),
        }
    }

    pub(super) fn configuration(&self) -> Option<EncryptionConfiguration> {
        let (kind, key) = self.parts();
        EncryptionConfiguration::builder()
            .encryption_type(kind)
            .set_kms_key(key.map(str::to_owned))
            .build()
            .ok()
    }

    pub(super) fn of(configuration: &EncryptionConfiguration) -> Option<Self> {
        let key = configuration.kms_key.clone();
        match configuration.encryption_type {
            EncryptionType::Aes256 => Some(Self::Aes256),
            EncryptionType::Kms => Some(Self::Kms(key)),
            EncryptionType::KmsDsse => Some(Self::KmsDsse(key)),
            _ => None,
        }
    }

    /// Whether a repository that has `actual` is as asked for. ECR tells keys by ARN, so that one
    /// given by alias or ID cannot be compared.
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
    pub(super) fn scanning(&self) -> Option<ImageScanningConfiguration> {
        let scan = self.scan_on_push?;
        Some(
            ImageScanningConfiguration::builder()
                .scan_on_push(scan)
                .build(),
        )
    }

    pub(super) fn sdk_tags(&self) -> Option<Vec<Tag>> {
        let tag = |(key, value): (&String, &String)| Tag::builder().key(key).value(value).build();
        let tags: Vec<_> = self.tags.iter().filter_map(|pair| tag(pair).ok()).collect();
        (!tags.is_empty()).then_some(tags)
    }
}
