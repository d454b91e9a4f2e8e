//! The configuration of all clients, and the addresses of stand-ins for AWS.

use std::net::Ipv4Addr;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};

use super::http;
use crate::redact::remember;

/// The region of whoever has none, which is no Lambda.
pub(super) const DEFAULT_REGION: &str = "us-east-1";

const CONNECT: Duration = Duration::from_secs(4);
/// From a request's end to the first byte of its answer.
const READ: Duration = Duration::from_secs(20);
/// One call with all its attempts.
const OPERATION: Duration = Duration::from_secs(90);

/// The configuration by the environment and AWS's files, but for a profile and a region that are
/// named.
pub(super) async fn from_environment(profile: Option<&str>, region: Option<&str>) -> SdkConfig {
    // The SDK's own chain would go on to ask the metadata service of EC2, and wait for it where
    // there is none.
    let mut of_profile = ProfileFileRegionProvider::builder();
    if let Some(profile) = profile {
        of_profile = of_profile.profile_name(profile);
    }
    let region = RegionProviderChain::first_try(region.map(|name| Region::new(name.to_owned())))
        .or_else(EnvironmentVariableRegionProvider::new())
        .or_else(of_profile.build());
    let mut loader = loader().region(region);
    if let Some(profile) = profile {
        // A profile that is named goes before credentials in the environment, as in AWS's own tool.
        let credentials = ProfileFileCredentialsProvider::builder().profile_name(profile);
        loader = loader
            .profile_name(profile)
            .credentials_provider(credentials.build());
    }
    remembering(loader.load().await)
}

/// The same, but credentials are known as secrets as soon as they are there.
pub(super) fn remembering(config: SdkConfig) -> SdkConfig {
    let Some(provider) = config.credentials_provider() else {
        return config;
    };
    let provider = SharedCredentialsProvider::new(Remembering(provider));
    config.into_builder().credentials_provider(provider).build()
}

/// Credentials of another provider: the environment's, a profile's, or a role's.
#[derive(Debug)]
struct Remembering(SharedCredentialsProvider);

impl ProvideCredentials for Remembering {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let credentials = self.0.provide_credentials().await?;
            remember(credentials.secret_access_key());
            credentials.session_token().inspect(|token| remember(token));
            Ok(credentials)
        })
    }
}

/// Stand-ins that take any credentials: S3's at `s3`, that of all others at `api`.
pub(super) async fn of_stand_ins(api: &str, s3: &str) -> SdkConfig {
    let credentials = Credentials::new("local", "local", None, None, "local");
    let config = loader()
        .credentials_provider(credentials)
        .region(Region::from_static(DEFAULT_REGION))
        .load()
        .await;
    let stand_ins = StandIns {
        api: api.to_owned(),
        s3: s3.to_owned(),
    };
    config.into_builder().service_config(stand_ins).build()
}

/// Time-outs, and one HTTP client for all.
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

/// Returns true if S3 is a stand-in without a DNS name for every bucket: one without TLS, at an
/// address, or at a name without a domain.
pub(super) fn needs_path_style(config: &SdkConfig) -> bool {
    endpoint(config, "S3").is_some_and(|endpoint| has_no_subdomains(&endpoint))
}

/// The endpoint that the settings name for a service, as `AWS_ENDPOINT_URL_<ID>` or for all.
pub(super) fn endpoint(config: &SdkConfig, service_id: &str) -> Option<String> {
    let key = ServiceConfigKey::builder()
        .service_id(service_id)
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build();
    let of_service = key
        .ok()
        .and_then(|key| config.service_config()?.load_config(key));
    of_service.or_else(|| config.endpoint_url().map(str::to_owned))
}

fn has_no_subdomains(endpoint: &str) -> bool {
    let Ok(url) = endpoint.parse::<reqwest::Url>() else {
        return false;
    };
    let host = url.host_str().unwrap_or_default();
    let is_address = host.starts_with('[') || host.parse::<Ipv4Addr>().is_ok();
    url.scheme() == "http" || is_address || !host.contains('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_have_no_names_of_their_own_at_addresses() {
        for endpoint in [
            "https://127.0.0.1:5000",
            "https://[::1]:1",
            "https://localhost",
            "https://moto:5000/",
            "http://host.docker.internal:5001",
        ] {
            assert!(has_no_subdomains(endpoint), "{endpoint}");
        }
        for endpoint in [
            "https://s3.eu-west-1.amazonaws.com",
            "https://bucket.vpce-1.s3.eu-west-1.vpce.amazonaws.com",
            "",
        ] {
            assert!(!has_no_subdomains(endpoint), "{endpoint}");
        }
    }
}
