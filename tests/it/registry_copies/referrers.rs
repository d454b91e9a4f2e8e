//! Signatures and SBOMs that stand beside an image.

use super::*;

/// An index with an SBOM about one of its images, a signature of the SBOM, and cosign's tags.
async fn signed(world: &World) -> (RawManifest, Vec<RawManifest>) {
    let images = &world.images;
    let layer = images.blob(MediaType::OCI_LAYER_GZIP, "layer").await;
    let child = images.image("linux/amd64", &[&layer]).await;
    let root = index(&[entry(&child, "linux/amd64")]);
    let root = images.manifest(MediaType::OCI_INDEX, &root).await;
    images.tag("1", &root).await;
    let sbom = images.about(&child, "an SBOM").await;
    let signature = images.about(&sbom, "a signature").await;
    let by_cosign = images.image("linux/amd64", &[&layer]).await;
    images
        .tag(&format!("sha256-{}.sig", root.digest().hex()), &by_cosign)
        .await;
    (root, vec![sbom, signature])
}

#[tokio::test]
async fn signatures_and_sboms_go_along_and_are_found_again() {
    for source in [local::Referrers::Api, local::Referrers::Missing] {
        let origin = RegistryOptions {
            referrers: source,
            ..RegistryOptions::default()
        };
        // The destination answers 405 to who asks for referrers.
        let world = World::between(origin, |_| ()).await;
        let (root, referrers) = signed(&world).await;
        let (deployed, report) = world.copy(Referrers::Copy).await;
        assert_eq!(deployed.digest, *root.digest());
        assert_eq!(report.referrers_refused, 0);
        for referrer in &referrers {
            assert!(world.has(referrer).await, "{source:?}");
        }
        let tag = format!("sha256-{}.sig", root.digest().hex());
        assert!(world.tagged(&tag).await.is_some(), "{source:?}");

        let there = world.destination().repository;
        let signatures = longshore::content::Source::referrers(&there, referrers[0].digest());
        let found = signatures.await.unwrap();
        assert_eq!(found[0].digest, *referrers[1].digest(), "{source:?}");

        world.copy(Referrers::None).await;
        let asked = world.origin.requests();
        assert_eq!(count(&asked, "GET", "/referrers/"), 0);
    }
}

#[tokio::test]
async fn referrers_that_are_pushed_together_are_all_listed() {
    let origin = RegistryOptions {
        referrers: local::Referrers::Missing,
        ..RegistryOptions::default()
    };
    let world = World::between(origin, |_| ()).await;
    let layer = world.images.blob(MediaType::OCI_LAYER_GZIP, "layer").await;
    let subject = world.images.image("linux/amd64", &[&layer]).await;
    let mut entries = vec![entry(&subject, "linux/amd64")];
    for text in ["one", "two", "three", "four"] {
        let about = world.images.about(&subject, text).await;
        entries.push(json!(about.descriptor()));
    }
    let list = index(&entries);
    let root = world.images.manifest(MediaType::OCI_INDEX, &list).await;
    world.images.tag("1", &root).await;
    world.copy(Referrers::None).await;
    let there = world.destination().repository;
    let listed = longshore::content::Source::referrers(&there, subject.digest()).await;
    assert_eq!(listed.unwrap().len(), 4);
}

#[tokio::test]
async fn a_registry_that_takes_no_referrers_still_gets_the_image() {
    let world = World::between(RegistryOptions::default(), |destination| {
        destination.refuse_subjects = true;
    })
    .await;
    let (root, referrers) = signed(&world).await;
    let (deployed, report) = world.copy(Referrers::Copy).await;
    assert_eq!(deployed.digest, *root.digest());
    assert!(world.has(&root).await);
    assert_eq!(report.referrers_refused, 1, "what is about it is not tried");
    assert!(!world.has(&referrers[0]).await);
}

#[tokio::test]
async fn a_list_of_referrers_may_name_what_is_gone() {
    let origin = RegistryOptions {
        referrers: local::Referrers::Missing,
        ..RegistryOptions::default()
    };
    let world = World::between(origin, |_| ()).await;
    let (root, referrers) = signed(&world).await;
    let [sbom, signature] = referrers.as_slice() else {
        panic!("two referrers");
    };
    let removed = world.images.repository.delete_manifest(signature.digest());
    removed.await.unwrap();
    let (deployed, _) = world.copy(Referrers::Copy).await;
    assert_eq!(deployed.digest, *root.digest());
    assert!(world.has(sbom).await);
    assert!(!world.has(signature).await);
}
