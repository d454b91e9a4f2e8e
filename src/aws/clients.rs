//! The SDK's clients: made when they are first needed, once for each identity and region.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::config::{ResponseChecksumValidation, StalledStreamProtectionConfig};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use tokio::sync::OnceCell;

use super::ecr::TokenCell;
use super::error::Identity;
use super::failure::Failure;
use super::operation::Call;
use super::{Arn, Error, PUBLIC_REGION, Partition, PrivateHost, Role, http};

const CONNECT: Duration = Duration::from_secs(4);
/// From a request's end to the first byte of its answer.
const READ: Duration = Duration::from_secs(20);
/// One call with all its attempts.
const OPERATION: Duration = Duration::from_secs(90);
/// Entries of one kind that are kept. A warm function may see many stacks and buckets.
const MAX_ENTRIES: usize = 32;
/// The region of whoever has none, which is no Lambda.
const DEFAULT_REGION: &str = "us-east-1";

/// Clients of AWS under one identity: the function's own, or a role that it took on.
///
/// Cheap to clone. Nothing is sent and no credentials are looked for before the first call.
#[derive(Clone)]
pub struct Clients(Arc<Inner>);

struct Inner {
    config: SdkConfig,
    role: Option<Role>,
    s3: Cache<String, aws_sdk_s3::Client>,
    ecr: Cache<Endpoint, aws_sdk_ecr::Client>,
    secrets: Cache<String, aws_sdk_secretsmanager::Client>,
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
        // The SDK's own chain would go on to ask the metadata service of EC2, and wait for it
        // where there is none.
        let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
            .or_else(ProfileFileRegionProvider::new());
        let config = loader().region(region).load().await;
        Self::new(config, None)
    }

    /// Clients of stand-ins for AWS that take any credentials: S3's at `s3`, such as
    /// `http://127.0.0.1:5000`, and that of all others at `api`.
    pub async fn local(api: &str, s3: &str) -> Self {
        let credentials = Credentials::new("local", "local", None, None, "local");
        let config = loader()
            .credentials_provider(credentials)
            .region(Region::from_static(DEFAULT_REGION))
            .load()
            .await
            .into_builder()
            .service_config(StandIns {
                api: api.to_owned(),
                s3: s3.to_owned(),
            })
            .build();
        Self::new(config, None)
    }

    pub(super) fn new(config: SdkConfig, role: Option<Role>) -> Self {
        Self(Arc::new(Inner {
            config,
            role,
            s3: Cache::default(),
            ecr: Cache::default(),
            secrets: Cache::default(),
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
        Self::new(config, Some(role.clone()))
    }

    pub(super) fn s3(&self, region: &str) -> aws_sdk_s3::Client {
        self.0.s3.get(region, || {
            let config = aws_sdk_s3::config::Builder::from(&self.0.config)
                .region(Region::new(region.to_owned()))
                .force_path_style(self.needs_path_style())
                .use_arn_region(true)
                // Layers are checked by their digests, and parts of objects have no checksum.
                .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
                // `content::resuming` watches bodies, and goes on where one stalls.
                .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
                .build();
            aws_sdk_s3::Client::from_conf(config)
        })
    }

    pub(super) fn ecr(&self, endpoint: &Endpoint) -> aws_sdk_ecr::Client {
        self.0.ecr.get(endpoint, || {
            let mut config = aws_sdk_ecr::config::Builder::from(&self.0.config)
                .region(Region::new(endpoint.region.clone()));
            if endpoint.fips {
                config = config.use_fips(true);
            }
            if endpoint.dual_stack {
                config = config.use_dual_stack(true);
            }
            aws_sdk_ecr::Client::from_conf(config.build())
        })
    }

    pub(super) fn secrets(&self, region: &str) -> aws_sdk_secretsmanager::Client {
        self.0.secrets.get(region, || {
            let config = aws_sdk_secretsmanager::config::Builder::from(&self.0.config)
                .region(Region::new(region.to_owned()))
                .build();
            aws_sdk_secretsmanager::Client::from_conf(config)
        })
    }

    pub(super) fn ecr_public(&self) -> aws_sdk_ecrpublic::Client {
        let config = aws_sdk_ecrpublic::config::Builder::from(&self.0.config)
            .region(Region::from_static(PUBLIC_REGION));
        aws_sdk_ecrpublic::Client::from_conf(config.build())
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
        self.0.bucket_regions.set(bucket, region.to_owned());
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

    /// Stand-ins for S3 have no DNS name for every bucket.
    fn needs_path_style(&self) -> bool {
        let key = ServiceConfigKey::builder()
            .service_id("S3")
            .env("AWS_ENDPOINT_URL")
            .profile("endpoint_url")
            .build();
        let config = &self.0.config;
        let of_service = key
            .ok()
            .and_then(|key| config.service_config()?.load_config(key));
        let endpoint = of_service.or_else(|| config.endpoint_url().map(str::to_owned));
        endpoint.is_some_and(|endpoint| has_no_subdomains(&endpoint))
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

pub(super) fn loader() -> ConfigLoader {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .read_timeout(READ)
        .operation_timeout(OPERATION)
        .build();
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http::shared_client())
        .timeout_config(timeouts)
}

/// Says where stand-ins for AWS are, in place of the environment.
#[derive(Debug)]
struct StandIns {
    api: String,
    s3: String,
}

impl LoadServiceConfig for StandIns {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let is_endpoint = key.env() == "AWS_ENDPOINT_URL";
        let endpoint = if key.service_id() == "S3" {
            &self.s3
        } else {
            &self.api
        };
        is_endpoint.then(|| endpoint.clone())
    }
}

/// Whether the host of an endpoint is an address, or a name without a domain.
fn has_no_subdomains(endpoint: &str) -> bool {
    let Ok(url) = endpoint.parse::<reqwest::Url>() else {
        return false;
    };
    let host = url.host_str().unwrap_or_default();
    let is_address = host.starts_with('[') || host.parse::<std::net::Ipv4Addr>().is_ok();
    is_address || !host.contains('.')
}

/// Values that are made once a key. Holds a bounded number of them.
struct Cache<K, V>(Mutex<HashMap<K, V>>);

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    fn get<Q>(&self, key: &Q, make: impl FnOnce() -> V) -> V
    where
        Q: ?Sized + Hash + Eq + ToOwned<Owned = K>,
        K: std::borrow::Borrow<Q>,
    {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = map.get(key) {
            return value.clone();
        }
        if map.len() >= MAX_ENTRIES {
            map.clear();
        }
        let value = make();
        map.insert(key.to_owned(), value.clone());
        value
    }

    fn set<Q>(&self, key: &Q, value: V)
    where
        Q: ?Sized + Hash + Eq + ToOwned<Owned = K>,
        K: std::borrow::Borrow<Q>,
    {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        map.insert(key.to_owned(), value);
    }
}
