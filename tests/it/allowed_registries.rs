//! A function that may read from some registries, and write to some, asks no others.

use std::sync::Arc;

use longshore::deploy::{Access, AllowedRegistries, Deploy, PushedImage};
use longshore::local::EnvironmentOptions;
use longshore::oci::{Digest, Reference};

use crate::support::{Archive, Bench, image};

/// A registry that is on this machine and is not ECR.
async fn bench(sources: &str, destinations: &str) -> Bench {
    let allowed = AllowedRegistries::from_env(|name| match name {
        "LONGSHORE_SOURCE_REGISTRIES" => Some(sources.to_owned()),
        "LONGSHORE_DESTINATION_REGISTRIES" => Some(destinations.to_owned()),
        _ => None,
    });
    Bench::allowing(allowed.unwrap(), EnvironmentOptions::default()).await
}

async fn failure(bench: &Bench, source: &str, destination: &str) -> String {
    let mut image = image(source, "app:1");
    let destination: Reference = destination.parse().unwrap();
    image.targets[0].repository = destination.repository().clone();
    let error = bench.deployer.run(&image, &Arc::default()).await;
    error.unwrap_err().to_string()
}

#[tokio::test]
async fn what_the_function_reads_goes_to_no_other_registry() {
    let bench = bench("any", "ecr").await;
    let source = bench.stage("example.tar", &Archive::of(&[b"a secret"]).tar());
    let other = format!("{}/app", bench.environment.registry.address());
    let error = failure(&bench, &source, &other).await;
    assert!(error.contains("DestinationRegistries"), "{error}");
    assert!(error.contains(&other), "{error}");
    assert!(bench.environment.registry.requests().is_empty());
}

#[tokio::test]
async fn an_image_comes_from_no_other_registry() {
    let bench = bench("quay.io,ecr", "ecr").await;
    let other = format!("{}/app:1", bench.environment.registry.address());
    let destination = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app";
    let error = failure(&bench, &other, destination).await;
    assert!(error.contains("SourceRegistries"), "{error}");
    assert!(bench.environment.registry.requests().is_empty());
}

#[tokio::test]
async fn a_delete_of_what_was_never_allowed_succeeds_and_asks_nobody() {
    let bench = bench("any", "ecr").await;
    let other = format!("{}/app", bench.environment.registry.address());
    let other: Reference = other.parse().unwrap();
    let digest = Digest::sha256(b"never pushed");
    let pushed = PushedImage {
        repository: other.repository().clone(),
        digest,
        tags: vec!["1".parse().unwrap()],
        kept: Vec::new(),
        access: Access::default(),
    };
    bench.deployer.remove(&pushed).await.unwrap();
    bench.deployer.untag(&pushed).await.unwrap();
    assert!(bench.environment.registry.requests().is_empty());
}
