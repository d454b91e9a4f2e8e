//! What is said of logs, metrics and alarms is what the code and the template have.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use longshore::cloudformation::{
    METRIC_DIMENSION, METRIC_NAMESPACE, METRICS, MIRROR_DIMENSION, MIRROR_METRICS,
};

/// Fields that every line has, or lines other than the closing one.
const OF_LINES: [&str; 6] = [
    "@timestamp",
    "level",
    "message",
    "error",
    "spans.0.request_id",
    "spans.0.invocation",
];

#[test]
fn the_metrics_are_documented_with_their_units() {
    let documented: BTreeMap<String, String> = closing_fields()
        .into_iter()
        .filter(|(_, unit)| !unit.is_empty())
        .collect();
    let known = METRICS
        .iter()
        .map(|(name, unit)| (name.to_string(), unit.to_string()));
    assert_eq!(documented, known.collect());
    let count = format!("{} metrics cost", METRICS.len());
    assert!(read("docs/operations.md").contains(&count), "{count}");
}

#[test]
fn the_metrics_of_mirrors_are_documented_and_on_their_dashboard() {
    let page = read("docs/operations.md");
    let template = read("template/mirror.yaml");
    for (name, unit) in MIRROR_METRICS {
        assert!(page.contains(&format!("| `{name}` | {unit} |")), "{name}");
    }
    let search = format!("SEARCH('{{{METRIC_NAMESPACE},{MIRROR_DIMENSION}}} MetricName=\\\"");
    let shown: Vec<&str> = template
        .split(search.as_str())
        .skip(1)
        .map(|rest| rest.split_once('\\').unwrap().0)
        .collect();
    assert!(shown.contains(&"mirror_failed"), "{shown:?}");
    for name in shown {
        assert!(
            MIRROR_METRICS.iter().any(|(known, _)| *known == name),
            "{name}"
        );
    }
}

#[test]
fn the_template_shows_metrics_that_there_are() {
    let template = read("template/template.yaml");
    let opening = format!("[\"{METRIC_NAMESPACE}\", \"");
    let on_dashboard = template.split(opening.as_str()).skip(1).map(|rest| {
        let (name, rest) = rest.split_once('"').unwrap();
        let dimension = format!(", \"{METRIC_DIMENSION}\", \"${{Provider}}\"");
        assert!(rest.starts_with(&dimension), "{name}");
        name
    });
    let on_dashboard: BTreeSet<&str> = on_dashboard.collect();
    assert_eq!(
        on_dashboard,
        METRICS.iter().map(|(name, _)| *name).collect()
    );

    let lines: Vec<&str> = template.lines().map(str::trim).collect();
    let in_alarms: Vec<&str> = lines
        .windows(2)
        .filter(|pair| pair[0] == format!("Namespace: {METRIC_NAMESPACE}"))
        .map(|pair| pair[1].strip_prefix("MetricName: ").unwrap())
        .collect();
    assert_eq!(in_alarms, ["failed", "seconds"]);
}

#[test]
fn the_alarms_are_documented() {
    let template = read("template/template.yaml");
    let lines: Vec<&str> = template.lines().collect();
    let alarms: BTreeSet<&str> = lines
        .windows(2)
        .filter(|pair| pair[1].trim() == "Type: AWS::CloudWatch::Alarm")
        .map(|pair| pair[0].trim().trim_end_matches(':'))
        .collect();
    let page = read("docs/operations.md");
    let documented = rows(&page, "### Alarms")
        .into_iter()
        .map(|row| names(row)[0]);
    assert_eq!(documented.collect::<BTreeSet<_>>(), alarms);
}

#[test]
fn queries_are_of_fields_that_there_are() {
    let known = closing_fields();
    let page = read("docs/operations.md");
    let dashboard = read("template/template.yaml");
    let queries = page.lines().chain(dashboard.lines());
    let mut seen = 0;
    for query in queries.filter_map(|line| line.split_once("fields @").map(|(_, rest)| rest)) {
        let fields = query.split([',', '|']).map(str::trim);
        for field in fields.take_while(|field| !field.contains(' ')) {
            let field = if field == "timestamp" {
                "@timestamp"
            } else {
                field
            };
            let is_known = known.contains_key(field) || OF_LINES.contains(&field);
            assert!(is_known, "{field} in {query}");
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}

/// The documented fields of the closing line, with their units.
fn closing_fields() -> BTreeMap<String, String> {
    let page = read("docs/operations.md");
    let mut fields = BTreeMap::new();
    for row in rows(&page, "### The closing line") {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        for name in names(cells[1]) {
            fields.insert(name.to_owned(), cells[2].to_owned());
        }
    }
    assert!(!fields.is_empty());
    fields
}

/// The rows of the table under a heading.
fn rows<'a>(page: &'a str, heading: &str) -> Vec<&'a str> {
    let (_, rest) = page
        .split_once(&format!("{heading}\n"))
        .expect("the heading");
    rest.lines()
        .take_while(|line| !line.starts_with('#'))
        .filter(|line| line.starts_with("| `"))
        .collect()
}

/// The names in a text.
fn names(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect(path)
}
