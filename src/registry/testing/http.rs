//! As much of an HTTP/1.1 server as the scripts need, and no more manners than they want.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub(in crate::registry) struct Request {
    pub(in crate::registry) method: String,
    /// Path with query.
    pub(in crate::registry) target: String,
    headers: Vec<(String, String)>,
    pub(in crate::registry) body: Vec<u8>,
}

impl Request {
    pub(in crate::registry) fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }

    pub(in crate::registry) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The first byte that a `Range` header asks for.
    pub(in crate::registry) fn range_start(&self) -> Option<usize> {
        let range = self.header("range")?.strip_prefix("bytes=")?;
        range.split_once('-')?.0.parse().ok()
    }

    /// The last byte that a `Range` header asks for.
    pub(in crate::registry) fn range_end(&self) -> Option<usize> {
        self.header("range")?.split_once('-')?.1.parse().ok()
    }
}

/// The answer.
#[derive(Clone, Debug)]
pub(in crate::registry) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    end: End,
    is_slow: bool,
}

/// The way in which an answer's body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Complete,
    /// The connection is cut after so many bytes.
    Cut(usize),
    /// Nothing comes after so many bytes, and the connection stays open.
    Silence(usize),
    /// The body is repeated for ever.
    Never,
    /// Nothing comes at all, and the connection stays open.
    Mute,
}

impl Reply {
    pub(in crate::registry) fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            end: End::Complete,
            is_slow: false,
        }
    }

    /// A partial answer to what `request` asks of `whole`.
    pub(in crate::registry) fn range(request: &Request, whole: &[u8]) -> Self {
        let Some(start) = request.range_start() else {
            return Self::new(200).body(whole);
        };
        let end = request.range_end().map_or(whole.len(), |last| last + 1);
        let range = format!("bytes {start}-{}/{}", end - 1, whole.len());
        Self::new(206)
            .header("Content-Range", &range)
            .body(&whole[start..end])
    }

    pub(in crate::registry) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(in crate::registry) fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    /// An error document with one code.
    pub(in crate::registry) fn error(status: u16, code: &str, message: &str) -> Self {
        let document = serde_json::json!({"errors": [{"code": code, "message": message}]});
        Self::new(status).body(document.to_string())
    }

    /// Bytes that come at once where an answer is slow.
    pub(in crate::registry) const PIECE: usize = 16 << 10;

    fn piece(&self) -> usize {
        if self.is_slow {
            Self::PIECE
        } else {
            usize::MAX
        }
    }

    /// Sends the body in pieces with pauses between them.
    pub(in crate::registry) fn slow(mut self) -> Self {
        self.is_slow = true;
        self
    }

    pub(in crate::registry) fn cut_after(mut self, bytes: usize) -> Self {
        self.end = End::Cut(bytes);
        self
    }

    pub(in crate::registry) fn silent_after(mut self, bytes: usize) -> Self {
        self.end = End::Silence(bytes);
        self
    }

    pub(in crate::registry) fn mute() -> Self {
        Self {
            end: End::Mute,
            ..Self::new(200)
        }
    }

    pub(in crate::registry) fn endless(mut self) -> Self {
        self.end = End::Never;
        self
    }
}

type Script<T> = Box<dyn Fn(&Request) -> T + Send + Sync>;

pub(super) struct Server {
    pub(super) seen: Arc<Mutex<Vec<Request>>>,
    pub(super) cut: Script<Option<usize>>,
    pub(super) answer: Script<Reply>,
}

impl Server {
    pub(super) async fn serve(self: Arc<Self>, connection: TcpStream) {
        let mut connection = BufStream::new(connection);
        // Clients may go at any time; what they sent until then has been recorded.
        while matches!(self.exchange(&mut connection).await, Ok(true)) {}
    }

    /// One request and its answer; whether the connection goes on.
    async fn exchange(&self, connection: &mut BufStream<TcpStream>) -> io::Result<bool> {
        let Some(mut request) = read_head(connection).await? else {
            return Ok(false);
        };
        let limit = (self.cut)(&request);
        request.body = read_body(connection, &request, limit.unwrap_or(usize::MAX)).await?;
        self.seen.lock().unwrap().push(request.clone());
        if limit.is_some() {
            return Ok(false);
        }
        let reply = (self.answer)(&request);
        write(connection, &request, &reply).await?;
        Ok(reply.end == End::Complete)
    }
}

async fn read_head(connection: &mut BufStream<TcpStream>) -> io::Result<Option<Request>> {
    let mut request = Request::default();
    let mut line = String::new();
    if connection.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    request.method = words.next().unwrap_or_default();
    request.target = words.next().unwrap_or_default();
    loop {
        line.clear();
        connection.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            return Ok(Some(request));
        };
        let header = (name.to_ascii_lowercase(), value.trim().to_owned());
        request.headers.push(header);
    }
}

async fn read_body(
    connection: &mut BufStream<TcpStream>,
    request: &Request,
    limit: usize,
) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if let Some(length) = request.header("content-length") {
        body.resize(length.parse::<usize>().unwrap().min(limit), 0);
        connection.read_exact(&mut body).await?;
        return Ok(body);
    }
    if request.header("transfer-encoding").is_none() {
        return Ok(body);
    }
    loop {
        let mut size = String::new();
        connection.read_line(&mut size).await?;
        let size = usize::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
        let mut chunk = vec![0; size + 2];
        connection.read_exact(&mut chunk).await?;
        body.extend_from_slice(&chunk[..size]);
        if size == 0 || body.len() >= limit {
            body.truncate(limit);
            return Ok(body);
        }
    }
}

async fn write(
    connection: &mut BufStream<TcpStream>,
    request: &Request,
    reply: &Reply,
) -> io::Result<()> {
    if reply.end == End::Mute {
        std::future::pending::<()>().await;
    }
    let mut head = format!("HTTP/1.1 {} Scripted\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    let sized = reply
        .headers
        .iter()
        .any(|(name, _)| name == "Content-Length");
    if !sized && reply.end != End::Never {
        let length = reply.body.len().to_string();
        head.extend(["Content-Length: ", &length, "\r\n"]);
    }
    connection.write_all(head.as_bytes()).await?;
    connection.write_all(b"\r\n").await?;
    if request.method != "HEAD" {
        let sent = match reply.end {
            End::Complete | End::Never | End::Mute => reply.body.len(),
            End::Cut(bytes) | End::Silence(bytes) => bytes,
        };
        for piece in reply.body[..sent].chunks(reply.piece()) {
            connection.write_all(piece).await?;
            if reply.is_slow {
                connection.flush().await?;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
    connection.flush().await?;
    match reply.end {
        End::Complete | End::Cut(_) | End::Mute => {}
        End::Silence(_) => std::future::pending().await,
        End::Never => loop {
            connection.write_all(&reply.body).await?;
            connection.flush().await?;
        },
    }
    Ok(())
}
