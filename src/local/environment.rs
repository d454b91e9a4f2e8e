//! All stand-ins together.

use std::collections::BTreeMap;
use std::io;

use super::{AwsApi, AwsApiOptions, Bucket, BucketOptions, Registry, RegistryOptions};
use crate::redact::Secret;

/// The settings that [`Environment::start`] takes.
#[derive(Clone, Debug)]
pub struct EnvironmentOptions {
    /// The registry that stands for ECR. By default it behaves like ECR, but takes everyone and
    /// makes repositories when they are pushed to.
    pub registry: RegistryOptions,
    /// The object store. By default it has no bucket.
    pub bucket: BucketOptions,
    /// The other AWS services.
    pub aws: AwsApiOptions,
    /// The region that AWS clients are told.
    pub region: String,
}

impl Default for EnvironmentOptions {
    fn default() -> Self {
        Self {
            registry: RegistryOptions {
                auth: super::Auth::None,
                create_on_push: true,
                ..RegistryOptions::ecr(Secret::new(""))
            },
            bucket: BucketOptions::default(),
            aws: AwsApiOptions::default(),
            region: "us-east-1".to_owned(),
        }
    }
}

/// The stand-ins for all that a deployment works with, running together.
pub struct Environment {
    /// ECR's registries.
    pub registry: Registry,
    /// S3.
    pub bucket: Bucket,
    /// ECR's API, Secrets Manager, STS and Lambda's `Invoke`.
    pub aws: AwsApi,
    region: String,
}

impl Environment {
    /// Starts all of them. Fails where an address is taken or a folder cannot be written.
    pub async fn start(options: EnvironmentOptions) -> io::Result<Self> {
        let registry = Registry::start(options.registry).await?;
        Ok(Self {
            bucket: Bucket::start(options.bucket).await?,
            aws: AwsApi::start(options.aws, &registry).await?,
            registry,
            region: options.region,
        })
    }

    /// The environment variables that make Longshore and the AWS SDKs use these stand-ins.
    pub fn variables(&self) -> BTreeMap<&'static str, String> {
        let registry = self.registry.base_url();
        BTreeMap::from([
            ("AWS_ENDPOINT_URL", self.aws.base_url()),
            ("AWS_ENDPOINT_URL_S3", self.bucket.base_url()),
            ("AWS_ACCESS_KEY_ID", "AKIALOCALLOCALLOCAL0".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
            ("AWS_REGION", self.region.clone()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            (
                "LONGSHORE_REGISTRY_OVERRIDE",
                format!("*.dkr.ecr.*.amazonaws.com={registry}"),
            ),
            ("LONGSHORE_ALLOW_LOOPBACK", "1".to_owned()),
        ])
    }

    /// Stops all of them, when their requests under way are done.
    pub async fn stop(self) {
        self.registry.stop().await;
        self.bucket.stop().await;
        self.aws.stop().await;
    }
}
