//! A deployer on the embedded stand-ins, whose requests can be counted.

use std::sync::Arc;

use longshore::aws::Clients;
use longshore::copy::{Meter, Report};
use longshore::deploy::{
    self, AllowedRegistries, Deployed, Deployer, Image, Reach, RemovalPolicy, Target,
};
use longshore::local::{BucketOptions, Environment, EnvironmentOptions, RequestRecord};
use longshore::oci::Reference;
use longshore::registry::Client;

/// The registry host that the stand-in stands for.
pub(crate) const HOST: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
/// The bucket.
const BUCKET: &str = "images";

/// The stand-ins and a deployer that works on them.
pub(crate) struct Bench {
    pub(crate) environment: Environment,
    pub(crate) deployer: Deployer,
    folder: tempfile::TempDir,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(EnvironmentOptions::default()).await
    }

    pub(crate) async fn with(options: EnvironmentOptions) -> Self {
        Self::allowing(AllowedRegistries::any(), options).await
    }

    /// A deployer that reads from and writes to these registries only.
    pub(crate) async fn allowing(
        allowed: AllowedRegistries,
        mut options: EnvironmentOptions,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let bucket = BucketOptions::folder(BUCKET, folder.path());
        options.bucket.folders.extend(bucket.folders);
        let environment = Environment::start(options).await.expect("stand-ins");
        let variables = environment.variables();
        let config = deploy::registry_config(|name| variables.get(name).cloned());
        let registries = Client::new(config.expect("a configuration")).expect("a client");
        let web = deploy::web_config(|name| match name {
            "LONGSHORE_HTTPS_SOURCES" => Some("127.0.0.1:*".to_owned()),
            name => variables.get(name).cloned(),
        });
        let (api, s3) = (environment.aws.base_url(), environment.bucket.base_url());
        let reach = Reach::new(registries, Clients::local(&api, &s3).await)
            .with_web(web.expect("a list of hosts"))
            .with_allowed(allowed);
        Self {
            environment,
            deployer: Deployer::new(reach),
            folder,
        }
    }

    /// Puts an object into the bucket. Returns its name as a source.
    pub(crate) fn stage(&self, key: &str, bytes: &[u8]) -> String {
        std::fs::write(self.folder.path().join(key), bytes).expect("an object");
        format!("s3://{BUCKET}/{key}")
    }

    /// Where the bucket serves an object to everyone, if it does.
    pub(crate) fn url(&self, key: &str) -> String {
        format!("{}/{BUCKET}/{key}", self.environment.bucket.base_url())
    }

    /// Deploys an image, after which only its requests are counted.
    pub(crate) async fn deploy(&self, image: &Image) -> (Deployed, Report) {
        self.environment.registry.reset();
        self.environment.bucket.reset();
        let meter = Arc::new(Meter::default());
        let deployed = self.deployer.run(image, &meter).await;
        (deployed.expect("a deployment"), meter.report())
    }

    /// What the registry was asked, without what its redirects led to.
    pub(crate) fn registry_requests(&self) -> Vec<RequestRecord> {
        let mut requests = self.environment.registry.requests();
        requests.retain(|request| request.path.starts_with("/v2/"));
        requests
    }

    /// Bytes that the bucket sent.
    pub(crate) fn bytes_of_bucket(&self) -> u64 {
        let requests = self.environment.bucket.requests();
        requests.iter().map(|request| request.bytes_out).sum()
    }
}

/// An image with nothing but its two ends, the destination as `name[:tag]`.
pub(crate) fn image(source: &str, destination: &str) -> Image {
    let destination: Reference = format!("{HOST}/{destination}")
        .parse()
        .expect("a reference");
    let source = source.parse().expect("a source");
    Image {
        targets: vec![Target::of(&destination)],
        removal: RemovalPolicy::Delete,
        ..Image::new(source, destination.repository().clone())
    }
}
