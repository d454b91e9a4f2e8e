//! Lists as users write them, and what they are told.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

use super::*;
use crate::oci::{Digest, Tag};

const LIST: &str = r#"
x-rule: &rule
  tags: {semver: ">=1.29 <2", newest: 2}
version: 1
defaults:
  template: "{registry}/mirror/{repository}:{tag}"
  destinations:
    - registry: 123456789012.dkr.ecr.eu-west-1.amazonaws.com
    - registry: 210987654321.dkr.ecr.us-east-1.amazonaws.com
      roleArn: arn:aws:iam::210987654321:role/mirror
      externalId: x1
  createRepository: true
registries:
  docker.io: {maxConcurrency: 4, requestsPerSecond: 0.5, credentials: hub}
prune: {maxShare: 10}
toleratedFailurePercentage: 5
sync:
  - source: public.ecr.aws/nginx/nginx:1.27
  - <<: *rule
    source: nginx
    platforms: [linux/amd64]
  - source: quay.io/prometheus/node-exporter
    type: repository
    tags: {allow: ["v1.*"], deny: [".*-rc.*"]}
    Destination: 123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/exporter
    referrers: true
"#;

fn tags(names: &[&str]) -> Vec<Tag> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn read(text: &str) -> List {
    List::read(text).unwrap_or_else(|invalid| panic!("{invalid}"))
}

#[test]
fn a_list_is_read() {
    let list = read(LIST);
    assert_eq!(list.tolerated_failure_percentage, 5);
    assert_eq!(list.prune, Some(Prune { max_share: 10 }));
    let hub = &list.registries["docker.io"];
    assert_eq!(hub.max_concurrency.unwrap().get(), 4);
    assert_eq!(hub.requests_per_second, Some(0.5));
    let [image, nginx, exporter] = list.entries.as_slice() else {
        panic!("{:?}", list.entries);
    };
    assert_eq!(image.line(), Some(18));
    let digest = Digest::sha256(b"a");
    assert_eq!(
        Value::Object(image.properties(None, Some(&digest)).unwrap()),
        json!({
            "Source": format!("public.ecr.aws/nginx/nginx:1.27@{digest}"),
            "CreateRepository": true,
            "Destinations": [
                {
                    "Destination": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/mirror/nginx/nginx",
                    "Tags": ["1.27"],
                },
                {
                    "Destination": "210987654321.dkr.ecr.us-east-1.amazonaws.com/mirror/nginx/nginx",
                    "Tags": ["1.27"],
                    "RoleArn": "arn:aws:iam::210987654321:role/mirror",
                    "ExternalId": "x1",
                },
            ],
        })
    );
    let known = tags(&[
        "1",
        "1.28.9",
        "1.29.0",
        "1.29.1-alpine",
        "1.30.2",
        "1.30.10",
        "latest",
    ]);
    assert_eq!(nginx.select(&known), [&known[4], &known[5]]);
    let properties = nginx.properties(Some(&known[4]), Some(&digest)).unwrap();
    assert_eq!(properties["SourceCredentials"], "hub");
    assert_eq!(properties["Platforms"], json!(["linux/amd64"]));
    assert_eq!(
        properties["Destinations"][0]["Destination"],
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com/mirror/library/nginx"
    );
    let known = tags(&["v1.8.0", "v1.9.0-rc.1", "master"]);
    assert_eq!(exporter.select(&known), [&known[0]]);
    let targets = exporter.destinations(Some(&known[0])).unwrap();
    assert_eq!(targets.len(), 1);
    assert_eq!(targets[0].tags, [known[0].clone()]);
}

const ECR: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

/// The list with these entries, of which each that has no destination goes to ECR.
fn entries(entries: &Value) -> Result<List, InvalidList> {
    List::from_value(&json!({ "Defaults": { "Destination": ECR }, "Sync": entries }))
}

/// All problems of a document, as they are shown.
fn problems(document: &str) -> Vec<String> {
    let invalid = List::read(document).expect_err(document);
    invalid.problems().iter().map(Problem::to_string).collect()
}

