//! The SDK's clients: made when they are first needed, once for each identity and region.

use std::sync::Arc;

use aws_config::sts::AssumeRoleProvider;
use aws_config::{Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::config::{ResponseChecksumValidation, StalledStreamProtectionConfig};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use tokio::sync::OnceCell;

use super::cache::Cache;
use super::config::{self, DEFAULT_REGION};
use super::explain::Identity;
use super::failure::Failure;
use super::token::TokenCell;
use super::{Arn, Call, Error, Partition, PrivateHost, Role};

/// Clients of AWS under one identity: the function's own, or a role that it took on.
///
/// Cheap to clone. Nothing is sent and no credentials are looked for before the first call.
#[derive(Clone)]
pub struct Clients(Arc<Inner>);

struct Inner {
    config: SdkConfig,
    role: Option<Role>,
    s3: Cache<String, aws_sdk_s3::Client>,
    tokens: Cache<Endpoint, TokenCell>,
    public_token: TokenCell,
    bucket_regions: Cache<String, String>,
    roles: Cache<Role, Arc<OnceCell<Clients>>>,
}

/// Which of a region's endpoints is called.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Endpoint {
    pub(super) region: String,
    pub(super) fips: bool,
    pub(super) dual_stack: bool,
}

impl Endpoint {
    /// The usual endpoint in a region.
    pub(super) fn usual(region: &str) -> Self {
        Self {
            region: region.to_owned(),
            fips: false,
            dual_stack: false,
        }
    }

    /// The endpoint of ECR's API that is like the registry's own.
    pub(super) fn of(host: &PrivateHost) -> Self {
        Self {
            region: host.region.clone(),
            fips: host.fips,
            dual_stack: host.dual_stack,
        }
    }
}

impl Clients {
    /// Clients under the identity and with the settings that the environment and AWS's
    /// configuration files give. Quick, and does not fail where there are no credentials.
    pub async fn load() -> Self {
        Self::load_as(None, None).await
    }

    /// The same, under a profile and in a region that a person names in the place of those.
    pub async fn load_as(profile: Option<&str>, region: Option<&str>) -> Self {
        Self::new(config::from_environment(profile, region).await, None)
    }

    /// Clients of stand-ins for AWS that take any credentials: S3's at `s3`, such as
    /// `http://127.0.0.1:5000`, and that of all others at `api`.
    pub async fn local(api: &str, s3: &str) -> Self {
        Self::new(config::of_stand_ins(api, s3).await, None)
    }

    pub(super) fn new(config: SdkConfig, role: Option<Role>) -> Self {
        Self(Arc::new(Inner {
            config,
            role,
            s3: Cache::default(),
            tokens: Cache::default(),
            public_token: TokenCell::default(),
            bucket_regions: Cache::default(),
            roles: Cache::default(),
        }))
    }

    /// The region that the environment names.
    pub fn region(&self) -> &str {
        let region = self.0.config.region().map(Region::as_ref);
        region.unwrap_or(DEFAULT_REGION)
    }

    /// Clients under `role`, taken on by this identity. Nothing is sent before the first call.
    pub async fn assume(&self, role: &Role) -> Self {
        let cell = self.0.roles.get(role, Arc::default);
        cell.get_or_init(|| self.with_role(role)).await.clone()
    }

    async fn with_role(&self, role: &Role) -> Self {
        let mut provider = AssumeRoleProvider::builder(&role.arn)
            .session_name(&role.session)
            .configure(&self.0.config);
        if self.0.config.region().is_none() {
            let arn: Option<Arn> = role.arn.parse().ok();
            let partition = arn.and_then(|arn| Partition::of_id(&arn.partition));
            let home = partition.map_or(DEFAULT_REGION, |partition| partition.home_region);
            provider = provider.region(Region::from_static(home));
        }
        if let Some(id) = &role.external_id {
            provider = provider.external_id(id);
        }
        let provider = SharedCredentialsProvider::new(provider.build().await);
        let config = self
            .0
            .config
            .to_builder()
            .credentials_provider(provider)
            .build();
        Self::new(config::remembering(config), Some(role.clone()))
    }

    pub(super) fn s3(&self, region: &str) -> aws_sdk_s3::Client {
        self.0.s3.get(region, || {
            let config = aws_sdk_s3::config::Builder::from(&self.0.config)
                .region(Region::new(region.to_owned()))
                .force_path_style(config::needs_path_style(&self.0.config))
                .use_arn_region(true)
                // Layers are checked by their digests, and parts of objects have no checksum.
                .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
                // `content::resuming` watches bodies, and goes on where one stalls.
                .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
                .build();
            aws_sdk_s3::Client::from_conf(config)
        })
    }

    pub(super) fn sts(&self) -> aws_sdk_sts::Client {
        let region = Region::new(self.region().to_owned());
        let config = aws_sdk_sts::config::Builder::from(&self.0.config).region(region);
        aws_sdk_sts::Client::from_conf(config.build())
    }

    /// The configuration of all clients of this identity.
    pub(super) fn config(&self) -> &SdkConfig {
        &self.0.config
    }

    /// The place of the token for the registries of an endpoint.
    pub(super) fn token(&self, endpoint: &Endpoint) -> TokenCell {
        self.0.tokens.get(endpoint, TokenCell::default)
    }

    /// The place of the token for ECR Public.
    pub(super) fn public_token(&self) -> &TokenCell {
        &self.0.public_token
    }

    /// The region where `bucket` was found before, or this identity's own.
    pub(super) fn bucket_region(&self, bucket: &str) -> String {
        self.0
            .bucket_regions
            .get(bucket, || self.region().to_owned())
    }

    pub(super) fn bucket_is_in(&self, bucket: &str, region: &str) {
        let regions = &self.0.bucket_regions;
        regions.set(bucket.to_owned(), region.to_owned());
    }

    /// Says what an SDK's error of `call` under this identity means.
    pub(super) fn explain<E>(&self, call: &Call, error: &SdkError<E>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let identity = Identity {
            role: self.0.role.as_ref(),
            region: self.region(),
        };
        Error::of(call, &identity, Failure::of(error))
    }
}

impl std::fmt::Debug for Clients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let role = self.0.role.as_ref().map(Role::arn);
        f.debug_struct("Clients")
            .field("role", &role)
            .finish_non_exhaustive()
    }
}
