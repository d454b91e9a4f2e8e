//! A fleet of 200 images over two registries, mirrored by the template's state machine and this
//! crate's function, of which there are several instances.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use longshore::local::Fault;
use longshore::oci::MediaType;
use serde_json::{Value, json};

use super::fleet::Fleet;
use crate::support::{BUCKET, Emulator, Images, StepFunctions, bootstrap};

/// Seconds of one invocation. The large image takes three.
const SECONDS: &str = "8";
/// A layer of the large image, and how fast it comes: two do not fit into one invocation.
const LAYER: usize = 1 << 20;
const BYTES_PER_SECOND: u64 = 210_000;

struct World {
    fleet: Fleet,
    states: StepFunctions,
}

impl World {
    async fn new() -> Self {
        let states = StepFunctions::emulated(|aws| {
            let environment = [
                ("AWS_ENDPOINT_URL", aws),
                ("AWS_LAMBDA_FUNCTION_TIMEOUT", SECONDS),
                ("LONGSHORE_ALLOW_LOOPBACK", "1"),
                ("LONGSHORE_DESTINATION_REGISTRIES", "127.0.0.1:*"),
            ];
            let emulators = (0..4).map(|_| Emulator::start(&bootstrap(), &environment));
            emulators.collect()
        })
        .await;
        Self {
            fleet: Fleet::new().await,
            states,
        }
    }

    /// 100 images in one registry and 97 in the other, of which one is large.
    async fn fill(&self) {
        for repository in 0..5 {
            for tag in 0..20 {
                let name = format!("one/app-{repository}");
                let text = format!("{name} {tag}");
                Fleet::image(&self.fleet.one, &name, &text, &[&format!("1.{tag}")]).await;
            }
            for tag in 0..19 {
                let name = format!("other/app-{repository}");
                let text = format!("{name} {tag}");
                Fleet::image(&self.fleet.other, &name, &text, &[&format!("1.{tag}")]).await;
            }
        }
        for name in ["busy", "denied"] {
            Fleet::image(&self.fleet.other, name, name, &["1"]).await;
        }
        self.large().await;
    }

    /// An image of three layers, each of which takes most of an invocation.
    async fn large(&self) {
        let images = Images::at(self.fleet.other.address(), "large");
        let mut layers = Vec::new();
        for byte in 1..=3 {
            let layer = images.blob(MediaType::OCI_LAYER, vec![byte; LAYER]).await;
            let slowly = Fault::pace(NonZeroU64::new(BYTES_PER_SECOND).unwrap());
            let path = format!("/blobs/{}", layer.digest);
            self.fleet
                .other
                .faults()
                .add(slowly.on("GET", &path).times(100));
            layers.push(layer);
        }
        let layers: Vec<_> = layers.iter().collect();
        let image = images.image("linux/amd64", &layers).await;
        images.tag("1", &image).await;
    }

    /// The list, with what cannot be copied or without it.
    fn list(&self, with_failures: bool) -> Value {
        let (one, other) = (self.fleet.one.address(), self.fleet.other.address());
        let repository =
            |registry: String| json!({ "Source": registry, "Tags": { "Semver": ">=1" } });
        let mut sync: Vec<Value> = (0..5)
            .flat_map(|number| {
                [
                    repository(format!("{one}/one/app-{number}")),
                    repository(format!("{other}/other/app-{number}")),
                ]
            })
            .collect();
        sync.push(json!({ "Source": format!("{other}/busy:1"), "Retry": 1 }));
        sync.push(json!({ "Source": format!("{other}/large:1"), "MaxConcurrency": 1 }));
        if with_failures {
            sync.push(json!({ "Source": format!("{other}/denied:1") }));
            sync.push(json!({ "Source": format!("{one}/one/app-0"), "Tags": ["3.0"] }));
            sync.push(json!({ "Source": format!("{other}/missing:1") }));
        }
        json!({
            "Defaults": {
                "Destinations": [{ "Registry": self.fleet.destination.address().to_string() }],
                "Template": "{registry}/mirror/{repository}:{tag}",
            },
            "Sync": sync,
        })
    }