#[test]
fn a_template_gives_numbers_and_booleans_as_text() {
    let list = entries(&json!([{
        "Source": "nginx:1.27", "CreateRepository": "true", "MaxConcurrency": "3",
        "Referrers": true, "Platforms": "linux/amd64,linux/arm64", "Retry": 2,
    }]))
    .unwrap();
    let properties = list.entries[0]
        .properties(None, Some(&Digest::sha256(b"")))
        .unwrap();
    assert_eq!(properties["MaxConcurrency"], "3");
    assert_eq!(properties["Referrers"], "copy");
}

#[test]
fn json_is_read_as_yaml_is() {
    let yaml = read("{sync: [{source: 'nginx:1.27', destination: localhost/a/b}]}");
    let pair = r#"{"sync": [{"source": "nginx:1.27", "destination": "localhost/a/b"}], "x-note": "\ud83d\ude00"}"#;
    let json = read(pair);
    let long = "x".repeat(100);
    let long = format!("{{\"x-note\": {:?}, {}", vec![long; 10_000], &pair[1..]);
    assert_eq!(read(&long).entries.len(), 1);
    assert_eq!(
        yaml.entries[0].destinations(None),
        json.entries[0].destinations(None)
    );
}

#[test]
fn every_problem_is_told_at_its_line() {
    let document = r#"
verison: 1
defaults:
  destination: 123456789012.dkr.ecr.eu-west-1.amazonaws.com
  platforms: [linux]
registries:
  hub: {}
  docker.io:
    credentials: "user:password"
    maxConcurency: 1
prune: {maxShare: 0}
sync:
  - source: nginx
  - source: nginx:1.27
    tags: {}
  - source: Nginx:1
  - source: quay.io/a/b
    tags: {semver: "latest", allow: ["(", "a)|(b"], newst: 3}
  - source: quay.io/a/c:1
    destinations:
      - {registry: 123456789012.dkr.ecr.eu-west-1.amazonaws.com, roleArn: nonsense}
      - "team/app:{tagg}"
  - {source: quay.io/a/d:1, target: a, retry: 99, source: b}
"#;
    assert_eq!(
        problems(document),
        [
            "line 2, verison: unknown key: did you mean version?",
            "line 5, defaults.platforms: \"linux\" is no platform: expected \
             os/architecture[/variant], such as linux/arm64",
            "line 7, registries.hub: \"hub\" is no registry: expected a host such as \
             <account>.dkr.ecr.<region>.amazonaws.com",
            "line 9, registries.docker.io.credentials: expected the ARN or the name of a secret \
             in Secrets Manager, not the credentials themselves (where it is a name that looks \
             like a token, give the secret's ARN)",
            "line 10, registries.docker.io.maxConcurency: unknown key: did you mean \
             maxConcurrency?",
            "line 11, prune.maxShare: expected a whole number from 1 to 100, got \"0\"",
            "line 13, sync[0].source: it has neither tag nor digest: give it one, or give tags \
             beside it (tags: {} for all)",
            "line 15, sync[1].tags: the source is one image: it has a tag or a digest",
            "line 16, sync[2].source: malformed repository \"library/Nginx\": expected lowercase \
             letters and digits, separated by '/', '.', '-', '_' or '__'",
            "line 18, sync[3].tags.allow[0]: malformed regular expression \"(\": found open group \
             without closing ')'",
            "line 18, sync[3].tags.allow[1]: malformed regular expression \"a)|(b\": found closing \
             ')' without matching '('",
            "line 18, sync[3].tags.newst: unknown key: did you mean newest?",
            "line 18, sync[3].tags.semver: malformed range \"latest\": expected one such as \
             \">=1.29 <2\", \"^1\", \"~1.29\" or \"1.29.x\": unexpected character 'l' while \
             parsing major version number",
            "line 21, sync[4].destinations[0].roleArn: expected \
             arn:aws:iam::<account>:role/<name>, got \"nonsense\"",
            "line 22, sync[4].destinations[1]: unknown placeholder {tagg}: expected {registry}, \
             {repository}, {name}, {host} or {tag}",
            "line 23, sync[5].retry: expected a whole number from 1 to 20, got \"99\"",
            "line 23, sync[5].source: it is there twice",
            "line 23, sync[5].target: unknown key: the key is destination",
        ]
    );
    let invalid = List::read(document).unwrap_err().to_string();
    assert!(invalid.ends_with("; and 10 more"), "{invalid}");
}

