//! The embedded object store.

mod body;
mod chunked;
mod failure;
mod folder;
mod list;
mod multipart;
mod object;
mod options;
mod service;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;

use super::http::Server;
use super::request_log::RequestLog;
use super::{Faults, RequestRecord};
use service::BucketService;

pub use options::BucketOptions;

/// As much of S3 as Longshore uses, on a socket of this process: folders served as buckets, by
/// path-style requests. Set `AWS_ENDPOINT_URL_S3` to its [`Bucket::base_url`] and the AWS SDK
/// uses it; the SDK chooses path style by itself, as the host is an address.
///
/// An object is a file below its bucket's folder. Its `ETag` changes when the file does.
pub struct Bucket {
    service: Arc<BucketService>,
    server: Server,
    faults: Faults,
    log: RequestLog,
}

impl Bucket {
    /// Starts an object store. Fails where the address is taken.
    pub async fn start(options: BucketOptions) -> io::Result<Self> {
        let listener = TcpListener::bind(options.address).await?;
        let service = Arc::new(BucketService::new(options));
        let (faults, log) = (Faults::default(), RequestLog::default());
        let server = Server::start(listener, Arc::clone(&service), faults.clone(), log.clone())?;
        Ok(Self {
            service,
            server,
            faults,
            log,
        })
    }

    /// The place where the object store listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// `http://<address>`.
    pub fn base_url(&self) -> String {
        self.server.base_url()
    }

    /// Lets an object seem overwritten after so many more GETs of it: its `ETag` and version ID
    /// change, and reads that name the old ones fail.
    pub fn change_after(&self, bucket: &str, key: &str, reads: u32) {
        self.service.change_after(bucket, key, reads);
    }

    /// Lets an object be in an archive storage class: reads fail with `InvalidObjectState`.
    pub fn archive(&self, bucket: &str, key: &str) {
        self.service.archive(bucket, key);
    }

    /// The faults that the server shows on demand.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The requests so far. A record's `repository` is the bucket.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.log.records()
    }

    /// Forgets the requests so far.
    pub fn reset(&self) {
        self.log.reset();
    }

    /// Takes no more requests and ends when those under way are done.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}
