//! The settings of the embedded AWS API.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use crate::redact::Secret;

/// The settings that [`super::AwsApi::start`] takes.
#[derive(Clone, Debug)]
pub struct AwsApiOptions {
    /// The address to listen at. Port 0 takes a free one.
    pub address: SocketAddr,
    /// The account of callers that have not assumed a role.
    pub account: String,
    /// Secrets Manager's secrets, by name or ARN. One by ARN is found in its region only.
    pub secrets: BTreeMap<String, Secret>,
    /// The roles that can be assumed, by ARN, each with the external ID that it asks for.
    /// Without any, every role can be assumed.
    pub roles: BTreeMap<String, Option<String>>,
}

impl Default for AwsApiOptions {
    fn default() -> Self {
        Self {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            account: "123456789012".to_owned(),
            secrets: BTreeMap::new(),
            roles: BTreeMap::new(),
        }
    }
}
