//! The page about lists says what the code does, and its examples are lists.
//!
//! `LONGSHORE_WRITE_SCHEMAS=1 cargo test mirror_list` writes its schema.

use std::path::Path;

use longshore::cloudformation::{CREATE_REPOSITORY, ECR_IMAGE_PROPERTIES, GRANTS, Property};
use longshore::mirror::list::{
    DESTINATION_KEYS, ENTRY_KEYS, LIST_KEYS, List, PRUNE_KEYS, REGISTRY_KEYS, TAGS_KEYS,
};
use serde_json::{Map, Value, json};

use crate::schema::values;

const TABLES: [(&str, &[Property]); 6] = [
    ("the list", LIST_KEYS),
    ("an entry", ENTRY_KEYS),
    ("tags", TAGS_KEYS),
    ("a destination", DESTINATION_KEYS),
    ("a registry", REGISTRY_KEYS),
    ("prune", PRUNE_KEYS),
];
/// Keys that defaults do not have.
const OWN: [&str; 2] = ["source", "type"];

#[test]
fn the_page_has_the_tables_of_the_code() {
    let page = read("docs/mirror-list.md");
    for (of, table) in TABLES {
        let heading = format!("### Keys of {of}\n");
        let (_, rest) = page.split_once(&heading).expect(&heading);
        let written = rest.lines().take_while(|line| !line.starts_with('#'));
        let written: Vec<&str> = written.filter(|line| line.starts_with("| `")).collect();
        let known: Vec<String> = table.iter().map(row).collect();
        assert_eq!(written, known, "{heading}{}", known.join("\n"));
    }
    assert_eq!(page.matches("### Keys of ").count(), TABLES.len());
}

fn row(key: &Property) -> String {
    let default = if key.required {
        "required"
    } else {
        key.default
    };
    let cells = [key.kind, default, key.doc].map(|cell| cell.replace('|', "\\|"));
    format!("| `{}` | {} |", key.name, cells.join(" | "))
}

#[test]
fn the_examples_are_lists() {
    let page = read("docs/mirror-list.md");
    let examples = page.split("```yaml\n").skip(1);
    let examples: Vec<&str> = examples
        .filter_map(|rest| rest.split("```").next())
        .filter(|text| !text.starts_with("# regsync") && !text.starts_with("# skopeo"))
        .collect();
    assert_eq!(examples.len(), 4);
    for example in examples {
        List::read(example).unwrap_or_else(|invalid| panic!("{invalid}:\n{example}"));
    }
}

#[test]
fn what_the_schema_is_tried_with_is_taken_and_refused_by_the_reader_too() {
    let lists: Value = serde_json::from_str(&read("tests/fixtures/mirror-lists.json")).unwrap();
    for (side, is_taken) in [("taken", true), ("refused", false)] {
        for list in lists[side].as_array().unwrap() {
            let read = List::from_value(list);
            assert_eq!(read.is_ok(), is_taken, "{list}: {read:?}");
            let read = List::read(list.to_string());
            assert_eq!(read.is_ok(), is_taken, "{list}, as text: {read:?}");
        }
    }
}

#[test]
fn the_schema_is_that_of_the_tables() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema/Mirror.json");
    let schema = schema();
    if std::env::var_os("LONGSHORE_WRITE_SCHEMAS").is_some() {
        std::fs::write(&path, format!("{schema:#}\n")).unwrap();
    }
    let kept: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(kept, schema, "LONGSHORE_WRITE_SCHEMAS=1 writes it anew");
}

fn schema() -> Value {
    let of_defaults = ENTRY_KEYS.iter().filter(|key| !OWN.contains(&key.name));
    let of_defaults: Vec<Property> = of_defaults.copied().collect();
    let mut entry = map("entry", ENTRY_KEYS);
    let keys = entry["properties"].as_object_mut().unwrap();
    for name in keys.keys().cloned().collect::<Vec<_>>() {
        if !OWN.contains(&name.as_str()) {
            keys[&name] = json!({ "$ref": format!("#/definitions/defaults/properties/{name}") });
        }
    }
    let mut schema = map("", LIST_KEYS);
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema["title"] = json!("List of a mirror");
    schema["definitions"] = json!({
        "defaults": map("defaults", &of_defaults),
        "entry": entry,
        "tags": map("tags", TAGS_KEYS),
        "destination": map("destination", DESTINATION_KEYS),
        "registry": map("registry", REGISTRY_KEYS),
        "prune": map("prune", PRUNE_KEYS),
    });
    schema
}

