//! The files of a folder import each other in one direction: there is no circle among them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::architecture::{first_names, name};

/// Circles that stay, with the reason.
const REASONED: &[(&[&str], &str)] = &[(
    &["extended", "source.rs"],
    "a pattern has patterns in its groups, and each is translated by the other",
)];

/// Files that put a folder together, and those of tests.
const NOT_LOOKED_AT: [&str; 6] = [
    "mod.rs",
    "main.rs",
    "lib.rs",
    "tests.rs",
    "testing.rs",
    "stand_in.rs",
];

#[test]
fn no_files_of_a_folder_import_each_other() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let folders = folders(&src);
    let circles = folders
        .iter()
        .flat_map(|folder| Imports::of(&src, folder).circles());
    let (known, new): (Vec<_>, Vec<_>) = circles.partition(|circle| is_reasoned(circle));
    assert!(new.is_empty(), "{new:?}");
    assert_eq!(known.len(), REASONED.len(), "a reasoned circle is gone");
}

fn is_reasoned(circle: &[String]) -> bool {
    REASONED.iter().any(|(files, _)| circle == *files)
}

#[test]
fn a_circle_is_noticed() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("a");
    fs::create_dir(&folder).unwrap();
    for (file, text) in [
        (
            "mod.rs",
            "mod one;\nmod two;\nmod three;\npub use three::{Three, Other};",
        ),
        ("one.rs", "use super::two::Two;"),
        ("two.rs", "use super::{Error, Three};"),
        ("three.rs", "fn x() { crate::a::one::y() }"),
        ("four.rs", "use super::one::One;\n// use super::five::Five;"),
        (
            "five.rs",
            "use super::four::Four;\n#[cfg(test)]\nmod tests { use super::super::one; }",
        ),
    ] {
        fs::write(folder.join(file), text).unwrap();
    }
    let circles = Imports::of(root.path(), &folder).circles();
    assert_eq!(circles, [["one.rs", "three.rs", "two.rs"]]);
}

/// Which files of a folder import which others. A folder in it is one of them.
struct Imports(BTreeMap<String, BTreeSet<String>>);

impl Imports {
    fn of(src: &Path, folder: &Path) -> Self {
        let members = members(folder);
        let exports = exports(folder, &members);
        let inside = folder.strip_prefix(src).unwrap();
        let mut inside: Vec<_> = inside.iter().map(|part| part.to_string_lossy()).collect();
        // The command line is a crate of its own.
        if inside.first().is_some_and(|first| first == "bin") {
            inside.drain(..2.min(inside.len()));
        }
        let mut from_crate = "crate::".to_owned();
        for part in inside {
            from_crate.push_str(&part);
            from_crate.push_str("::");
        }
        let imports = members.iter().map(|(member, files)| {
            let mut used = BTreeSet::new();
            for file in files {
                let code = code(file);
                let mut depth = file.strip_prefix(folder).unwrap().components().count() - 1;
                if file.ends_with("mod.rs") {
                    depth -= 1;
                }
                let from_file = "super::".repeat(depth + 1);
                for prefix in [&from_file, &from_crate] {
                    used.extend(after(&code, prefix));
                }
            }
            let used = used.iter().filter_map(|name| {
                let by_name = members
                    .keys()
                    .find(|member| member.trim_end_matches(".rs") == name);
                by_name.or_else(|| exports.get(name)).cloned()
            });
            (
                member.clone(),
                used.filter(|other| other != member).collect(),
            )
        });
        Self(imports.collect())
    }

    /// The circles, each once.
    fn circles(&self) -> Vec<Vec<String>> {
        let reached: BTreeMap<&String, BTreeSet<&String>> = self
            .0
            .keys()
            .map(|file| (file, self.reached(file)))
            .collect();
        let circles: BTreeSet<Vec<String>> = self
            .0
            .keys()
            .filter(|file| reached[file].contains(file))
            .map(|file| {
                let others = reached[file].iter();
                let both = others.filter(|other| reached[*other].contains(file));
                both.map(ToString::to_string).collect()
            })
            .collect();
        circles.into_iter().collect()
    }

    fn reached(&self, file: &String) -> BTreeSet<&String> {
        let mut reached = BTreeSet::new();
        let mut queue: Vec<&String> = self.0[file].iter().collect();
        while let Some(next) = queue.pop() {
            if reached.insert(next) {
                queue.extend(&self.0[next]);
            }
        }
        reached
    }
}

/// The names that come after a prefix, which is no part of a longer path.
fn after(code: &str, prefix: &str) -> Vec<String> {
    let found = code.match_indices(prefix).filter(|(position, _)| {
        let before = code[..*position].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':')
    });
    found
        .flat_map(|(position, _)| first_names(&code[position + prefix.len()..]))
        .collect()
}

/// The files and folders of a folder, each with its files.
fn members(folder: &Path) -> BTreeMap<String, Vec<PathBuf>> {
    let mut members = BTreeMap::new();
    for path in entries(folder) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "tests" && name != "testing" {
            members.insert(name, files(&path));
        } else if is_looked_at(&path) {
            members.insert(name, vec![path]);
        }
    }
    members
}

/// The names that `mod.rs` has of the files beside it.
fn exports(folder: &Path, members: &BTreeMap<String, Vec<PathBuf>>) -> BTreeMap<String, String> {
    let mut exports = BTreeMap::new();
    let root = folder.join("mod.rs");
    if !root.exists() {
        return exports;
    }
    for statement in code(&root).split(';') {
        let Some((_, path)) = statement.rsplit_once("use ") else {
            continue;
        };
        let path = path.trim().trim_start_matches("self::");
        let module = name(path);
        let of_it = |member: &&String| member.trim_end_matches(".rs") == module;
        let Some(member) = members.keys().find(of_it) else {
            continue;
        };
        let rest = &path[module.len()..];
        for item in rest.split([',', '{', '}']) {
            let item = item.rsplit(" as ").next().unwrap_or(item);
            let item = item.rsplit("::").next().unwrap_or(item).trim();
            exports.insert(item.to_owned(), member.clone());
        }
    }
    exports
}

/// The text of a file without comments and without its tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines();
    let code = lines.filter(|line| !line.trim_start().starts_with("//"));
    let code = code.collect::<Vec<_>>().join("\n");
    let of_tests = "#[cfg(test)]\nmod tests {";
    code.split(of_tests).next().unwrap_or_default().to_owned()
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    for path in entries(folder).into_iter().filter(|path| path.is_dir()) {
        found.extend(folders(&path));
    }
    found
}

/// The files of a folder and of those in it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in entries(folder) {
        if path.is_dir() {
            found.extend(files(&path));
        } else if is_looked_at(&path) || path.ends_with("mod.rs") {
            found.push(path);
        }
    }
    found
}

fn is_looked_at(path: &Path) -> bool {
    let is_code = path.extension().is_some_and(|extension| extension == "rs");
    is_code && !NOT_LOOKED_AT.iter().any(|other| path.ends_with(other))
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}
