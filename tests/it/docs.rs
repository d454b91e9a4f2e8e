//! The documentation says what the code does.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use longshore::aws::{IMPORT_ACTIONS, Operation, PULL_ACTIONS, PUSH_ACTIONS};
use longshore::cloudformation::{
    CDK_ECR_DEPLOYMENT_PROPERTIES, CREATE_REPOSITORY, DESTINATIONS, ECR_IMAGE_PROPERTIES,
    ECR_MIRROR_PROPERTIES, ECR_PULL_POLICY_PROPERTIES, Property,
};
use longshore::deploy::Kind;
use serde_json::Value;

const RESOURCES: [(&str, &[Property]); 6] = [
    ("Custom::ECRImage", ECR_IMAGE_PROPERTIES),
    ("an item of Destinations", DESTINATIONS),
    ("CreateRepository", CREATE_REPOSITORY),
    ("Custom::ECRPullPolicy", ECR_PULL_POLICY_PROPERTIES),
    ("Custom::ECRMirror", ECR_MIRROR_PROPERTIES),
    ("Custom::CDKECRDeployment", CDK_ECR_DEPLOYMENT_PROPERTIES),
];
/// Actions that matter to a role and that no call of ours is named after.
const BESIDE: [&str; 3] = [
    "ecr:TagResource",
    "s3:GetEncryptionConfiguration",
    "sts:GetServiceBearerToken",
];

#[test]
fn the_reference_has_every_property_and_no_other() {
    let text = page("resource-reference.md");
    for (resource, properties) in RESOURCES {
        let rows = rows(&text, &format!("### Properties of {resource}"));
        let documented: Vec<(&str, bool)> = rows
            .iter()
            .map(|row| (name(row), row.contains("| required |")))
            .collect();
        let known: Vec<(&str, bool)> = properties
            .iter()
            .map(|property| (property.name, property.required))
            .collect();
        assert_eq!(
            documented, known,
            "{resource}: names, and which are required"
        );
    }
    let tables = text.matches("### Properties of ").count();
    assert_eq!(tables, RESOURCES.len());
}

#[test]
fn the_reference_has_every_attribute_and_no_other() {
    let folder = checkout();
    let run = longshore(folder.path(), "invoke --local events/create-tarball.json");
    let answer: Value = serde_json::from_slice(&run.stdout).unwrap();
    let given: BTreeSet<&str> = answer["Data"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let text = page("resource-reference.md");
    let rows = rows(&text, "### Attributes of Custom::ECRImage");
    assert_eq!(rows.into_iter().map(name).collect::<BTreeSet<_>>(), given);
}

#[test]
fn the_permissions_are_those_of_the_calls() {
    let of_calls = || Operation::ALL.iter().map(|operation| operation.action());
    let services: BTreeSet<&str> = of_calls()
        .filter_map(|action| action.split(':').next())
        .collect();
    let known: BTreeSet<&str> = of_calls()
        .chain([PULL_ACTIONS, PUSH_ACTIONS, IMPORT_ACTIONS].concat())
        .chain(BESIDE)
        .collect();
    let text = page("iam.md");
    let documented: BTreeSet<&str> = text
        .split(|c: char| !c.is_ascii_alphanumeric() && !":-".contains(c))
        .filter(|word| {
            let action = word.split_once(':');
            action.is_some_and(|(service, name)| {
                services.contains(service) && name.starts_with(|c: char| c.is_ascii_uppercase())
            })
        })
        .collect();
    assert_eq!(documented, known);
}

#[test]
fn the_sentences_are_those_of_the_code() {
    let code = code();
    let failures = page("failures.md");
    let operations = page("operations.md");
    let sentences: Vec<&str> = failures
        .lines()
        .filter(|line| line.starts_with("| `") && !line.starts_with("| `Longshore."))
        .chain(rows(&operations, "## Logs"))
        .map(name)
        .collect();
    assert!(sentences.len() > 60, "{}", sentences.len());
    let strange: Vec<&str> = sentences
        .into_iter()
        .filter(|sentence| {
            let mut parts = sentence.split('…').map(str::trim);
            !parts.all(|part| code.contains(part))
        })
        .collect();
    assert!(strange.is_empty(), "not in the code: {strange:#?}");
}

#[test]
fn every_name_of_an_error_is_told_and_no_other() {
    let failures = page("failures.md");
    let told: Vec<&str> = rows(&failures, "## Names of errors")
        .iter()
        .map(|row| name(row))
        .collect();
    let known: Vec<String> = Kind::ALL.iter().map(Kind::to_string).collect();
    assert_eq!(told, known);
}

#[test]
fn links_lead_somewhere() {
    let mut seen = 0;
    for path in files(Path::new("."), "md") {
        let page = read(&path);
        for link in page.split("](").skip(1) {
            let link = link.split(')').next().unwrap();
            if link.contains("://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => path.clone(),
                file => path.parent().unwrap().join(file),
            };
            assert!(rooted(&target).exists(), "{link} in {}", path.display());
            let leads = anchor.is_empty() || anchors(&read(&target)).any(|known| known == anchor);
            assert!(leads, "{link} in {}: no such heading", path.display());
            seen += 1;
        }
    }
    assert!(seen > 0);
}

#[test]
fn the_commands_run() {
    let folder = checkout();
    let text = page("command-line.md");
    let blocks = text.split("```").skip(1).step_by(2);
    let (mut printed, mut compared) = (String::new(), 0);
    for block in blocks {
        if let Some(shown) = block.strip_prefix("text\n") {
            assert_eq!(printed, shown);
            compared += 1;
            continue;
        }
        printed.clear();
        let commands = block
            .lines()
            .filter_map(|line| line.strip_prefix("longshore "));
        for command in commands {
            let run = longshore(folder.path(), command);
            printed.push_str(std::str::from_utf8(&run.stdout).unwrap());
        }
    }
    assert!(compared > 3);
}

/// The rows of the tables under a heading, those that begin with a name.
fn rows<'a>(page: &'a str, heading: &str) -> Vec<&'a str> {
    let (_, rest) = page
        .split_once(&format!("{heading}\n"))
        .unwrap_or_else(|| panic!("no heading {heading:?}"));
    rest.lines()
        .take_while(|line| !line.starts_with('#'))
        .filter(|line| line.starts_with("| `"))
        .collect()
}