/// A map whose keys are those of a table, with either case of their first letters. Editors offer
/// the small ones.
fn map(definition: &str, table: &[Property]) -> Value {
    let place = match definition {
        "" => "#/properties".to_owned(),
        name => format!("#/definitions/{name}/properties"),
    };
    let mut keys = Map::new();
    let mut others = Map::new();
    for key in table {
        let mut schema = of_key(key);
        schema["description"] = json!(key.doc);
        keys.insert(key.name.to_owned(), schema);
        let reference = json!({ "$ref": format!("{place}/{}", key.name) });
        others.insert(format!("^{}$", capital(key.name)), reference);
    }
    others.insert("^[xX]-".to_owned(), json!(true));
    let required = table.iter().filter(|key| key.required);
    let required: Vec<Value> = required
        .map(|key| {
            json!({ "anyOf": [
                { "required": [key.name] }, { "required": [capital(key.name)] },
            ]})
        })
        .collect();
    let mut map = json!({
        "type": "object",
        "properties": keys,
        "patternProperties": others,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        map["allOf"] = json!(required);
    }
    map
}

fn of_key(key: &Property) -> Value {
    let reference = |name: &str| json!({ "$ref": format!("#/definitions/{name}") });
    let one_or_list = |item: Value| json!({ "anyOf": [item, { "type": "array", "items": item }] });
    let text = json!({ "type": ["string", "number"] });
    match key.name {
        "defaults" | "prune" => reference(key.name),
        "registries" => json!({ "type": "object", "additionalProperties": reference("registry") }),
        "sync" => json!({ "type": "array", "items": reference("entry"), "minItems": 1 }),
        "version" => json!({ "enum": [1, "1"] }),
        "tags" => json!({ "anyOf": [
            text, { "type": "array", "items": text, "minItems": 1 }, reference("tags"),
        ]}),
        "destination" if key.kind == "string or map" => {
            json!({ "anyOf": [{ "type": "string" }, reference("destination")] })
        }
        "destinations" => {
            one_or_list(json!({ "anyOf": [{ "type": "string" }, reference("destination")] }))
        }
        "allow" | "deny" | "semver" | "suffix" => one_or_list(text),
        "requestsPerSecond" => json!({
            "type": ["number", "string"], "exclusiveMinimum": 0, "pattern": "^[0-9.]+$",
        }),
        "type" => json!({ "enum": ["image", "repository"] }),
        "referrers" => json!({ "enum": ["none", "copy", true, false] }),
        "createRepository" => json!({ "anyOf": [
            { "enum": [true, false, "true", "false"] }, members(CREATE_REPOSITORY),
        ]}),
        "pullAccess" => members(GRANTS),
        name => {
            let of_image = ECR_IMAGE_PROPERTIES.iter();
            let of_image = of_image.clone().find(|known| known.name == capital(name));
            values(of_image.unwrap_or(key))
        }
    }
}

/// A map of the resource's own, whose members may begin with a small letter here.
fn members(table: &[Property]) -> Value {
    let members: Map<String, Value> = table
        .iter()
        .map(|member| {
            let (first, rest) = member.name.split_at(1);
            let name = format!("^[{first}{}]{rest}$", first.to_lowercase());
            (name, json!({ "description": member.doc }))
        })
        .collect();
    json!({ "type": "object", "patternProperties": members, "additionalProperties": false })
}

fn capital(name: &str) -> String {
    let (first, rest) = name.split_at(1);
    format!("{}{rest}", first.to_uppercase())
}

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect(path)
}
