//! `longshore sync` over sockets: what is moved, what is asked, and what is told.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use longshore::local::Fault;
use serde_json::{Value, json};

use super::fleet::{Fleet, digest};
use crate::support::{QuotaRegistry, output, stderr};

/// A folder with a list.
struct Sheet {
    folder: tempfile::TempDir,
}

impl Sheet {
    fn new(list: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sheet = Self { folder };
        sheet.write(list);
        sheet
    }

    fn write(&self, list: &str) {
        std::fs::write(self.folder.path().join("list.yaml"), list).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_longshore"));
        command
            .args(["sync", "list.yaml"])
            .args(arguments)
            .env_clear()
            .env("LONGSHORE_ALLOW_LOOPBACK", "1")
            .current_dir(self.folder.path());
        command
    }

    async fn sync(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        let run = tokio::task::spawn_blocking(move || command.output());
        run.await.unwrap().unwrap()
    }

    /// Runs the list and returns its report.
    async fn report(&self, arguments: &[&str]) -> Value {
        let run = self.sync(&[arguments, &["--json"]].concat()).await;
        let read = serde_json::from_slice(&run.stdout);
        read.unwrap_or_else(|error| panic!("{error}: {}", stderr(&run)))
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }
}

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// 100 images in each of two registries, 20 tags a repository.
async fn two_hundred(fleet: &Fleet) {
    for (registry, team) in [(&fleet.one, "one"), (&fleet.other, "other")] {
        for repository in 0..5 {
            for tag in 0..20 {
                let name = format!("{team}/app-{repository}");
                let text = format!("{name} {tag}");
                Fleet::image(registry, &name, &text, &[&format!("1.{tag}")]).await;
            }
        }
    }
}

fn list_of_all(fleet: &Fleet) -> String {
    use std::fmt::Write as _;
    let destination = fleet.destination.address();
    let mut list = format!(
        "defaults:\n  template: \"{{registry}}/mirror/{{repository}}:{{tag}}\"\n  destinations:\n    - registry: {destination}\nsync:\n"
    );
    for (registry, team) in [(&fleet.one, "one"), (&fleet.other, "other")] {
        for repository in 0..5 {
            let source = format!("{}/{team}/app-{repository}", registry.address());
            writeln!(
                list,
                "  - source: {source}\n    tags: {{semver: \">=1.0\"}}"
            )
            .unwrap();
        }
    }
    list
}

#[tokio::test]
async fn two_hundred_images_are_copied_and_the_second_time_nothing_is() {
    let fleet = Fleet::new().await;
    two_hundred(&fleet).await;
    let sheet = Sheet::new(&list_of_all(&fleet));
    let report = sheet.report(&[]).await;
    assert_eq!(report["Totals"]["Images"], 200, "{report:#}");
    assert_eq!(report["Totals"]["Copied"], 200);
    assert_eq!(
        fleet.at_destination("mirror/other/app-4", "1.19").await,
        digest(&fleet.other, "other/app-4", "1.19").await
    );

    fleet.reset();
    let report = sheet.report(&[]).await;
    assert_eq!(report["Totals"]["Current"], 200, "{report:#}");
    let requests = fleet.requests();
    // A HEAD on either side of each image, a list of tags of each repository on either side, and
    // the first look at each registry.
    assert!(
        requests.len() <= 2 * 200 + 2 * 10 + 3,
        "{} requests",
        requests.len()
    );
    let moved = requests
        .iter()
        .filter(|request| !["HEAD", "GET"].contains(&request.method.as_str()));
    assert_eq!(moved.count(), 0);

    let moved = "1.7";
    Fleet::image(&fleet.one, "one/app-2", "another image", &[moved]).await;
    fleet.reset();
    let report = sheet.report(&[]).await;
    assert_eq!(report["Totals"]["Copied"], 1, "{report:#}");
    assert_eq!(report["Copied"][0]["Why"], "moved");
    assert_eq!(
        fleet.at_destination("mirror/one/app-2", moved).await,
        digest(&fleet.one, "one/app-2", moved).await
    );
}

#[tokio::test]
async fn a_dry_run_reports_drift_and_moves_nothing() {
    let fleet = Fleet::new().await;
    Fleet::image(&fleet.one, "app", "a", &["1.0", "1.1", "beta"]).await;
    Fleet::image(&fleet.destination, "m/app", "old", &["1.0", "0.9"]).await;
    let (source, destination) = (fleet.one.address(), fleet.destination.address());
    let sheet = Sheet::new(&format!(
        "sync:\n  - source: {source}/app\n    tags: {{allow: ['1\\..*']}}\n    destination: {destination}/m/app\n"
    ));
    fleet.reset();
    let run = sheet.sync(&["--dry-run", "--report", "drift.json"]).await;
    assert_eq!(run.status.code(), Some(3), "{}", stderr(&run));
    let said = String::from_utf8(run.stdout.clone()).unwrap();
    assert!(
        said.contains(&format!("to be copied: {source}/app:1.0 (moved)")),
        "{said}"
    );
    assert!(
        said.contains(&format!("to be copied: {source}/app:1.1 (missing)")),
        "{said}"
    );
    assert!(
        said.contains(&format!("not in the list: {destination}/m/app: 0.9")),
        "{said}"
    );
    let report = json_of(&sheet.path("drift.json"));
    assert_eq!(report["Totals"]["Planned"], 2);
    assert_eq!(report["Totals"]["Extra"], 1);
    let requests = fleet.requests();
    assert!(
        requests
            .iter()
            .all(|request| ["GET", "HEAD"].contains(&request.method.as_str()))
    );

    assert_eq!(sheet.sync(&[]).await.status.code(), Some(0));
    assert_eq!(sheet.sync(&["--dry-run"]).await.status.code(), Some(0));
}

