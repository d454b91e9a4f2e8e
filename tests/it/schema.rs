//! The JSON schemas of the properties, in docs/schema, are those of the code's tables.
//!
//! `LONGSHORE_WRITE_SCHEMAS=1 cargo test schema` writes them.

use std::path::Path;

use longshore::cloudformation::{
    CDK_ECR_DEPLOYMENT_PROPERTIES, CREATE_REPOSITORY, ECR_IMAGE_PROPERTIES, ECR_MIRROR_PROPERTIES,
    ECR_PULL_POLICY_PROPERTIES, GRANTS, Property,
};
use serde_json::{Map, Value, json};

#[test]
fn the_schemas_are_those_of_the_tables() {
    for (resource, properties, others) in [
        ("ECRImage", ECR_IMAGE_PROPERTIES, false),
        ("ECRPullPolicy", ECR_PULL_POLICY_PROPERTIES, false),
        ("ECRMirror", ECR_MIRROR_PROPERTIES, false),
        // It passes over what it does not know.
        ("CDKECRDeployment", CDK_ECR_DEPLOYMENT_PROPERTIES, true),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("docs/schema")
            .join(format!("{resource}.json"));
        let schema = schema(resource, properties, others);
        if std::env::var_os("LONGSHORE_WRITE_SCHEMAS").is_some() {
            std::fs::write(&path, format!("{schema:#}\n")).unwrap();
        }
        let kept: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(
            kept, schema,
            "{resource}: LONGSHORE_WRITE_SCHEMAS=1 writes it anew"
        );
    }
}

fn schema(resource: &str, properties: &[Property], others: bool) -> Value {
    let mut schema = object(properties);
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema["title"] = json!(format!("Properties of Custom::{resource}"));
    schema["additionalProperties"] = json!(others);
    // To the function it is one property among others; to CloudFormation it is not.
    let required = schema["required"].as_array_mut().unwrap();
    required.push(json!("ServiceToken"));
    schema
}

fn object(properties: &[Property]) -> Value {
    let required: Vec<&str> = properties
        .iter()
        .filter(|property| property.required)
        .map(|property| property.name)
        .collect();
    let members: Map<String, Value> = properties
        .iter()
        .map(|property| (property.name.to_owned(), member(property)))
        .collect();
    json!({
        "type": "object",
        "required": required,
        "properties": members,
        "additionalProperties": false,
    })
}

fn member(property: &Property) -> Value {
    let mut schema = values(property);
    schema["description"] = json!(property.doc);
    let default = property.default.trim_matches('`');
    if default.len() + 2 == property.default.len() {
        schema["default"] = default.parse().unwrap_or_else(|_| json!(default));
    }
    schema
}

/// What a property may be, by the words that its table has for it.
pub(crate) fn values(property: &Property) -> Value {
    let kind = property.kind;
    if property.name == "PullAccess" {
        return object(GRANTS);
    }
    if property.name == "CreateRepository" {
        let members = CREATE_REPOSITORY.iter();
        let members: Map<String, Value> = members
            .map(|member| (member.name.to_owned(), json!({ "description": member.doc })))
            .collect();
        return json!({ "anyOf": [
            { "type": ["boolean", "string"], "enum": [true, false, "true", "false"] },
            { "type": "object", "properties": members, "additionalProperties": false },
        ]});
    }
    if let Some(bounds) = kind.strip_prefix("number from ") {
        let (least, most) = bounds.split_once(" to ").unwrap();
        let bound = |text: &str| text.parse::<u32>().unwrap();
        return json!({
            "type": ["integer", "string"],
            "minimum": bound(least),
            "maximum": bound(most),
            "pattern": "^[0-9]+$",
        });
    }
    let words: Vec<&str> = kind.split('`').skip(1).step_by(2).collect();
    let separators = kind.split('`').step_by(2);
    let is_choice = !words.is_empty()
        && separators
            .into_iter()
            .all(|text| ["", ", ", " or "].contains(&text));
    if is_choice {
        return json!({ "type": "string", "enum": words });
    }
    let texts = json!({ "type": "string" });
    match kind {
        "string" => texts,
        "boolean" => {
            json!({ "type": ["boolean", "string"], "enum": [true, false, "true", "false"] })
        }
        "map, or string" => json!({ "type": ["object", "string"] }),
        "map of platforms to tags" => json!({ "type": "object", "additionalProperties": texts }),
        "list of maps" => json!({ "type": "array", "items": { "type": "object" } }),
        // One text may be a list, with commas.
        _ if kind.contains("or of maps with") => {
            let members: Map<String, Value> = words
                .iter()
                .map(|word| ((*word).to_owned(), json!({})))
                .collect();
            let map = json!({
                "type": "object",
                "properties": members,
                "required": [words[0]],
                "additionalProperties": false,
            });
            json!({ "type": ["array", "string"], "items": { "anyOf": [texts, map] } })
        }
        _ if kind.contains("list of strings")
            || kind.contains("list of image references")
            || kind.contains("a list such as") =>
        {
            json!({ "type": ["array", "string"], "items": texts })
        }
        _ if kind.starts_with("JSON map of") => texts,
        _ => panic!("{}: no schema for {kind:?}", property.name),
    }
}