#[test]
fn what_cannot_work_is_told_before_tags_are_listed() {
    for (entry, expected) in [
        (
            json!({"Source": "a/b"}),
            "sync[0].source: it has neither tag nor digest",
        ),
        (
            json!({"Source": "a/b:1", "Type": "repository"}),
            "sync[0].type: the source is one image",
        ),
        (
            json!({"Source": "a/b", "Type": "image"}),
            "sync[0].type: the source is a repository",
        ),
        (
            json!({"Source": "a/b", "Tags": []}),
            "sync[0].tags: the list is empty",
        ),
        (
            json!({"Source": "a/b:1", "Destination": "team/b"}),
            "sync[0].destination: \"team/b:1\" names no registry",
        ),
        (
            json!({"Source": "a/b:1", "Destination": "docker.io/a/b"}),
            "sync[0].destination: docker.io/a/b is the source itself",
        ),
        (
            json!({"Source": "a/b", "Tags": {}, "Destination": "docker.io/a/b:mirror-{tag}"}),
            "sync[0].destination: docker.io/a/b is the source itself",
        ),
        (
            json!({"Source": "a/b", "Tags": {}, "Destination": "r.io/a/b:fixed"}),
            "sync[0].destination: all tags of the source would go to one tag",
        ),
        (
            json!({"Source": format!("a/b@{}", Digest::sha256(b"")), "Destination": "r.io/a/b:{tag}"}),
            "sync[0].destination: the source has no tag for {tag}",
        ),
        (
            json!({"Source": "localhost:5000/b:1", "Destination": "r.io/{host}/b"}),
            "the name that the template makes is no destination: malformed repository",
        ),
        (
            json!({"Source": "a/b:1", "Destination": "{registry}/b"}),
            "{registry} has no meaning where the registry itself is written here",
        ),
        (
            json!({"Source": "a/b:1", "Template": "mirror/{repository}"}),
            "sync[0].template: {registry} is missing",
        ),
        (
            json!({"Source": "a/b:1", "Destination": "r.io/{{ .Sync.Source }}"}),
            "unknown placeholder {{ .Sync.Source }",
        ),
        (
            json!({"Source": "a/b:1", "Destinations": [{"RoleArn": "x"}]}),
            "sync[0].destinations[0]: destination or registry is required",
        ),
        (
            json!({"Source": "a/b:1", "Destinations": [
                {"Registry": ECR}, {"Destination": format!("{ECR}/a/b:x"), "Credentials": "s"},
            ]}),
            "sync[0].destinations[1]: 123456789012.dkr.ecr.eu-west-1.amazonaws.com/a/b is a \
             destination already, and is reached in another way there",
        ),
        (
            json!({"Source": "a/b:1", "Destination": "ghcr.io/a/b", "CreateRepository": true}),
            "sync[0].createRepository: the destination is in no private ECR registry",
        ),
        (
            json!({"Source": "a/b:1", "PullAccess": {"principals": ["nobody"]}}),
            "sync[0].pullAccess: Principals[0]: ",
        ),
        (
            json!({"Source": "a/b:1", "CreateRepository": {"scanOnPush": true, "ScanOnPush": true}}),
            "sync[0].createRepository: unknown property \"scanOnPush\"",
        ),
        (
            json!({"Source": "s3://b/k"}),
            "sync[0].source: unknown scheme \"s3\"",
        ),
        (
            json!({"Source": "a/b", "Tags": {"prereleases": true}}),
            "sync[0].tags.prereleases: it needs semver, suffix or newest beside it",
        ),
        (
            json!({"Source": "a/b:1", "semverRange": ">1"}),
            "the key is semver, within tags",
        ),
        (json!("nginx"), "sync[0]: expected a map, got a text"),
    ] {
        let invalid = entries(&json!([entry])).expect_err(&entry.to_string());
        let shown = invalid.to_string();
        let is_told = shown.to_lowercase().contains(&expected.to_lowercase());
        assert!(is_told, "{entry}: {shown}");
        assert_eq!(invalid.problems().len(), 1, "{shown}");
    }
}