    async fn report(&self, run: &str) -> Value {
        let key = format!("runs/{run}/report.json");
        let (_, report) = self.states.moto.object(BUCKET, &key).await;
        serde_json::from_slice(&report).unwrap()
    }

    /// How often each image was copied, or tried.
    fn copies(&self) -> BTreeMap<String, usize> {
        let mut copies = BTreeMap::new();
        for call in self.states.calls("copy") {
            let source = call["Item"]["Source"].as_str().unwrap().to_owned();
            *copies.entry(source).or_default() += 1;
        }
        copies
    }
}

#[tokio::test]
#[ignore = "needs real parts: run scripts/test"]
async fn the_report_is_exact_and_a_second_run_copies_nothing() {
    let world = World::new().await;
    world.fill().await;
    let other = world.fleet.other.address();
    let faults = world.fleet.other.faults();
    let busy = Fault::answer(429).on("GET", "/v2/busy/manifests/");
    faults.add(busy.times(1));
    let denied = Fault::answer(403).on("GET", "/v2/denied/manifests/");
    faults.add(denied.times(100));

    let input = json!({ "Mirror": "fleet", "List": world.list(true) });
    let ended = world.states.run("first", input).await;
    assert_eq!(ended["status"], "FAILED", "{ended}");
    let report = world.report("first").await;
    let totals = &report["Totals"];
    for (name, count) in [
        ("Images", 200),
        ("Current", 0),
        ("Copied", 197),
        ("Failed", 3),
    ] {
        assert_eq!(totals[name], count, "{name}: {totals}");
    }
    let failed = report["Failed"].as_array().unwrap().iter();
    let mut failed: Vec<(String, String)> = failed
        .map(|failed| {
            let text = |name: &str| failed[name].as_str().unwrap().to_owned();
            (text("Source"), text("Error"))
        })
        .collect();
    failed.sort();
    let expected = [
        (
            format!("{}/one/app-0:3.0", world.fleet.one.address()),
            "Longshore.SourceMissing",
        ),
        (format!("{other}/denied:1"), "Longshore.Denied"),
        (format!("{other}/missing:1"), "Longshore.SourceMissing"),
    ];
    let mut expected = expected.map(|(source, error)| (source, error.to_owned()));
    expected.sort();
    assert_eq!(failed, expected);
    let copies = world.copies();
    assert_eq!(
        copies[&format!("{other}/large:1")],
        3,
        "it takes three invocations"
    );
    assert_eq!(copies[&format!("{other}/busy:1")], 2, "it is tried again");
    assert_eq!(copies[&format!("{other}/denied:1")], 1, "it is not");
    assert_eq!(copies.values().sum::<usize>(), 198 + 2 + 1);
    assert_eq!(world.states.events().len(), 198, "an event for each item");
    assert_eq!(world.states.published().len(), 1);

    world.fleet.reset();
    let input = json!({ "Mirror": "fleet", "List": world.list(false) });
    let ended = world.states.run("second", input.clone()).await;
    assert_eq!(ended["status"], "SUCCEEDED", "{ended}");
    let totals = &world.report("second").await["Totals"];
    assert_eq!(
        (&totals["Current"], &totals["Copied"]),
        (&json!(197), &json!(0))
    );
    let requests = world.fleet.requests();
    // A HEAD on either side of each image; the tags of ten sources and twelve destinations; the
    // first look of two invocations at three registries.
    let most = 2 * 197 + 10 + 12 + 2 * 3;
    assert!(requests.len() <= most, "{} requests", requests.len());

    Fleet::image(&world.fleet.one, "one/app-3", "another image", &["1.7"]).await;
    let before = world.states.calls("copy").len();
    world.states.run("third", input).await;
    let report = world.report("third").await;
    assert_eq!(report["Totals"]["Copied"], 1, "{report:#}");
    assert_eq!(report["Copied"][0]["Why"], "moved");
    assert_eq!(world.states.calls("copy").len(), before + 1);
}
