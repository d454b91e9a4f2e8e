//! Ports where TLS fails: a wrong certificate, no TLS at all, and a handshake that never ends.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use longshore::cloudformation::Delivery;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};
use tokio::time::Instant;

use super::assert_words;
use super::world::{Ended, Work, World};
use crate::support::stderr;

/// A port that is asked for TLS, and how often it is.
struct Port {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Port {
    fn open(serve: impl Fn(TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                count.fetch_add(1, Ordering::Relaxed);
                serve(stream.unwrap());
            }
        });
        Self {
            address,
            connections,
        }
    }

    /// A server with a certificate of the fixtures.
    fn with_certificate(name: &str) -> Self {
        let chain = CertificateDer::from_pem_file(fixture(name)).unwrap();
        let key = PrivateKeyDer::from_pem_file(fixture("key")).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![chain], key)
            .unwrap();
        let config = Arc::new(config);
        Self::open(move |mut stream| {
            let mut connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            // The client ends it.
            while connection.is_handshaking() && connection.complete_io(&mut stream).is_ok() {}
        })
    }

    /// A server of plain HTTP.
    fn without_tls() -> Self {
        Self::open(|mut stream| {
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        })
    }

    /// A server that never says a word.
    fn silent() -> Self {
        let streams = std::sync::Mutex::new(Vec::new());
        Self::open(move |stream| streams.lock().unwrap().push(stream))
    }

    fn host(&self) -> String {
        format!("localhost:{}", self.address.port())
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

fn fixture(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/certificates");
    folder.join(format!("{name}.pem"))
}

/// Sources behind a port, each with how a failure names it.
fn sources(port: &Port) -> [(String, String); 3] {
    let host = port.host();
    [
        (
            "registry.example/app:1".to_owned(),
            format!("https://{host}/v2/app/manifests/1"),
        ),
        (
            format!("https://{host}/app.tar"),
            format!("https://{host}/app.tar"),
        ),
        (
            "s3://images/app.tar".to_owned(),
            "on the way to S3 in us-east-1".to_owned(),
        ),
    ]
}

/// What the command says of a source behind a port, with a certificate of the fixtures as the only
/// authority.
fn inspect(port: &Port, source: &str, authority: &str) -> String {
    let url = format!("https://{}", port.host());
    let run = Command::new(env!("CARGO_BIN_EXE_longshore"))
        .args(["inspect", source])
        .env_clear()
        .env("LONGSHORE_ALLOW_LOOPBACK", "1")
        .env(
            "LONGSHORE_REGISTRY_OVERRIDE",
            format!("registry.example={url}"),
        )
        .env("AWS_ENDPOINT_URL_S3", &url)
        .env("AWS_ACCESS_KEY_ID", "AKIALOCALLOCALLOCAL0")
        .env("AWS_SECRET_ACCESS_KEY", "local")
        .env("AWS_REGION", "us-east-1")
        .env("SSL_CERT_FILE", fixture(authority))
        .output()
        .unwrap();
    assert!(!run.status.success());
    stderr(&run)
}

/// Asserts what the command says of each source behind such a port, and that it asks once.
fn assert_told_once(open: impl Fn() -> Port, authority: &str, words: &str) {
    for kind in 0..3 {
        let port = open();
        let (source, named) = &sources(&port)[kind];
        let said = inspect(&port, source, authority);
        let never = ["NAT gateway", "VPC", "was not reached"];
        assert_words(source, &said, &[named, words], &never);
        assert_eq!(port.connections(), 1, "{source}: {said}");
    }
}

#[test]
fn a_wrong_certificate_is_told_after_one_attempt() {
    for (name, authority, words) in [
        (
            "other_name",
            "authority",
            "for another name: see that the host is right",
        ),
        ("expired", "authority", "not valid at this time: renew it"),
        (
            "unknown_authority",
            "other_name",
            "issued by an authority that is not known here",
        ),
        (
            "self_signed",
            "authority",
            "not to be trusted, as one that it signed itself",
        ),
    ] {
        assert_told_once(|| Port::with_certificate(name), authority, words);
    }
}

#[test]
fn a_port_without_tls_is_told_after_one_attempt() {
    let words = "it does not speak TLS on this port: see that the port is right";
    assert_told_once(Port::without_tls, "authority", words);
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_told_with_its_host() {
    let port = Port::silent();
    let url = format!("https://{}/app.tar", port.address);
    let world = World::new(Work::Archive).await;
    let event = world.event(&[("Source", &url)]);
    let Ended::Failed(sentence) = world.run(&event, Duration::from_secs(6)).await else {
        panic!("a success");
    };
    let says = format!("seconds it waited for the answer to GET {url}");
    assert_words("", &sentence, &[&says], &["NAT gateway", "more time"]);
}

#[tokio::test]
async fn an_answer_is_not_sent_again_to_a_wrong_certificate() {
    let port = Port::with_certificate("unknown_authority");
    let url = format!("https://{}/answer?X-Amz-Signature=canary", port.address);
    let deadline = Instant::now() + Duration::from_secs(20);
    let delivery = Delivery::new(true).unwrap();
    let put = delivery.put(&url.parse().unwrap(), "{}", deadline).await;
    let error = put.unwrap_err();
    let last = std::error::Error::source(&error).unwrap().to_string();
    let sentence = format!("{error}: {last}");
    let says = [
        port.address.to_string(),
        "in 1 attempt: the request failed on the way: its certificate was issued by an authority"
            .to_owned(),
    ];
    let says = says.each_ref().map(String::as_str);
    assert_words("", &sentence, &says, &["NAT gateway", "canary"]);
    assert_eq!(port.connections(), 1);
}
