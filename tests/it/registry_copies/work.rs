//! What is not done again, not moved and not asked for.

use super::*;

#[tokio::test]
async fn one_change_moves_only_what_is_new() {
    let world = World::new().await;
    let root = two_platforms(&world.images).await;
    world.images.tag("1", &root).await;
    world.copy(Referrers::None).await;

    let new = world.images.blob(MediaType::OCI_LAYER_GZIP, "new").await;
    let s390x = world.images.image("linux/s390x", &[&new]).await;
    let more = index(&[json!(root.descriptor()), entry(&s390x, "linux/s390x")]);
    let more = world.images.manifest(MediaType::OCI_INDEX, &more).await;
    world.images.tag("1", &more).await;
    let (deployed, report) = world.copy(Referrers::None).await;
    assert_eq!(deployed.digest, *more.digest());
    assert_eq!((report.blobs_uploaded, report.manifests_pushed), (2, 2));
    let asked = world.origin.requests();
    assert_eq!(asked.len(), 4, "two manifests and two blobs: {asked:#?}");
}

#[tokio::test]
async fn blobs_of_another_repository_are_mounted_and_not_read() {
    let world = World::between(RegistryOptions::default(), |destination| {
        destination.mounts = Mounts::Referenced;
    })
    .await;
    let root = two_platforms(&world.images).await;
    world.images.tag("1", &root).await;
    world.copy(Referrers::None).await;
    let again = image(&format!("{HOST}/app:1"), "other:1");
    let (deployed, report) = world.bench.deploy(&again).await;
    assert_eq!(deployed.digest, *root.digest());
    assert_eq!((report.blobs_mounted, report.blobs_uploaded), (6, 0));
    let asked = world.bench.registry_requests();
    assert_eq!(count(&asked, "POST", "/blobs/uploads/"), 6);
    assert_eq!(count(&asked, "GET", "/v2/app/blobs/"), 0);
    assert_eq!(count(&asked, "PATCH", ""), 0);
}

#[tokio::test]
async fn a_refused_mount_opens_no_second_session() {
    let world = World::new().await;
    let root = two_platforms(&world.images).await;
    world.images.tag("1", &root).await;
    world.copy(Referrers::None).await;
    let again = image(&format!("{HOST}/app:1"), "other:1");
    let (_, report) = world.bench.deploy(&again).await;
    assert_eq!((report.blobs_mounted, report.blobs_uploaded), (0, 6));
    let asked = world.bench.registry_requests();
    assert_eq!(count(&asked, "POST", "/blobs/uploads/"), 6);
}

#[tokio::test]
async fn a_registry_that_takes_few_manifests_a_second_is_not_run_into() {
    // The destination takes ten, as ECR does.
    let world = World::new().await;
    let mut entries = Vec::new();
    for number in 0..24 {
        let layer = world
            .images
            .blob(MediaType::OCI_LAYER_GZIP, format!("{number}"));
        let image = world.images.image("linux/amd64", &[&layer.await]).await;
        entries.push(entry(&image, "linux/amd64"));
    }
    let root = world
        .images
        .manifest(MediaType::OCI_INDEX, &index(&entries))
        .await;
    world.images.tag("1", &root).await;
    let (_, report) = world.copy(Referrers::None).await;
    assert_eq!(report.manifests_pushed, 25);
    let asked = world.bench.registry_requests();
    assert_eq!(asked.iter().filter(|r| r.status == 429).count(), 0);
}
