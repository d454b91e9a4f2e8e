//! The least that a copy between registries takes: one socket is read, SHA-256 is taken, another
//! socket is written. `benches/compare_copy.py` measures it beside real copies.
//!
//!     floor SOURCE DESTINATION REPOSITORY DIGEST...
//!
//! Both are addresses of a `docker-registry` on this machine. Blobs are copied one by one.

use std::io::{Error, Read, Result, Write};
use std::net::TcpStream;

use aws_lc_rs::digest::{Context, SHA256};

const BUFFER: usize = 256 << 10;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [source, destination, repository, digests @ ..] = &arguments[..] else {
        return Err(Error::other(
            "expected SOURCE DESTINATION REPOSITORY DIGEST...",
        ));
    };
    let mut source = Connection::open(source)?;
    let mut destination = Connection::open(destination)?;
    for digest in digests {
        copy(&mut source, &mut destination, repository, digest)?;
    }
    Ok(())
}

fn copy(
    source: &mut Connection,
    destination: &mut Connection,
    repository: &str,
    digest: &str,
) -> Result<()> {
    let uploads = format!("/v2/{repository}/blobs/uploads/");
    let started = destination.ask("POST", &uploads, 0)?;
    let blob = source.ask("GET", &format!("/v2/{repository}/blobs/{digest}"), 0)?;
    destination.send("PATCH", &started.location, blob.length)?;
    let mut hash = Context::new(&SHA256);
    let mut buffer = vec![0; BUFFER];
    let mut left = blob.length;
    while left > 0 {
        let wanted = BUFFER.min(usize::try_from(left).unwrap_or(BUFFER));
        let read = source.stream.read(&mut buffer[..wanted])?;
        if read == 0 {
            return Err(Error::other("the blob ended early"));
        }
        hash.update(&buffer[..read]);
        destination.stream.write_all(&buffer[..read])?;
        left -= read as u64;
    }
    let found = hash.finish();
    let hex: String = found
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if digest.strip_prefix("sha256:") != Some(&hex) {
        return Err(Error::other("the blob has another digest"));
    }
    let uploaded = destination.head()?;
    let separator = if uploaded.location.contains('?') {
        '&'
    } else {
        '?'
    };
    let commit = format!("{}{separator}digest={digest}", uploaded.location);
    destination.ask("PUT", &commit, 0)?;
    Ok(())
}

/// The head of an answer.
struct Head {
    length: u64,
    location: String,
}

struct Connection {
    address: String,
    stream: TcpStream,
}

impl Connection {
    fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self {
            address: address.to_owned(),
            stream,
        })
    }

    fn ask(&mut self, method: &str, url: &str, length: u64) -> Result<Head> {
        self.send(method, url, length)?;
        self.head()
    }

    /// Sends the head of a request. A URL of the registry itself may be whole.
    fn send(&mut self, method: &str, url: &str, length: u64) -> Result<()> {
        let own = format!("http://{}", self.address);
        let path = url.strip_prefix(&own).unwrap_or(url);
        let address = &self.address;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        self.stream.write_all(head.as_bytes())
    }

    /// Reads the head of an answer, which must be a success, and nothing behind it.
    fn head(&mut self) -> Result<Head> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        if !head.starts_with("HTTP/1.1 2") {
            return Err(Error::other(head));
        }
        let header = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(": "));
            let found = lines.find(|(known, _)| known.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.to_owned())
        };
        Ok(Head {
            length: header("content-length")
                .and_then(|text| text.parse().ok())
                .unwrap_or(0),
            location: header("location").unwrap_or_default(),
        })
    }
}
