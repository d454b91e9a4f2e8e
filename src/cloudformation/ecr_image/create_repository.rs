//! `CreateRepository`: how a destination repository that is missing is set up. The members of its
//! map are called as those of `AWS::ECR::Repository` and of ECR's API.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::cloudformation::property::{Property, optional, required};
use crate::cloudformation::reader::{Reader, scalar};
use crate::deploy::{Encryption, Mutability, RepositorySettings, Target, is_in_ecr};

const NAME: &str = "CreateRepository";
/// Most exclusion filters of a repository, and most characters of one
/// ([`CreateRepository`](https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html)).
const MAX_FILTERS: usize = 5;
const MAX_FILTER: usize = 128;
/// Most tags of a repository.
const MAX_TAGS: usize = 50;
/// Longest lifecycle policy, in characters.
const MAX_LIFECYCLE_POLICY: usize = 30_720;

/// The members of the map, in the order in which a reference shows them.
pub const SETTINGS: &[Property] = &[
    optional(
        "ImageTagMutability",
        "`MUTABLE` or `IMMUTABLE`, or either with `_WITH_EXCLUSION`",
        "`MUTABLE`",
        "Whether tags can be moved.",
    ),
    optional(
        "ImageTagMutabilityExclusionFilters",
        "list of strings, or of maps as in `AWS::ECR::Repository`",
        "none",
        "Up to 5 tags, with `*` as wildcard, to which the opposite applies.",
    ),
    optional(
        "ScanOnPush",
        "boolean",
        "ECR's",
        "Whether images are scanned when they are pushed.",
    ),
    optional(
        "EncryptionType",
        "`AES256`, `KMS` or `KMS_DSSE`",
        "ECR's; `KMS` with a `KmsKey`",
        "With which keys images are encrypted.",
    ),
    optional(
        "KmsKey",
        "string",
        "ECR's own key",
        "The key of KMS, by ID, ARN or alias.",
    ),
    optional(
        "Tags",
        "map of strings, or list of maps with `Key` and `Value`",
        "none",
        "The repository's own tags, for billing and access.",
    ),
    optional(
        "LifecyclePolicyText",
        "JSON",
        "none",
        "Which images expire: ECR's lifecycle policy.",
    ),
];

const FILTER: &[Property] = &[
    optional(
        "ImageTagMutabilityExclusionFilterType",
        "`WILDCARD`",
        "`WILDCARD`",
        "What the filter is.",
    ),
    required(
        "ImageTagMutabilityExclusionFilterValue",
        "string",
        "The filter.",
    ),
];
const TAG: &[Property] = &[
    required("Key", "string", "The tag's name."),
    optional("Value", "string", "empty", "The tag's value."),
];

/// The way in which a missing repository is created, if it is.
pub(super) fn read(reader: &mut Reader<'_>, targets: &[Target]) -> Option<RepositorySettings> {
    let settings = match reader.items(NAME).as_slice() {
        [Value::Object(map)] => Some(reader.within(NAME, map, SETTINGS, settings)),
        _ => reader
            .choice(NAME, &[("true", true), ("false", false)])?
            .then(RepositorySettings::default),
    };
    let somewhere = targets.iter().any(|target| is_in_ecr(&target.repository));
    if settings.is_some() && !targets.is_empty() && !somewhere {
        reader.problem(
            NAME,
            "the destination is in no private ECR registry: its repositories are not created here",
        );
    }
    settings
}

fn settings(reader: &mut Reader<'_>) -> RepositorySettings {
    RepositorySettings {
        mutability: mutability(reader),
        scan_on_push: reader.choice("ScanOnPush", &[("true", true), ("false", false)]),
        encryption: encryption(reader),
        tags: tags(reader),
        lifecycle_policy: lifecycle_policy(reader),
    }
}

fn mutability(reader: &mut Reader<'_>) -> Option<Mutability> {
    type Make = fn(Vec<String>) -> Mutability;
    const KINDS: &[(&str, (Make, bool))] = &[
        ("MUTABLE", (Mutability::Mutable, false)),
        ("IMMUTABLE", (Mutability::Immutable, false)),
        ("MUTABLE_WITH_EXCLUSION", (Mutability::Mutable, true)),
        ("IMMUTABLE_WITH_EXCLUSION", (Mutability::Immutable, true)),
    ];
    const NAME: &str = "ImageTagMutability";
    const FILTERS: &str = "ImageTagMutabilityExclusionFilters";
    let filters = filters(reader, FILTERS);
    let Some((make, excludes)) = reader.choice(NAME, KINDS) else {
        if !filters.is_empty() && !reader.has(NAME) {
            reader.problem(FILTERS, format_args!("they need {NAME} beside them"));
        }
        return None;
    };
    if excludes && filters.is_empty() {
        reader.problem(NAME, format_args!("it needs {FILTERS} beside it"));
    }
    Some(make(filters))
}

