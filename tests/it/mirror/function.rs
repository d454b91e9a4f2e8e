//! The function's operations on the embedded stand-ins: pages that end with the time, and what is
//! told before anything moves.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use longshore::aws::Clients;
use longshore::cloudformation::{Delivery, Handler, Invocation};
use longshore::deploy::{self, Deployer, Kind, Reach, Survey};
use longshore::local::{
    BucketOptions, Environment, EnvironmentOptions, Fault, Registry, RegistryOptions,
};
use longshore::mirror::{Call, Error, Mirrors};
use longshore::registry::Client;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::fleet::{Fleet, digest};
use crate::support::HOST;

const BUCKET: &str = "mirror";

struct World {
    environment: Environment,
    mirrors: Mirrors,
    handler: Handler,
    folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = EnvironmentOptions {
            bucket: BucketOptions::folder(BUCKET, folder.path()),
            ..EnvironmentOptions::default()
        };
        options.aws.roles = [("arn:aws:iam::210987654321:role/known".to_owned(), None)].into();
        let environment = Environment::start(options).await.unwrap();
        let variables = environment.variables();
        let config = deploy::registry_config(|name| variables.get(name).cloned()).unwrap();
        let (api, s3) = (environment.aws.base_url(), environment.bucket.base_url());
        let aws = Clients::local(&api, &s3).await;
        let reach = Reach::new(Client::new(config).unwrap(), aws.clone());
        let deployer = Arc::new(Deployer::new(reach.clone()));
        Self {
            mirrors: Mirrors::new(Survey::new(reach), deployer.clone(), aws, pending()),
            handler: Handler::new(deployer, Delivery::new(true).unwrap()),
            environment,
            folder,
        }
    }

    async fn call(&self, seconds: f64, more: Value) -> Result<Value, Error> {
        let mut event = json!({ "LongshoreVersion": 1, "Run": { "Bucket": BUCKET, "Id": "run" } });
        let (event, more) = (event.as_object_mut().unwrap(), more);
        event.extend(more.as_object().unwrap().clone());
        let event = RawValue::from_string(json!(event).to_string()).unwrap();
        let call = Call::read(&event).unwrap().unwrap();
        let invocation = Invocation {
            id: "invocation".to_owned(),
            deadline: Instant::now() + Duration::from_secs_f64(seconds),
            function: String::new(),
            log_group: String::new(),
        };
        self.mirrors.run(call, &self.handler, &invocation).await
    }

    fn list(&self, list: &str) {
        let folder = self.folder.path().join("runs/run");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("list"), list).unwrap();
    }

    fn object(&self, name: &str) -> Value {
        let path = self.folder.path().join("runs/run").join(name);
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }
}

