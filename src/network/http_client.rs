//! The certificates that all HTTP clients trust: the system's, which are read once.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use reqwest::ClientBuilder;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_native_certs::{CertificateResult, load_certs_from_paths, load_native_certs};

/// Set where certificates are in a directory that only the caller knows.
const DIRECTORY: &str = "SSL_CERT_DIR";

/// A client to be set up, of HTTP/1.1: no host here is asked for so many small things that HTTP/2
/// would help, and large ones have a connection and a TCP window of their own.
pub(crate) fn http_client() -> ClientBuilder {
    static TLS: OnceLock<Option<ClientConfig>> = OnceLock::new();
    let builder = reqwest::Client::builder().http1_only();
    match TLS.get_or_init(tls) {
        Some(config) => builder.tls_backend_preconfigured(config.clone()),
        // Then building it fails, and says why.
        None => builder,
    }
}

fn tls() -> Option<ClientConfig> {
    let mut trusted = RootCertStore::empty();
    let (taken, _) = trusted.add_parsable_certificates(certificates().certs);
    if taken == 0 {
        return None;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = builder
        .ok()?
        .with_root_certificates(trusted)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Some(config)
}

/// The system's certificates. Where they are in one file, its directory is not read: it has the same
/// again, and takes a hundred times as long. Apple's and Microsoft's systems have a store of their own.
fn certificates() -> CertificateResult {
    let has_store = cfg!(any(target_vendor = "apple", windows));
    if !has_store && std::env::var_os(DIRECTORY).is_none() {
        let file = openssl_probe::probe().cert_file;
        let found = load_certs_from_paths(file.as_deref().map(Path::new), None);
        if !found.certs.is_empty() {
            return found;
        }
    }
    load_native_certs()
}