#[test]
fn no_problem_shows_a_secret() {
    for entry in [
        json!({"Source": "user:hunter2@r.io/a:1"}),
        json!({"Source": "a:1", "Destination": "user:hunter2@r.io/a"}),
        json!({"Source": "a:1", "Destination": "hunter2@r.io/a"}),
        json!({"Source": "a:1", "Destination": {"Registry": "user:hunter2@r.io"}}),
        json!({"Source": "a:1", "SourceCredentials": "user:hunter2"}),
        json!({"Source": "a:1", "Destination": {"Registry": "r.io", "Credentials": "user:hunter2"}}),
    ] {
        let invalid = entries(&json!([entry])).expect_err(&entry.to_string());
        assert!(
            !format!("{invalid} {invalid:?}").contains("hunter2"),
            "{invalid}"
        );
    }
}

#[test]
fn defaults_are_told_once_and_entries_are_taken_that_differ_from_them() {
    let list = json!({
        "defaults": {"destination": ECR, "retry": 50},
        "sync": [{"source": "a/b:1"}, {"source": "a/c:1", "retry": 3}, {"source": "a/d:1"}],
    });
    let invalid = List::from_value(&list).unwrap_err();
    assert_eq!(
        invalid.to_string(),
        "defaults.retry: expected a whole number from 1 to 20, got \"50\""
    );
}

#[test]
fn two_entries_for_one_destination_are_told_with_both_lines() {
    let document = "
sync:
  - {source: 'a/b:1', destination: r.io/x/y}
  - {source: 'a/c', tags: ['1', '2'], destination: r.io/x/y}
";
    assert_eq!(
        problems(document),
        ["line 4, sync[1]: an image of sync[0] (line 3) goes to r.io/x/y:1 already"]
    );
    let list = read(
        "
sync:
  - {source: a/b, tags: {}, destination: r.io/x/y}
  - {source: a/c, tags: {}, destination: r.io/x/y}
",
    );
    let mut conflicts = Conflicts::default();
    let destination = "r.io/x/y:7".parse().unwrap();
    assert_eq!(conflicts.take(&list.entries[0], &destination), None);
    let problem = conflicts.take(&list.entries[1], &destination).unwrap();
    assert!(problem.text.contains("sync[0] (line 3)"), "{problem}");
    let problem = conflicts.take(&list.entries[0], &destination).unwrap();
    assert!(
        problem.text.contains("another image of this entry"),
        "{problem}"
    );
}

#[test]
fn destinations_of_one_repository_are_one_with_several_tags() {
    let list = entries(&json!([{
        "Source": "a/b", "Tags": {},
        "Destinations": ["r.io/x:{tag}", "r.io/x:b-{tag}", "r.io/x", "r.io/y/{name}"],
    }]))
    .unwrap();
    let tag: Tag = "7".parse().unwrap();
    let targets = list.entries[0].destinations(Some(&tag)).unwrap();
    let shown: Vec<String> = targets
        .iter()
        .map(|target| format!("{} {:?}", target.repository, target.tags.len()))
        .collect();
    assert_eq!(shown, ["r.io/x 2", "r.io/y/b 1"]);
}

#[test]
fn an_image_may_have_more_destinations_than_an_answer_has_room_for() {
    let destinations: Vec<String> = (0..100)
        .map(|n| format!("r.io/{}/{n}", "x".repeat(100)))
        .collect();
    let list = entries(&json!([{"Source": "a/b:1", "Destinations": destinations}])).unwrap();
    assert_eq!(list.entries[0].destinations(None).unwrap().len(), 100);
}

#[test]
fn anchors_are_expanded_and_merged() {
    let list = read(
        "
x-access: &access {sourceCredentials: a, retry: 2}
x-more: &more {retry: 3, maxConcurrency: 5}
x-to: &to [r.io/a, r.io/b]
sync:
  - {<<: *access, source: 'a/b:1', destinations: *to}
  - {<<: [*access, *more], source: 'a/b:2', destinations: *to, sourceCredentials: own}
",
    );
    let digest = Digest::sha256(b"");
    let properties = list.entries[1].properties(None, Some(&digest)).unwrap();
    assert_eq!(properties["SourceCredentials"], "own");
    assert_eq!(properties["Retry"], 2);
    assert_eq!(properties["MaxConcurrency"], 5);
}

