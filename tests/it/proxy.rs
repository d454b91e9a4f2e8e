//! Traffic to AWS and to registries goes the way that the environment says.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Refuses every request and tells its first line.
fn refusing() -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // A client that goes away meanwhile has no first line to tell.
            let _ = refuse(&stream.unwrap(), &tell);
        }
    });
    (address, told)
}

fn refuse(mut stream: &TcpStream, tell: &Sender<String>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    // The test may have ended.
    let _ = tell.send(first);
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}

const OBJECT: &str = "s3://bucket/image.tar";

/// Looks at a source with this environment only.
fn inspect(source: &str, environment: &[(&str, &str)]) {
    let output = Command::new(env!("CARGO_BIN_EXE_longshore"))
        .args(["inspect", source])
        .env_clear()
        .env("AWS_ACCESS_KEY_ID", "key")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("AWS_REGION", "eu-west-1")
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    assert!(!output.status.success());
}

#[test]
fn https_goes_through_the_proxy() {
    let (proxy, asked) = refusing();
    inspect(
        OBJECT,
        &[("HTTPS_PROXY", &proxy), ("AWS_MAX_ATTEMPTS", "1")],
    );
    let first = asked.try_recv().unwrap();
    assert_eq!(
        first,
        "CONNECT bucket.s3.eu-west-1.amazonaws.com:443 HTTP/1.1"
    );
}

#[test]
fn hosts_that_are_excepted_are_asked_directly() {
    let (s3, directly) = refusing();
    let (proxy, proxied) = refusing();
    inspect(
        OBJECT,
        &[
            ("AWS_ENDPOINT_URL_S3", &s3),
            ("HTTP_PROXY", &proxy),
            ("NO_PROXY", "localhost,127.0.0.1"),
        ],
    );
    let first = directly.try_recv().unwrap();
    assert!(first.starts_with("GET /bucket/image.tar"), "{first}");
    assert!(proxied.try_recv().is_err());
}

#[test]
fn other_hosts_are_not() {
    let (s3, directly) = refusing();
    let (proxy, proxied) = refusing();
    inspect(
        OBJECT,
        &[("AWS_ENDPOINT_URL_S3", &s3), ("HTTP_PROXY", &proxy)],
    );
    let first = proxied.try_recv().unwrap();
    assert!(
        first.starts_with(&format!("GET {s3}/bucket/image.tar")),
        "{first}"
    );
    assert!(directly.try_recv().is_err());
}

#[test]
fn the_environment_asks_for_fips_and_dual_stack() {
    let image = "123456789012.dkr.ecr.us-east-1.amazonaws.com/app:1";
    for (source, variables, host) in [
        (
            OBJECT,
            &["AWS_USE_FIPS_ENDPOINT"][..],
            "bucket.s3-fips.us-east-1.amazonaws.com",
        ),
        (
            OBJECT,
            &["AWS_USE_DUALSTACK_ENDPOINT"],
            "bucket.s3.dualstack.us-east-1.amazonaws.com",
        ),
        (
            image,
            &["AWS_USE_FIPS_ENDPOINT"],
            "api.ecr-fips.us-east-1.amazonaws.com",
        ),
        (
            image,
            &["AWS_USE_DUALSTACK_ENDPOINT"],
            "ecr.us-east-1.api.aws",
        ),
        (
            image,
            &["AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"],
            "ecr-fips.us-east-1.api.aws",
        ),
    ] {
        let (proxy, asked) = refusing();
        let mut environment = vec![
            ("AWS_REGION", "us-east-1"),
            ("HTTPS_PROXY", proxy.as_str()),
            ("AWS_MAX_ATTEMPTS", "1"),
        ];
        environment.extend(variables.iter().map(|name| (*name, "true")));
        inspect(source, &environment);
        let first = asked.try_recv().unwrap();
        assert_eq!(
            first,
            format!("CONNECT {host}:443 HTTP/1.1"),
            "{source} {variables:?}"
        );
    }
}

#[test]
fn registries_that_are_excepted_are_asked_directly() {
    let (registry, directly) = refusing();
    let (proxy, proxied) = refusing();
    let host = registry.trim_start_matches("http://");
    inspect(
        &format!("{host}/app:1"),
        &[
            ("LONGSHORE_ALLOW_LOOPBACK", "1"),
            ("HTTP_PROXY", &proxy),
            ("HTTPS_PROXY", &proxy),
            ("NO_PROXY", "127.0.0.1"),
        ],
    );
    let first = directly.try_recv().unwrap();
    assert!(first.starts_with("GET /v2/app/manifests/1"), "{first}");
    assert!(proxied.try_recv().is_err());
}

#[test]
fn registries_are_reached_through_the_proxy() {
    let (proxy, asked) = refusing();
    inspect("registry.example.com/app:1", &[("HTTPS_PROXY", &proxy)]);
    let first = asked.try_recv().unwrap();
    assert_eq!(first, "CONNECT registry.example.com:443 HTTP/1.1");
}
