//! The embedded registry.

mod auth;
mod blob;
mod listing;
mod manifest;
mod mutability;
mod options;
mod origin;
mod rate;
mod refusal;
mod route;
mod service;
mod signatures;
mod store;
mod upload;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;

use super::http::Server;
use super::request_log::RequestLog;
use super::{Faults, RequestRecord};
use auth::Door;
pub(super) use mutability::SETTINGS;
use origin::Origin;
use rate::Rate;
use refusal::Wording;
pub(super) use service::RegistryService;
use signatures::Signatures;
use store::Store;
use upload::Uploads;

use crate::oci::Repository;

pub use options::{Auth, Locations, Mounts, Referrers, RegistryOptions};

/// A registry of the
/// [distribution specification](https://github.com/opencontainers/distribution-spec/blob/main/spec.md)
/// on a socket of this process: pull, push, content discovery and content management.
///
/// Dropping it drops its connections, and its content unless that is kept in a folder.
pub struct Registry {
    service: Arc<RegistryService>,
    server: Server,
    /// The place where blobs are redirected to.
    origin: Option<Server>,
    faults: Faults,
    log: RequestLog,
}

impl Registry {
    /// Starts a registry. Fails where the address is taken or the folder cannot be written.
    pub async fn start(options: RegistryOptions) -> io::Result<Self> {
        let listener = TcpListener::bind(options.address).await?;
        let base_url = format!("http://{}", listener.local_addr()?);
        let origin = if options.redirect_blobs {
            Some(TcpListener::bind((options.address.ip(), 0)).await?)
        } else {
            None
        };
        let signatures = match &origin {
            Some(origin) => Some(Signatures::new(format!("http://{}", origin.local_addr()?))),
            None => None,
        };
        let service = Arc::new(RegistryService {
            store: Store::open(options.folder.clone()).await?,
            uploads: Uploads::default(),
            wording: Wording(options.account.clone()),
            door: Door::new(options.auth.clone(), base_url.clone()),
            base_url,
            signatures,
            manifests: tokio::sync::Mutex::default(),
            rate: Rate::new(options.manifests_per_second),
            options,
        });
        let (faults, log) = (Faults::default(), RequestLog::default());
        let serve_origin = |listener| {
            let origin = Arc::new(Origin(Arc::clone(&service)));
            Server::start(listener, origin, faults.clone(), log.clone())
        };
        let origin = origin.map(serve_origin).transpose()?;
        let server = Server::start(listener, Arc::clone(&service), faults.clone(), log.clone())?;
        Ok(Self {
            service,
            server,
            origin,
            faults,
            log,
        })
    }

    /// The place where the registry listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// `http://<address>`.
    pub fn base_url(&self) -> String {
        self.server.base_url()
    }

    /// Makes a repository, if there is none of this name. Fails where no repository can have it.
    pub async fn create_repository(&self, name: &str) -> io::Result<()> {
        if !Repository::is_name(name) {
            let message = format!("{name:?} is no name of a repository");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        self.service.store.create_repository(name).await
    }

    /// The part of the registry that answers, for AWS's API beside it.
    pub(super) fn service(&self) -> Arc<RegistryService> {
        Arc::clone(&self.service)
    }

    /// Lets every token given so far expire. A password ([`Auth::Basic`]) changes, as ECR's does:
    /// its API gives the new one, and the old one is refused with ECR's words.
    pub fn expire_credentials(&self) {
        self.service.door.expire();
    }

    /// The faults that the server shows on demand, with requests for blobs at the origin that they
    /// are redirected to as well (`GET /storage/<digest>`).
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The requests so far, with those at the origin that blobs are redirected to.
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
        if let Some(origin) = self.origin {
            origin.stop().await;
        }
    }
}
