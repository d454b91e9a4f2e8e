//! A redeploy costs what changed: requests and bytes, counted on the embedded stand-ins.

use longshore::deploy::{Deploy, PushedImage};
use longshore::oci::Reference;

use crate::support::{Archive, Bench, HOST, image};

const LAYER: usize = 2_000_000;

/// Six layers that compress badly, the last of them as `last` says.
fn archive(last: u8) -> Archive {
    let layers: Vec<Vec<u8>> = (0..6)
        .map(|layer| noise(if layer == 5 { last } else { layer }))
        .collect();
    let layers: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
    Archive::of(&layers)
}

fn noise(seed: u8) -> Vec<u8> {
    let mut state = u64::from(seed) + 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..LAYER).map(|_| next()).collect()
}

#[tokio::test]
async fn an_unchanged_archive_moves_no_layer() {
    let bench = Bench::new().await;
    let image = image(&bench.stage("app.tar", &archive(5).tar()), "app:1");
    let (first, _) = bench.deploy(&image).await;
    let (second, report) = bench.deploy(&image).await;

    assert_eq!(second, first);
    assert_eq!((report.bytes_uploaded, report.manifests_pushed), (0, 0));
    assert!(
        bench.bytes_of_bucket() < LAYER as u64,
        "headers and documents only"
    );
    let requests = bench.registry_requests();
    assert!(requests.len() <= 3, "{requests:#?}");
}

#[tokio::test]
async fn one_changed_layer_of_six_is_all_that_moves() {
    let bench = Bench::new().await;
    let old = image(&bench.stage("old.tar", &archive(5).tar()), "app:1");
    let (first, whole) = bench.deploy(&old).await;
    // Another tag: the previous image of the resource tells what is there.
    let mut new = image(&bench.stage("new.tar", &archive(9).tar()), "app:2");
    new.previous = Some(first.digest);
    let (_, report) = bench.deploy(&new).await;

    assert_eq!(report.blobs_reused, 5);
    assert_eq!(report.blobs_uploaded, 2, "the layer and the config");
    let sixth = whole.bytes_uploaded / 6;
    assert!(report.bytes_uploaded <= sixth + sixth / 100, "{report:?}");
    let layer = (LAYER + 3 * 512) as u64;
    let headers = 2 * 256 * 1024;
    assert!(
        bench.bytes_of_bucket() <= layer + layer / 100 + headers,
        "{report:?}"
    );
}

#[tokio::test]
async fn layers_of_an_image_named_in_reuse_from_are_not_read() {
    let bench = Bench::new().await;
    let base = image(&bench.stage("base.tar", &archive(5).tar()), "base:1");
    bench.deploy(&base).await;
    let mut new = image(&bench.stage("new.tar", &archive(9).tar()), "other:1");
    new.reuse_from = vec![format!("{HOST}/base:1").parse().unwrap()];
    let (_, report) = bench.deploy(&new).await;

    // The stand-in does not mount, as ECR does not by default: the compressed blobs are copied.
    assert_eq!(report.blobs_uploaded + report.blobs_mounted, 7);
    let layer = (LAYER + 3 * 512) as u64;
    assert!(
        bench.bytes_of_bucket() <= layer + layer / 100 + 2 * 256 * 1024,
        "{report:?}"
    );
}

#[tokio::test]
async fn the_same_archive_is_the_same_digest_in_every_repository() {
    let bench = Bench::new().await;
    let source = bench.stage("app.tar", &archive(5).tar());
    let (one, _) = bench.deploy(&image(&source, "one:1")).await;
    let (two, _) = bench.deploy(&image(&source, "two:1")).await;
    assert_eq!(one.digest, two.digest);
}

#[tokio::test]
async fn a_second_copy_between_registries_is_three_requests() {
    let bench = Bench::new().await;
    let staged = image(&bench.stage("app.tar", &archive(5).tar()), "source:1");
    let (origin, _) = bench.deploy(&staged).await;
    let copy = image(&format!("{HOST}/source:1"), "copied:1");
    let (first, report) = bench.deploy(&copy).await;
    assert_eq!(first.digest, origin.digest);
    assert_eq!(report.blobs_uploaded + report.blobs_mounted, 7);

    let (second, report) = bench.deploy(&copy).await;
    assert_eq!(second, first);
    assert_eq!(report.bytes_uploaded, 0);
    let requests = bench.registry_requests();
    assert!(requests.len() <= 3, "{requests:#?}");
}

#[tokio::test]
async fn removal_leaves_what_a_foreign_tag_names() {
    let bench = Bench::new().await;
    let source = bench.stage("app.tar", &archive(5).tar());
    let (own, _) = bench.deploy(&image(&source, "app:own")).await;
    bench.deploy(&image(&source, "app:foreign")).await;
    let pushed = PushedImage {
        repository: own.first().repository.clone(),
        digest: own.digest.clone(),
        tags: own.first().tags.clone(),
        kept: Vec::new(),
        access: longshore::deploy::Access::default(),
    };
    bench.deployer.remove(&pushed).await.unwrap();
    let is_there = async |tag: &str| {
        let reference: Reference = format!("{HOST}/app:{tag}").parse().unwrap();
        let copy = image(&reference.to_string(), "elsewhere");
        let meter = std::sync::Arc::default();
        bench.deployer.run(&copy, &meter).await.is_ok()
    };
    assert!(!is_there("own").await);
    assert!(is_there("foreign").await);

    let pushed = PushedImage {
        tags: vec!["foreign".parse().unwrap()],
        ..pushed
    };
    bench.deployer.remove(&pushed).await.unwrap();
    assert!(!is_there("foreign").await);
    bench
        .deployer
        .remove(&pushed)
        .await
        .expect("what is gone is removed already");
}

#[tokio::test]
async fn an_image_keeps_its_last_tag_rather_than_go_with_it() {
    let bench = Bench::new().await;
    let mut image = image(&bench.stage("app.tar", &archive(5).tar()), "app:1");
    image.targets[0].tags.push("2".parse().unwrap());
    let (own, _) = bench.deploy(&image).await;
    let pushed = PushedImage {
        repository: own.first().repository.clone(),
        digest: own.digest.clone(),
        tags: own.first().tags.clone(),
        kept: Vec::new(),
        access: longshore::deploy::Access::default(),
    };
    bench.deployer.untag(&pushed).await.unwrap();

    let by_digest = crate::support::image(&own.uri(), "elsewhere");
    let meter = std::sync::Arc::default();
    bench
        .deployer
        .run(&by_digest, &meter)
        .await
        .expect("the image is still there");
}
