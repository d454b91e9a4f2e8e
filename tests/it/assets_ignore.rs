//! Patterns leave out what they leave out in `aws-cdk-lib`, and nothing else.

use std::process::Command;

use longshore::assets::ignore::{Dockerignore, Ignore, IgnoreMode, Verdict};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::support::{output_of, tool};

const CASES: usize = 2000;

/// What patterns are made of.
const PIECES: &[&str] = &[
    "a",
    "b",
    "c",
    "A",
    "ab",
    "a",
    "b",
    "/",
    "/",
    "/",
    "*",
    "*",
    "**",
    "**/",
    "?",
    ".",
    "..",
    "[ab]",
    "[!a]",
    "[^b]",
    "[a-c]",
    "[",
    "]",
    "{a,b}",
    "{a,b/c}",
    "{1..3}",
    "{",
    "}",
    ",",
    "@(a|b)",
    "!(a)",
    "+(a|b)",
    "*(a)",
    "?(b)",
    "@(a|!(b))",
    "+(a|+(b|c))",
    "!(a|b)c",
    "(",
    ")",
    "|",
    "\\",
    "\\*",
    "#",
    " ",
    "-",
    "$",
    "^",
    "+",
    "ä",
    "😀",
    ".a",
    "1",
    "[[:alpha:]]",
    "[[:digit:]a]",
];

const NAMES: &[&str] = &[
    "a", "b", "c", "ab", "abc", "A", "aB", ".a", ".ab", "..a", "ä", "😀", "a b", "1", "3", "a.b",
    "{a,b}", "a*", "(a)", "#a", "!a", "$", "-", "[", "aa", "ac", "bc",
];

fn pattern() -> impl Strategy<Value = String> {
    let anything = prop::collection::vec(prop::sample::select(PIECES), 1..7);
    let name =
        prop::sample::select(&["a", "b", "*", "**", "?", "a*", "[ab]", "!(b)", "@(a|b)"][..]);
    let path = prop::collection::vec(name, 1..5).prop_map(|names| vec![names.join("/")]);
    let anything = anything.prop_map(|pieces| pieces.into_iter().map(str::to_owned).collect());
    let body = prop_oneof![anything, path];
    let mark = prop::sample::select(&["", "", "", "!", "!", "/", "!!", " "][..]);
    let end = prop::sample::select(&["", "", "", "/", " ", "\r", "/**", "/*"][..]);
    (mark, body, end).prop_map(|(mark, body, end)| format!("{mark}{}{end}", body.concat()))
}

fn path() -> impl Strategy<Value = String> {
    let name = prop_oneof![Just("a"), Just("b"), prop::sample::select(NAMES)];
    prop::collection::vec(name, 1..5).prop_map(|names| names.join("/"))
}

#[test]
fn the_table_is_decided_as_cdk_did() {
    for case in table() {
        assert_eq!(decide(&case), case["decided"], "{case}");
    }
}

#[test]
#[ignore = "needs real parts: run scripts/test"]
fn the_table_is_what_cdk_decides() {
    let table = table();
    for (case, decided) in table.iter().zip(ask_cdk(&table)) {
        assert_eq!(decided, case["decided"], "{case}");
    }
}

#[test]
#[ignore = "needs real parts: run scripts/test"]
fn any_pattern_is_decided_as_in_cdk() {
    let mut runner = TestRunner::deterministic();
    let cases: Vec<Value> = (0..CASES)
        .map(|_| case().new_tree(&mut runner).unwrap().current())
        .collect();
    let expected = ask_cdk(&cases);
    let ignored = |decided: &Value| {
        decided
            .as_str()
            .is_some_and(|decided| decided.contains('x'))
    };
    assert!(expected.iter().filter(|decided| ignored(decided)).count() > CASES / 5);
    for (case, expected) in cases.iter().zip(expected) {
        if !expected.is_null() {
            assert_eq!(decide(case), expected, "{case}");
        }
    }
}

/// The table was made by `moby/patternmatcher` 0.6.
#[test]
fn dockerignore_is_decided_as_docker_does() {
    let table: Value =
        serde_json::from_str(include_str!("../fixtures/assets/dockerignore.json")).unwrap();
    let paths = texts(&table["paths"]);
    for case in table["cases"].as_array().unwrap() {
        let decided = match Dockerignore::parse(case["text"].as_str().unwrap()) {
            Ok(rules) => {
                let marks = paths.iter().map(|path| mark(is_ignored(&rules, path)));
                marks.collect::<String>().into()
            }
            Err(_) => Value::Null,
        };
        assert_eq!(decided, case["decided"], "{}", case["text"]);
    }
}

/// Goes down to a path as a walk does.
fn is_ignored(rules: &Dockerignore, path: &str) -> bool {
    let ends = path.match_indices('/').map(|(slash, _)| slash);
    let verdict = ends
        .chain([path.len()])
        .fold(Verdict::default(), |above, end| {
            rules.verdict(&path[..end], &above)
        });
    verdict.is_ignored()
}

fn case() -> impl Strategy<Value = Value> {
    let mode = prop::sample::select(&["docker", "git", "glob"][..]);
    let patterns = prop::collection::vec(pattern(), 1..4);
    let paths = prop::collection::vec(path(), 12);
    (mode, patterns, paths).prop_map(
        |(mode, patterns, paths)| json!({"mode": mode, "patterns": patterns, "paths": paths}),
    )
}

/// Cases, and what `aws-cdk-lib` has decided about them.
fn table() -> Vec<Value> {
    let table: Value =
        serde_json::from_str(include_str!("../fixtures/assets/ignore.json")).unwrap();
    let mut cases = table["cases"].as_array().unwrap().clone();
    for case in &mut cases {
        case["paths"] = table["paths"].clone();
    }
    cases
}

fn texts(value: &Value) -> Vec<String> {
    serde_json::from_value(value.clone()).unwrap()
}

/// For each path, whether it is left out as a file, and whether as a directory; null for
/// malformed patterns.
fn decide(case: &Value) -> Value {
    let mode: IgnoreMode = case["mode"].as_str().unwrap().parse().unwrap();
    let Ok(ignore) = Ignore::new(mode, &texts(&case["patterns"])) else {
        return Value::Null;
    };
    let decided: Vec<String> = texts(&case["paths"])
        .into_iter()
        .map(|path| {
            [ignore.ignores(&path), ignore.ignores_directory(&path)]
                .map(mark)
                .concat()
        })
        .collect();
    decided.join(" ").into()
}

fn mark(ignored: bool) -> &'static str {
    if ignored { "x" } else { "-" }
}

fn ask_cdk(cases: &[Value]) -> Vec<Value> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/cdk/ignore.js");
    let mut command = Command::new("node");
    command
        .arg(script)
        .env("NODE_PATH", tool("npm/node_modules"));
    let cases = serde_json::to_vec(cases).unwrap();
    serde_json::from_slice(&output_of(&mut command, &cases)).unwrap()
}