#[test]
fn documents_that_would_grow_are_refused() {
    let levels = (1..20).map(|level| {
        let before = vec![format!("*a{}", level - 1); 8].join(", ");
        format!("x-{level}: &a{level} [{before}]\n")
    });
    let bomb = format!("x-0: &a0 [x, x, x, x]\n{}", levels.collect::<String>());
    assert!(problems(&bomb)[0].contains("too large with its aliases written out"));
    let keys: Vec<String> = (0..5000).map(|key| format!("k{key}: 1")).collect();
    let merges = "  - {<<: *a}\n".repeat(1000);
    let merges = format!("x-a: &a {{{}}}\nx-b:\n{merges}", keys.join(", "));
    assert!(problems(&merges)[0].contains("too many parts"));
    let unknown: Vec<String> = (0..20_000).map(|key| format!("k{key}: 1")).collect();
    assert_eq!(problems(&unknown.join("\n")).len(), 10_000);
    let long = format!("[{}", "1,".repeat(MAX_DOCUMENT / 4));
    assert!(problems(&long)[0].contains("is too long: expected at most 524288 characters"));
    let long = format!("x-a: \"{}\"", "a ".repeat(MAX_DOCUMENT / 4));
    assert!(problems(&long)[0].contains("is too long: expected at most 524288 characters"));
    let names: Vec<String> = (0..20_000).map(|n| format!("t{n}")).collect();
    let names = format!(
        "sync: [{{source: a, destination: r.io, tags: [{}]}}]",
        names.join(",")
    );
    assert!(problems(&names)[0].contains("expected at most 10000 items, got 20000"));
    let deep = "[".repeat(100_000);
    assert!(problems(&deep)[0].contains("recursion limit exceeded"));
    let deep = "- ".repeat(100_000);
    assert!(problems(&deep)[0].contains("within each other"));
    let deep = format!("{}{}", "{\"a\":".repeat(100), "}".repeat(100));
    assert!(problems(&deep)[0].contains("within each other"));
    let long = " ".repeat(MAX_DOCUMENT + 1);
    assert!(problems(&long)[0].contains("too large"));
    let many = "\n- {source: 'a/b:1'}".repeat(MAX_ENTRIES + 1);
    let many = format!("defaults: {{destination: r.io}}\nsync:{many}");
    assert!(problems(&many)[0].contains("expected at most 10000 items, got 10001"));
}