#[tokio::test]
async fn a_plan_that_takes_longer_than_an_invocation_goes_on_in_the_next() {
    let world = World::new().await;
    let tags: Vec<String> = (0..150).map(|tag| format!("1.{tag}")).collect();
    let names: Vec<&str> = tags.iter().map(String::as_str).collect();
    let source = Registry::start(RegistryOptions::default()).await.unwrap();
    Fleet::image(&source, "app", "an image", &names).await;
    let slow = Fault::delay(Duration::from_millis(400)).on("HEAD", "/v2/app/manifests/");
    source.faults().add(slow.times(1000));
    let address = source.address().to_string();
    world.list(&format!(
        "sync:\n- source: {address}/app\n  tags: {{}}\n  destination: {HOST}/copy\n"
    ));

    let (mut cursor, mut pages, mut items) = (Value::Null, 0, Vec::new());
    loop {
        let plan = json!({ "Operation": "plan", "Cursor": cursor });
        let page = world.call(2.5, plan).await.unwrap();
        for group in page["Groups"].as_array().unwrap() {
            assert_eq!(group["Registry"], address);
            let key = group["Key"].as_str().unwrap();
            let of_page = world.object(key.strip_prefix("runs/run/").unwrap());
            assert_eq!(of_page.as_array().unwrap().len(), group["Count"]);
            items.extend(of_page.as_array().unwrap().clone());
        }
        pages += 1;
        cursor = page["Next"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert!(pages > 2, "{pages} pages");
    let mut sources: Vec<&str> = items
        .iter()
        .map(|item| item["Source"].as_str().unwrap())
        .collect();
    let mut ids: Vec<&str> = items
        .iter()
        .map(|item| item["Id"].as_str().unwrap())
        .collect();
    for names in [&mut sources, &mut ids] {
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 150, "each image is in one page");
    }
}

#[tokio::test]
async fn one_item_is_copied_and_reported() {
    let world = World::new().await;
    Fleet::image(&world.environment.registry, "app", "an image", &["1", "2"]).await;
    world.list(&format!(
        "sync:\n- source: {HOST}/app\n  tags: ['1', '2', '3']\n  destination: {HOST}/copy\n"
    ));
    let page = world
        .call(30.0, json!({ "Operation": "plan" }))
        .await
        .unwrap();
    assert_eq!(page["Groups"][0]["Count"], 2);
    let items = world.object("items/0000-0.json");
    let copy = json!({ "Operation": "copy", "Item": items[0], "Checkpoint": null });
    let done = world.call(30.0, copy).await.unwrap();
    assert_eq!(done["Status"], "done", "{done}");
    assert!(done["BytesUploaded"].as_u64().unwrap() > 0, "{done}");
    assert_eq!(
        done["Detail"]["destinations"],
        json!([format!("{HOST}/copy:1")])
    );
    let caught =
        json!({ "Error": "Longshore.Denied", "Cause": r#"{"errorMessage":"it is denied"}"# });
    let record = json!({ "Operation": "record", "Item": items[1], "Error": caught });
    world.call(30.0, record).await.unwrap();

    for _twice in 0..2 {
        let report = json!({ "Operation": "report", "Error": null });
        let reported = world.call(30.0, report).await.unwrap();
        assert_eq!(reported["Status"], "failed", "{reported}");
        let report = world.object("report.json");
        let totals = &report["Totals"];
        assert_eq!(
            (&totals["Images"], &totals["Copied"], &totals["Failed"]),
            (&json!(3), &json!(1), &json!(2))
        );
        let failed = report["Failed"].as_array().unwrap();
        let mut named: Vec<_> = failed
            .iter()
            .map(|failed| failed["Error"].as_str().unwrap())
            .collect();
        named.sort_unstable();
        assert_eq!(named, ["Longshore.Denied", "Longshore.SourceMissing"]);
    }
    let ledger =
        std::fs::read_to_string(world.folder.path().join("mirrors/mirror/ledger.json")).unwrap();
    assert!(
        ledger.contains("/copy:1") && !ledger.contains("/copy:2"),
        "{ledger}"
    );
}

#[tokio::test]
async fn what_is_wrong_is_told_with_its_kind_and_before_anything_moves() {
    let world = World::new().await;
    Fleet::image(&world.environment.registry, "app", "an image", &["1"]).await;
    world.environment.registry.reset();
    let role = "arn:aws:iam::210987654321:role/unknown";
    world.list(&format!(
        "sync:\n- source: {HOST}/app:1\n  destinations: [{{destination: {HOST}/copy, roleArn: {role}}}]\n\
         - source: {HOST}/app\n  tags: {{allow: [x]}}\n  destination: {HOST}/other\n"
    ));
    let error = world
        .call(30.0, json!({ "Operation": "plan" }))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    let told = error.shown();
    for part in ["line 2, sync[0]", role, "line 4, sync[1]", "matches none"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let requests = world.environment.registry.requests();
    assert!(
        requests.iter().all(|request| request.method == "GET"),
        "{requests:?}"
    );

    let call = json!({ "Operation": "plan", "Run": { "Bucket": BUCKET, "Id": "other" } });
    let error = world.call(30.0, call).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(
        error
            .shown()
            .contains("no list at s3://mirror/runs/other/list"),
        "{}",
        error.shown()
    );
}

impl World {
    /// A whole run, as the state machine makes it. Returns its report.
    async fn whole(&self, id: &str, mode: &str, list: &str) -> Value {
        let input = json!({ "Mirror": "fleet", "Mode": mode });
        let run = json!({ "Bucket": BUCKET, "Id": id, "Input": input });
        let folder = self.folder.path().join("runs").join(id);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("list"), list).unwrap();
        let call = async |more: Value| {
            let mut call = json!({ "Run": run });
            let fields = call.as_object_mut().unwrap();
            fields.extend(more.as_object().unwrap().clone());
            self.call(30.0, call).await.unwrap()
        };
        let mut cursor = Value::Null;
        loop {
            let page = call(json!({ "Operation": "plan", "Cursor": cursor })).await;
            for group in page["Groups"].as_array().unwrap() {
                let key = self.folder.path().join(group["Key"].as_str().unwrap());
                let items: Vec<Value> =
                    serde_json::from_slice(&std::fs::read(key).unwrap()).unwrap();
                for item in items {
                    call(json!({ "Operation": "copy", "Item": item })).await;
                }
            }
            cursor = page["Next"].clone();
            if cursor.is_null() {
                break;
            }
        }
        call(json!({ "Operation": "report", "Error": null })).await;
        serde_json::from_slice(&std::fs::read(folder.join("report.json")).unwrap()).unwrap()
    }
}

#[tokio::test]
async fn a_run_prunes_what_a_former_one_wrote_and_a_mirror_that_goes_all_of_it() {
    let world = World::new().await;
    let registry = &world.environment.registry;
    for tag in ["1", "2", "3"] {
        Fleet::image(registry, "app", tag, &[tag]).await;
    }
    Fleet::image(registry, "copy", "of others", &["theirs"]).await;
    let list = |tags: &str, share: u32| {
        format!(
            "prune: {{maxShare: {share}}}\nsync:\n- source: {HOST}/app\n  tags: [{tags}]\n  destination: {HOST}/copy\n"
        )
    };
    let first = world
        .whole("first", "sync", &list("'1', '2', '3'", 40))
        .await;
    assert_eq!(first["Totals"]["Copied"], 3, "{first:#}");

    let too_much = world.whole("second", "sync", &list("'1'", 40)).await;
    assert_eq!(too_much["Totals"]["Pruned"], 0, "{too_much:#}");
    let withheld = too_much["Pruned"]["Withheld"].as_str().unwrap();
    assert!(withheld.contains("2 of the 3 tags"), "{withheld}");

    let dry = world.whole("third", "dry-run", &list("'1', '2'", 40)).await;
    assert_eq!(dry["Totals"]["Pruned"], 0);
    assert_eq!(dry["Totals"]["Extra"], 2, "{dry:#}");
    let pruned = world.whole("fourth", "sync", &list("'1', '2'", 40)).await;
    assert_eq!(
        pruned["Pruned"]["Removed"],
        json!([format!("{HOST}/copy:3")])
    );
    let there = async |tag: &str| digest(registry, "copy", tag).await.is_some();
    assert!(there("1").await && there("2").await && there("theirs").await);
    assert!(!there("3").await);

    // Somebody else has moved one of the two since.
    Fleet::image(registry, "copy", "of others", &["2"]).await;
    let removed = world.whole("fifth", "remove", "").await;
    assert_eq!(removed["Totals"]["Pruned"], 2, "{removed:#}");
    assert!(!there("1").await);
    assert!(
        there("2").await && there("theirs").await,
        "only what the mirror wrote"
    );
}
