//! The way in which an embedded object store behaves.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// The settings that [`super::Bucket::start`] takes.
#[derive(Clone, Debug)]
pub struct BucketOptions {
    /// The address to listen at. Port 0 takes a free one.
    pub address: SocketAddr,
    /// The buckets by name, each with the folder that it serves.
    pub folders: BTreeMap<String, PathBuf>,
    /// The place where other buckets are made, each a folder, when they are first asked for.
    /// `None`: there are no others.
    pub made_in: Option<PathBuf>,
    /// True if requests that are not signed are served.
    pub anonymous: bool,
    /// True if objects have version IDs. Only the current version is kept.
    pub versions: bool,
    /// True if requests are refused that do not agree to pay.
    pub requester_pays: bool,
    /// The region of the buckets; requests signed for another are refused.
    pub region: Option<String>,
}

impl Default for BucketOptions {
    fn default() -> Self {
        Self {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            folders: BTreeMap::new(),
            made_in: None,
            anonymous: false,
            versions: false,
            requester_pays: false,
            region: None,
        }
    }
}

impl BucketOptions {
    /// One bucket that serves a folder.
    pub fn folder(name: &str, folder: impl Into<PathBuf>) -> Self {
        Self {
            folders: BTreeMap::from([(name.to_owned(), folder.into())]),
            ..Self::default()
        }
    }
}