#[test]
fn what_is_no_list_is_refused() {
    for (document, expected) in [
        (&b""[..], "the list is empty"),
        (b"# nothing", "the list is empty"),
        (b"--- {}\n--- {}", "line 2: another document begins"),
        (b"\xff\xfes", "the list is no UTF-8 text"),
        (b"sync: [", "malformed YAML"),
        (b"a: *b", "line 1: malformed YAML"),
        (b"a: &a [*a]", "an alias stands within its own anchor"),
        (
            b"sync: !Ref List",
            "line 1: the tag !Ref has no meaning in a list",
        ),
        (b"? [a]\n: b", "line 1: a key of a map must be a text"),
        (b"<<: a", "<< takes a map"),
        (b"[]", "expected a map, got a list"),
        (b"{}", "sync is required"),
        (
            b"{\"sync\": []}",
            "the list is empty: expected at least one entry",
        ),
        (b"version: 2\nsync: []", "version: expected 1, got \"2\""),
    ] {
        let shown = List::read(document).unwrap_err().to_string();
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
}

#[test]
fn a_filter_takes_what_its_user_expects() {
    const NGINX: &[&str] = &[
        "1",
        "1.28",
        "1.28.1",
        "1.29",
        "1.29.0",
        "1.29.1",
        "1.29.2",
        "1.29.2-alpine",
        "1.29.2-alpine3.20",
        "1.29.1-alpine",
        "1.30.0-rc.1",
        "2.0.0",
        "alpine",
        "latest",
        "v1.27.0",
    ];
    for (filter, expected) in [
        (json!({}), NGINX),
        (json!(["latest", "1.29", "9"]), &["1.29", "latest"]),
        (json!("1.29"), &["1.29"]),
        (json!({"allow": "1\\.28.*"}), &["1.28", "1.28.1"]),
        (json!({"allow": ["alpine|latest"]}), &["alpine", "latest"]),
        (json!({"allow": ["^1\\.28$"]}), &["1.28"]),
        (
            json!({"allow": ["1\\.29.*"], "deny": [".*alpine.*", "1.29"]}),
            &["1.29.0", "1.29.1", "1.29.2"],
        ),
        (
            json!({"semver": ">=1.29 <2"}),
            &["1.29", "1.29.0", "1.29.1", "1.29.2"],
        ),
        (json!({"semver": "<1.28"}), &["1", "v1.27.0"]),
        (json!({"semver": ["1.27", "2"]}), &["2.0.0", "v1.27.0"]),
        (
            json!({"semver": "1.29", "suffix": "alpine"}),
            &["1.29.2-alpine", "1.29.1-alpine"],
        ),
        (
            json!({"semver": "1.29", "suffix": "-alpine.*"}),
            &["1.29.2-alpine", "1.29.2-alpine3.20", "1.29.1-alpine"],
        ),
        (
            json!({"semver": "1.29.2", "suffix": ["", "alpine"]}),
            &["1.29.2", "1.29.2-alpine"],
        ),
        (
            json!({"semver": ">1.29", "prereleases": true}),
            &["1.30.0-rc.1", "2.0.0"],
        ),
        (json!({"suffix": "", "newest": 1}), &["2.0.0"]),
        (
            json!({"suffix": "", "newest": 1, "prereleases": true, "semver": "1"}),
            &["1.30.0-rc.1"],
        ),
        (
            json!({"newest": 1}),
            &["1.29.2-alpine", "1.29.2-alpine3.20", "2.0.0"],
        ),
        (
            json!({"newest": 1, "suffix": "alpine.*"}),
            &["1.29.2-alpine3.20"],
        ),
        (json!({"newest": 2, "semver": "1"}), &["1.29.1", "1.29.2"]),
        (
            json!({"newest": 1, "deny": ["2.*"]}),
            &["1.29.2", "1.29.2-alpine", "1.29.2-alpine3.20"],
        ),
        (
            json!({"allow": [".*-alpine"], "newest": 1}),
            &["1.29.2-alpine"],
        ),
    ] {
        let list = entries(&json!([{"Source": "nginx", "Tags": filter}])).unwrap();
        let known = tags(NGINX);
        let taken: Vec<&str> = list.entries[0]
            .select(&known)
            .into_iter()
            .map(Tag::as_str)
            .collect();
        assert_eq!(taken, expected, "{filter}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..200)) {
        let _ = List::read(&bytes);
    }

    #[test]
    fn what_looks_like_yaml_is_read_or_refused(
        words in vec(select(WORDS), 0..60),
    ) {
        let _ = List::read(words.concat());
    }

    #[test]
    fn a_list_with_a_part_replaced_is_read_or_refused(
        at in any::<Index>(),
        length in 0_usize..12,
        word in select(WORDS),
    ) {
        let mut bytes = LIST.as_bytes().to_vec();
        let start = at.index(bytes.len());
        let end = (start + length).min(bytes.len());
        bytes.splice(start..end, word.bytes());
        let _ = List::read(&bytes);
    }
}

/// Pieces of documents.
const WORDS: &[&str] = &[
    "sync:",
    "source: ",
    "- ",
    "\n",
    "\n  ",
    "\n    ",
    "[",
    "]",
    "{",
    "}",
    ", ",
    ": ",
    "&a ",
    "*a",
    "<<: ",
    "|\n",
    ">-\n",
    "? ",
    "!!str ",
    "!x ",
    "'",
    "\"",
    "#",
    "%YAML 1.2\n",
    "---\n",
    "...\n",
    "\t",
    "tags: ",
    "defaults:",
    "a/b:1",
    "{tag}",
    "\u{feff}",
    "\\ud83d",
    "é",
    "~",
    "\r",
    "semver: ",
    "allow: ",
    "(",
];