#[tokio::test]
async fn what_fails_for_one_image_keeps_no_other_from_its_place() {
    let fleet = Fleet::new().await;
    Fleet::image(&fleet.one, "app", "a", &["1.0"]).await;
    Fleet::image(&fleet.one, "denied", "b", &["1.0"]).await;
    Fleet::image(&fleet.one, "busy", "c", &["1.0"]).await;
    let denied = Fault::answer(403)
        .on("HEAD", "/v2/denied/manifests/")
        .times(100);
    fleet.one.faults().add(denied);
    let busy = Fault::answer(429)
        .on("HEAD", "/v2/busy/manifests/")
        .times(2);
    fleet.one.faults().add(busy);
    let (source, destination) = (fleet.one.address(), fleet.destination.address());
    let sheet = Sheet::new(&format!(
        "defaults: {{template: '{{registry}}/{{repository}}:{{tag}}', destinations: [{{registry: '{destination}'}}]}}\n\
         sync:\n\
         - source: {source}/app:1.0\n\
         - source: {source}/app:2.0\n\
         - source: {source}/denied:1.0\n\
         - source: {source}/busy:1.0\n\
         - source: {source}/nothing\n  tags: {{newest: 1}}\n\
         - source: {source}/named\n  tags: ['1.0', '3.0']\n"
    ));
    Fleet::image(&fleet.one, "named", "d", &["1.0"]).await;
    let run = sheet.sync(&["--json"]).await;
    assert_eq!(run.status.code(), Some(1), "{}", stderr(&run));
    let report: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(report["Totals"]["Copied"], 3, "{report:#}");
    let failed = report["Failed"].as_array().unwrap();
    let mut failed: Vec<_> = failed
        .iter()
        .map(|failed| {
            (
                failed["Source"].as_str().unwrap(),
                failed["Error"].as_str().unwrap(),
            )
        })
        .collect();
    failed.sort_unstable();
    let named = |name: &str| format!("{source}/{name}");
    assert_eq!(
        failed,
        [
            (named("app:2.0").as_str(), "Longshore.SourceMissing"),
            (named("denied:1.0").as_str(), "Longshore.Denied"),
            (named("named:3.0").as_str(), "Longshore.SourceMissing"),
            (named("nothing").as_str(), "Longshore.SourceMissing"),
        ]
    );
    assert!(fleet.at_destination("busy", "1.0").await.is_some());
}

