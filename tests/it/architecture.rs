//! Dependencies between the crate's modules point one way.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What each module of the crate may use, itself aside. `redact` is a leaf that all may use.
const MAY_USE: &[(&str, &[&str])] = &[
    ("redact", &[]),
    ("network", &[]),
    ("oci", &[]),
    ("content", &["oci"]),
    ("registry", &["network", "content", "oci"]),
    ("web", &["network", "content"]),
    ("archive", &["content", "oci"]),
    ("copy", &["content", "oci"]),
    ("policy", &["content", "oci"]),
    (
        "aws",
        &["archive", "registry", "policy", "network", "content", "oci"],
    ),
    (
        "deploy",
        &[
            "copy", "archive", "registry", "web", "policy", "aws", "network", "content", "oci",
        ],
    ),
    (
        "cloudformation",
        &[
            "deploy", "copy", "archive", "policy", "network", "content", "oci",
        ],
    ),
    (
        "assets",
        &[
            "deploy", "copy", "archive", "registry", "aws", "content", "oci",
        ],
    ),
    (
        "mirror",
        &[
            "cloudformation",
            "deploy",
            "copy",
            "policy",
            "aws",
            "content",
            "oci",
        ],
    ),
    ("local", &["content", "oci"]),
];

#[test]
fn modules_use_only_those_below_them() {
    let broken: Vec<_> = sources().iter().flat_map(broken_rules).collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_page_has_the_same_table() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/architecture.md");
    let page = std::fs::read_to_string(page).unwrap();
    let names = |cell: &str| -> Vec<String> {
        let names = cell.split('`').skip(1).step_by(2);
        names.map(str::to_owned).collect()
    };
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let written: BTreeMap<String, BTreeSet<String>> = rows
        .map(|row| {
            let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
            let [module] = names(cells[0]).try_into().unwrap();
            (module, names(cells[2]).into_iter().collect())
        })
        .collect();
    let rules = MAY_USE.iter().map(|(module, below)| {
        let below = below.iter().map(ToString::to_string);
        (module.to_string(), below.collect())
    });
    assert_eq!(written, rules.collect());
}

/// A row of the page's tables names files: the first by its path, others may be beside it.
#[test]
fn the_files_that_the_page_names_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/architecture.md")).unwrap();
    let mut named = 0;
    for row in page.lines().filter(|line| line.starts_with("| ")) {
        let mut folder = root.join("src");
        let paths = row.split('`').skip(1).step_by(2);
        for path in paths.filter(|path| path.contains(".rs") || path.contains('/')) {
            let path = path.strip_prefix("src/").unwrap_or(path);
            let candidates = [
                root.join("src").join(path),
                folder.join(path),
                root.join(path),
            ];
            let found = candidates.iter().find(|candidate| candidate.exists());
            let found = found.unwrap_or_else(|| panic!("{path} is not there: {row}"));
            folder = found.parent().unwrap().to_owned();
            named += 1;
        }
    }
    assert!(named > 25, "{named}");
}

#[test]
fn only_the_aws_module_uses_aws_clients() {
    for Source { path, module, code } in sources() {
        if ["aws", "bin"].contains(&module.as_str()) {
            continue;
        }
        for client in [
            "aws_config",
            "aws_runtime",
            "aws_sdk_",
            "aws_smithy",
            "aws_types",
            "aws_credential",
        ] {
            assert!(!code.contains(client), "{} names {client}", path.display());
        }
    }
}

#[test]
fn the_engine_and_the_protocols_do_not_know_aws() {
    for Source { path, module, code } in sources() {
        if ![
            "network", "oci", "content", "registry", "web", "archive", "copy",
        ]
        .contains(&module.as_str())
        {
            continue;
        }
        let (code, _tests) = code.split_once("#[cfg(test)]").unwrap_or((&code, ""));
        for word in code
            .replace("aws_lc_rs", "")
            .split(|c: char| !c.is_ascii_alphanumeric())
        {
            let named = ["aws", "amazonaws", "ecr"].contains(&word)
                || word.starts_with("Aws")
                || word.starts_with("Ecr");
            assert!(!named, "{} names {word}", path.display());
        }
    }
}

#[test]
fn a_dependency_that_points_up_is_noticed() {
    let upward = Source {
        path: PathBuf::from("src/oci/digest.rs"),
        module: "oci".to_owned(),
        code: "use crate::{redact::Secret, content::{Error, limit}};\nlet x = crate::deploy::y();"
            .to_owned(),
    };
    assert_eq!(
        broken_rules(&upward),
        [
            "src/oci/digest.rs: `oci` uses `content`",
            "src/oci/digest.rs: `oci` uses `deploy`",
        ]
    );
}

struct Source {
    path: PathBuf,
    module: String,
    /// Its text without lines of comment, which may name anything.
    code: String,
}

fn broken_rules(source: &Source) -> Vec<String> {
    let rules: BTreeMap<_, _> = MAY_USE.iter().copied().collect();
    let Source { path, module, code } = source;
    if ["lib", "bin"].contains(&module.as_str()) {
        return Vec::new();
    }
    let Some(allowed) = rules.get(module.as_str()) else {
        return vec![format!("{}: no rule for `{module}`", path.display())];
    };
    used_modules(code)
        .into_iter()
        .filter(|used| used != module && used != "redact" && !allowed.contains(&used.as_str()))
        .map(|used| format!("{}: `{module}` uses `{used}`", path.display()))
        .collect()
}

/// The modules after each `crate::`, those in braces included.
fn used_modules(code: &str) -> BTreeSet<String> {
    code.split("crate::")
        .skip(1)
        .flat_map(first_names)
        .collect()
}

pub(crate) fn first_names(path: &str) -> Vec<String> {
    let Some(group) = path.strip_prefix('{') else {
        return vec![name(path)];
    };
    let mut names = vec![name(group)];
    let mut depth = 0_usize;
    for (position, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(name(&group[position + 1..])),
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

pub(crate) fn name(text: &str) -> String {
    let name = text.trim_start().chars();
    name.take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    let mut directories = vec![root.clone()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).expect("a directory of sources") {
            let path = entry.expect("an entry of a directory").path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push(source(&root, path));
            }
        }
    }
    assert!(!sources.is_empty());
    sources
}

fn source(root: &Path, path: PathBuf) -> Source {
    let inside = path.strip_prefix(root).expect("a path under src");
    let first = inside.components().next().expect("a file under src");
    let module = Path::new(&first)
        .file_stem()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    let text = std::fs::read_to_string(&path).expect("a source file");
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    Source {
        code: code.collect::<Vec<_>>().join("\n"),
        module,
        path,
    }
}