fn filters(reader: &mut Reader<'_>, name: &str) -> Vec<String> {
    let mut filters = Vec::new();
    for (position, item) in reader.items(name).into_iter().enumerate() {
        let path = format!("{name}[{position}]");
        let filter = match item {
            Value::Object(map) => reader.within(&path, map, FILTER, |reader| {
                reader.choice("ImageTagMutabilityExclusionFilterType", &[("WILDCARD", ())]);
                reader.text("ImageTagMutabilityExclusionFilterValue")
            }),
            other => scalar(other),
        };
        let word = |c: char| c.is_ascii_alphanumeric() || "._*-".contains(c);
        match filter {
            Some(filter)
                if filter.chars().all(word) && (1..=MAX_FILTER).contains(&filter.len()) =>
            {
                filters.push(filter);
            }
            other => reader.problem(
                &path,
                format_args!(
                    "expected a tag with * as wildcard, got {:?}",
                    other.unwrap_or_default()
                ),
            ),
        }
    }
    if filters.len() > MAX_FILTERS {
        let many = filters.len();
        reader.problem(
            name,
            format_args!("expected at most {MAX_FILTERS}, got {many}"),
        );
    }
    filters
}

fn encryption(reader: &mut Reader<'_>) -> Option<Encryption> {
    type Make = fn(Option<String>) -> Encryption;
    const KINDS: &[(&str, Make)] = &[
        ("AES256", |_| Encryption::Aes256),
        ("KMS", Encryption::Kms),
        ("KMS_DSSE", Encryption::KmsDsse),
    ];
    let key = reader.text("KmsKey");
    if !reader.has("EncryptionType") {
        return key.map(|key| Encryption::Kms(Some(key)));
    }
    let encryption = reader.choice("EncryptionType", KINDS)?(key.clone());
    if encryption == Encryption::Aes256 && key.is_some() {
        reader.problem("KmsKey", "it needs the EncryptionType KMS or KMS_DSSE");
    }
    Some(encryption)
}

fn tags(reader: &mut Reader<'_>) -> BTreeMap<String, String> {
    let items = reader.items("Tags");
    let tags: BTreeMap<String, String> = match items.as_slice() {
        [Value::Object(map)] if !map.contains_key("Key") => {
            reader.map("Tags").into_iter().collect()
        }
        items => {
            let mut tags = BTreeMap::new();
            for (position, item) in items.iter().enumerate() {
                let path = format!("Tags[{position}]");
                let Value::Object(map) = item else {
                    reader.problem(&path, "expected a map with Key and Value");
                    continue;
                };
                tags.extend(reader.within(&path, map, TAG, |reader| {
                    Some((
                        reader.text("Key")?,
                        reader.text("Value").unwrap_or_default(),
                    ))
                }));
            }
            tags
        }
    };
    if tags.len() > MAX_TAGS {
        let many = tags.len();
        reader.problem(
            "Tags",
            format_args!("expected at most {MAX_TAGS}, got {many}"),
        );
    }
    tags
}