#[tokio::test]
async fn only_what_a_run_wrote_is_pruned_and_never_too_much_at_once() {
    let fleet = Fleet::new().await;
    for tag in ["1.0", "1.1", "1.2", "1.3"] {
        Fleet::image(&fleet.one, "app", tag, &[tag]).await;
    }
    Fleet::image(&fleet.destination, "app", "of others", &["theirs", "1.0"]).await;
    let (source, destination) = (fleet.one.address(), fleet.destination.address());
    let list = |newest: usize, share: usize| {
        format!(
            "prune: {{maxShare: {share}}}\nsync:\n- source: {source}/app\n  tags: {{semver: '>=1', newest: {newest}}}\n  destination: {destination}/app\n"
        )
    };
    let sheet = Sheet::new(&list(3, 50));
    let ledger = ["--ledger", "ledger.json"];
    let report = sheet.report(&ledger).await;
    assert_eq!(report["Totals"]["Copied"], 3, "{report:#}");

    sheet.write(&list(1, 50));
    let run = sheet.sync(&ledger).await;
    assert_eq!(run.status.code(), Some(1));
    assert!(
        stderr(&run).contains("more than the 50 percent"),
        "{}",
        stderr(&run)
    );
    assert!(fleet.at_destination("app", "1.1").await.is_some());

    sheet.write(&list(2, 50));
    let report = sheet.report(&ledger).await;
    assert_eq!(
        report["Pruned"]["Removed"],
        json!([format!("{destination}/app:1.1")])
    );
    assert!(fleet.at_destination("app", "1.1").await.is_none());
    for kept in ["theirs", "1.0", "1.2", "1.3"] {
        assert!(fleet.at_destination("app", kept).await.is_some(), "{kept}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_list_is_told_at_once_and_nothing_moves() {
    let fleet = Fleet::new().await;
    Fleet::image(&fleet.one, "app", "a", &["1.0"]).await;
    let (source, destination) = (fleet.one.address(), fleet.destination.address());
    let sheet = Sheet::new(&format!(
        "sync:\n\
         - source: {source}/app\n  tags: {{allow: ['9.*']}}\n  destination: {destination}/a\n\
         - source: {source}/app\n  tags: {{allow: ['.*']}}\n  destination: {destination}/b\n\
         - source: {source}/app:1.0\n  destination: {destination}/b\n"
    ));
    fleet.reset();
    let run = sheet.sync(&[]).await;
    assert_eq!(run.status.code(), Some(1));
    let said = stderr(&run);
    assert!(
        said.contains("line 2, sync[0]") && said.contains("matches none of the tags"),
        "{said}"
    );
    assert!(
        said.contains("sync[2]") && said.contains("/b:1.0"),
        "{said}"
    );
    let requests = fleet.requests();
    assert!(
        requests.iter().all(|request| request.method == "GET"),
        "{requests:?}"
    );
}

#[tokio::test]
async fn a_registry_that_allows_no_more_pulls_is_left_for_later() {
    let fleet = Fleet::new().await;
    for tag in ["1", "2", "3", "4"] {
        Fleet::image(&fleet.one, "app", tag, &[tag]).await;
    }
    let limited = QuotaRegistry::before(fleet.one.address(), 2).await;
    let (source, destination) = (limited.address(), fleet.destination.address());
    let sheet = Sheet::new(&format!(
        "sync:\n- source: {source}/app\n  tags: {{allow: ['.*']}}\n  destination: {destination}/app\n"
    ));
    let run = sheet.sync(&["--json", "--concurrency", "1"]).await;
    assert_eq!(run.status.code(), Some(1), "{}", stderr(&run));
    let report: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(report["Totals"]["Copied"], 2, "{report:#}");
    assert_eq!(report["Totals"]["Deferred"], 2);
    assert_eq!(
        limited.refused(),
        0,
        "nothing is asked that is known to be refused"
    );
}

#[tokio::test]
async fn a_run_that_is_stopped_remembers_what_it_wrote_and_goes_on() {
    let fleet = Fleet::new().await;
    Fleet::image(&fleet.one, "first", "a", &["1"]).await;
    Fleet::image(&fleet.one, "second", "b", &["1"]).await;
    let (source, destination) = (fleet.one.address(), fleet.destination.address());
    let sheet = Sheet::new(&format!(
        "sync:\n- source: {source}/first:1\n  destination: {destination}/first\n\
         - source: {source}/second:1\n  destination: {destination}/second\n"
    ));
    let hang = Fault::hang().on("POST", "/v2/second/blobs/uploads/");
    fleet.destination.faults().add(hang.times(10));
    let arguments = ["--ledger", "ledger.json", "--concurrency", "1"];
    let mut run = sheet.command(&arguments).spawn().unwrap();
    while fleet.destination.faults().pending() == 10 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let kill = ["-INT".to_owned(), run.id().to_string()];
    assert!(Command::new("kill").args(kill).status().unwrap().success());
    let ended = tokio::task::spawn_blocking(move || run.wait())
        .await
        .unwrap();
    assert_eq!(ended.unwrap().code(), Some(130));
    let ledger = json_of(&sheet.path("ledger.json"));
    let written: Vec<&String> = ledger["Tags"].as_object().unwrap().keys().collect();
    assert_eq!(written, [&format!("{destination}/first:1")]);

    fleet.destination.faults().clear();
    let report = sheet.report(&arguments).await;
    let totals = &report["Totals"];
    assert_eq!(
        (&totals["Current"], &totals["Copied"]),
        (&json!(1), &json!(1))
    );
    let ledger = json_of(&sheet.path("ledger.json"));
    assert_eq!(ledger["Tags"].as_object().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real parts: run scripts/test"]
async fn a_terminal_shows_how_far_the_fleet_is() {
    let fleet = Fleet::new().await;
    for tag in ["1", "2", "3"] {
        Fleet::image(&fleet.one, "app", tag, &[tag]).await;
    }
    let slow = Fault::delay(Duration::from_millis(300)).on("PUT", "/v2/app/manifests/");
    fleet.destination.faults().add(slow.times(10));
    let (source, destination) = (fleet.one.address(), fleet.destination.address());
    let sheet = Sheet::new(&format!(
        "sync:\n- source: {source}/app\n  tags: {{}}\n  destination: {destination}/app\n"
    ));
    let program = env!("CARGO_BIN_EXE_longshore");
    let line = format!("{program} sync list.yaml --concurrency 1");
    // `script` gives a program a terminal.
    let mut command = Command::new("script");
    command
        .args(["-qec", &line, "/dev/null"])
        .env("LONGSHORE_ALLOW_LOOPBACK", "1")
        .current_dir(sheet.folder.path());
    let shown = String::from_utf8(output(&mut command)).unwrap();
    assert!(
        shown.contains("1/3 images") && shown.contains("2/3 images"),
        "{shown}"
    );
    assert!(shown.contains("3 images: 0 current, 3 copied"), "{shown}");
}