/// The name at the beginning of a row.
fn name(row: &str) -> &str {
    row.split('`').nth(1).unwrap()
}

/// The anchors of a page's headings.
fn anchors(page: &str) -> impl Iterator<Item = String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    headings.map(|heading| {
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = heading
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    })
}

/// All code, with the texts that are broken over lines put together.
fn code() -> String {
    let sources = files(Path::new("src"), "rs");
    let code = sources.iter().map(|path| read(path)).collect::<String>();
    let joined: String = code.split("\\\n").map(str::trim_start).collect();
    joined.replace("\\\"", "\"")
}

/// The files of the checkout with this ending.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(rooted(folder)).unwrap() {
        let file_name = entry.unwrap().file_name();
        let path = folder.join(&file_name);
        let hidden = file_name.to_string_lossy().starts_with('.');
        if hidden
            || ["target", "node_modules"]
                .iter()
                .any(|other| file_name == *other)
        {
            continue;
        }
        if rooted(&path).is_dir() {
            found.extend(files(&path, ending));
        } else if path
            .extension()
            .is_some_and(|extension| extension == ending)
        {
            found.push(path);
        }
    }
    found
}

/// A page of the documentation.
fn page(name: &str) -> String {
    read(&Path::new("docs").join(name))
}

fn read(path: &Path) -> String {
    let path = rooted(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn rooted(path: &Path) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A folder that has the samples of the checkout, and may be written to.
fn checkout() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(rooted(Path::new("events")), folder.path().join("events")).unwrap();
    folder
}

/// Runs a command that must succeed, without any settings of whoever runs the tests.
fn longshore(folder: &Path, arguments: &str) -> Output {
    let run = Command::new(env!("CARGO_BIN_EXE_longshore"))
        .args(arguments.split_whitespace())
        .env_clear()
        .current_dir(folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    let compares = arguments.starts_with("diff ") || arguments.contains("--dry-run");
    let is_difference = compares && run.status.code() == Some(3);
    let is_done = run.status.success() || is_difference;
    assert!(is_done, "longshore {arguments}: {said}");
    run
}