/// The policy, as JSON or as a text with JSON.
fn lifecycle_policy(reader: &mut Reader<'_>) -> Option<String> {
    const NAME: &str = "LifecyclePolicyText";
    let policy: Value = reader.json(NAME)?;
    if !policy.is_object() {
        reader.problem(NAME, "expected a JSON object with rules");
    }
    let text = policy.to_string();
    let length = text.chars().count();
    if length > MAX_LIFECYCLE_POLICY {
        reader.problem(
            NAME,
            format_args!("expected at most {MAX_LIFECYCLE_POLICY} characters, got {length}"),
        );
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cloudformation::ecr_image::properties::read;

    const REPOSITORY: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app";

    fn wish(destination: &str, create: &Value) -> Result<Option<RepositorySettings>, String> {
        let properties = json!({
            "Source": "nginx:1.27", "Destination": destination, "CreateRepository": create,
        });
        let wish = read(properties.as_object().unwrap());
        wish.map(|wish| wish.image.create_repository)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn yes_no_and_how() {
        for (create, expected) in [
            (json!(false), None),
            (json!("false"), None),
            (json!(""), None),
            (json!(null), None),
            (json!(true), Some(RepositorySettings::default())),
            (json!("true"), Some(RepositorySettings::default())),
            (json!({}), Some(RepositorySettings::default())),
        ] {
            assert_eq!(wish(REPOSITORY, &create).unwrap(), expected, "{create}");
        }
        let policy = json!({"rules": []});
        let expected = RepositorySettings {
            mutability: Some(Mutability::Immutable(vec![
                "dev-*".to_owned(),
                "latest".to_owned(),
            ])),
            scan_on_push: Some(true),
            encryption: Some(Encryption::Kms(Some("alias/images".to_owned()))),
            tags: [("team".to_owned(), "a".to_owned())].into(),
            lifecycle_policy: Some(policy.to_string()),
        };
        let as_in_cloudformation = json!({
            "ImageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
            "ImageTagMutabilityExclusionFilters": [
                {
                    "ImageTagMutabilityExclusionFilterType": "WILDCARD",
                    "ImageTagMutabilityExclusionFilterValue": "dev-*",
                },
                {"ImageTagMutabilityExclusionFilterValue": "latest"},
            ],
            "ScanOnPush": true, "EncryptionType": "KMS", "KmsKey": "alias/images",
            "Tags": [{"Key": "team", "Value": "a"}],
            "LifecyclePolicyText": policy.to_string(),
        });
        let short = json!({
            "ImageTagMutability": "immutable",
            "ImageTagMutabilityExclusionFilters": ["dev-*", "latest"],
            "ScanOnPush": "true", "KmsKey": "alias/images",
            "Tags": {"team": "a"}, "LifecyclePolicyText": policy,
        });
        for create in [as_in_cloudformation, short] {
            assert_eq!(wish(REPOSITORY, &create), Ok(Some(expected.clone())));
        }
    }

    #[test]
    fn what_ecr_would_refuse_is_told_before() {
        for (create, expected) in [
            (json!("yes"), "CreateRepository: expected true or false"),
            (
                json!([true, false]),
                "CreateRepository: expected text, got a list",
            ),
            (
                json!({"ScanOnPsuh": true}),
                "CreateRepository: unknown property \"ScanOnPsuh\": did you mean ScanOnPush?",
            ),
            (
                json!({"ImageTagMutability": "FROZEN"}),
                "CreateRepository: ImageTagMutability: expected MUTABLE or IMMUTABLE or",
            ),
            (
                json!({"ImageTagMutability": "MUTABLE_WITH_EXCLUSION"}),
                "ImageTagMutability: it needs ImageTagMutabilityExclusionFilters beside it",
            ),
            (
                json!({"ImageTagMutabilityExclusionFilters": ["a"]}),
                "they need ImageTagMutability beside them",
            ),
            (
                json!({"ImageTagMutability": "MUTABLE", "ImageTagMutabilityExclusionFilters": ["a/b"]}),
                "ImageTagMutabilityExclusionFilters[0]: expected a tag with * as wildcard, got \"a/b\"",
            ),
            (
                json!({"ImageTagMutability": "MUTABLE",
                    "ImageTagMutabilityExclusionFilters": ["a", "b", "c", "d", "e", "f"]}),
                "expected at most 5, got 6",
            ),
            (
                json!({"EncryptionType": "AES256", "KmsKey": "k"}),
                "KmsKey: it needs the EncryptionType KMS",
            ),
            (
                json!({"Tags": ["a"]}),
                "Tags[0]: expected a map with Key and Value",
            ),
            (
                json!({"LifecyclePolicyText": "{"}),
                "LifecyclePolicyText: malformed JSON",
            ),
            (
                json!({"LifecyclePolicyText": "[]"}),
                "expected a JSON object with rules",
            ),
        ] {
            let problem = wish(REPOSITORY, &create).unwrap_err();
            assert!(problem.contains(expected), "{expected} in {problem}");
        }
        for elsewhere in ["ghcr.io/team/app", "public.ecr.aws/team/app"] {
            let problem = wish(elsewhere, &json!(true)).unwrap_err();
            assert!(problem.contains("in no private ECR registry"), "{problem}");
            assert_eq!(wish(elsewhere, &json!(false)), Ok(None));
        }
    }
}
