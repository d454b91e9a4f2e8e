//! A server on a loopback socket.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, LOCATION, RANGE, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::body::{End, corrupted, counted, ended_after, paced};
use super::raw::{Raw, RawStream};
use super::{
    CONTENT_DIGEST, Dropped, Query, Request, RequestBody, Response, Service, empty, set, typed,
};
use crate::local::faults::{Effect, Faults};
use crate::local::request_log::{RequestLog, Seen};
use crate::oci::Digest;

/// The time that requests under way may take after [`Server::stop`].
const GRACE: Duration = Duration::from_secs(5);
/// The bytes that are read of a body that the service did not want, before its answer is sent.
const DRAIN_LIMIT: u64 = 16 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(2);
const PAGE: &str = "<!DOCTYPE html><title>Sign in</title><p>Sign in to go on.";

/// A running server. Dropping it drops its connections.
pub(crate) struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Server {
    /// Takes a listening socket and serves it until stopped or dropped.
    pub(crate) fn start<S: Service>(
        listener: TcpListener,
        service: Arc<S>,
        faults: Faults,
        log: RequestLog,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let front = Front {
            service,
            faults,
            log,
        };
        let task = tokio::spawn(accept(listener, Arc::new(front), stopped));
        Ok(Self {
            address,
            stop,
            task,
        })
    }

    /// The place where the server listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://<address>`.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Takes no more connections, lets the requests under way finish for a few seconds, then
    /// drops what is left.
    pub(crate) async fn stop(mut self) {
        // Fails only where the server has ended already.
        let _ = self.stop.send(true);
        let _ = tokio::time::timeout(GRACE, &mut self.task).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept<S: Service>(
    listener: TcpListener,
    front: Arc<Front<S>>,
    mut stopped: watch::Receiver<bool>,
) {
    // Dropped with this task, and with it every connection.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, Arc::clone(&front), stopped.clone()));
                }
                // Out of file descriptors, most likely: some come free.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
            _ = stopped.changed() => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn serve<S: Service>(
    stream: TcpStream,
    front: Arc<Front<S>>,
    mut stopped: watch::Receiver<bool>,
) {
    // Only latency is lost without it.
    let _ = stream.set_nodelay(true);
    let raw = Raw::default();
    let stream = RawStream::new(stream, raw.clone());
    let service = service_fn(move |request| {
        let (front, raw) = (Arc::clone(&front), raw.clone());
        async move { front.exchange(request, &raw).await }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    // A broken connection is the client's to notice.
    tokio::select! {
        _ = connection.as_mut() => {}
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

/// The log and the faults that every request passes, around the service.
struct Front<S> {
    service: Arc<S>,
    faults: Faults,
    log: RequestLog,
}

impl<S: Service> Front<S> {
    async fn exchange(
        &self,
        request: hyper::Request<Incoming>,
        raw: &Raw,
    ) -> Result<Response, Dropped> {
        let (head, incoming) = request.into_parts();
        let path = self.service.path(&head);
        let record = self.log.begin(Seen {
            method: head.method.to_string(),
            repository: self.service.repository(&path),
            path: path.clone(),
            range: head
                .headers
                .get(RANGE)
                .and_then(|range| Some(range.to_str().ok()?.to_owned())),
            had_authorization: head.headers.contains_key(AUTHORIZATION),
        });
        let mut request = Request {
            query: Query::parse(head.uri.query().unwrap_or_default()),
            path,
            method: head.method,
            headers: head.headers,
            body: RequestBody::new(incoming, record.bytes_in()),
        };
        let effect = self.faults.meet(&request.method, &request.path);
        if let Some(Effect::Raw(bytes)) = effect {
            raw.send(bytes);
        }
        let response = self.answer(&mut request, effect).await?;
        let drained = request.body.drain(DRAIN_LIMIT);
        // The client that still sends after that long finds its connection closed.
        let _ = tokio::time::timeout(DRAIN_TIME, drained).await;
        record.answered(response.status());
        let counter = record.bytes_out();
        Ok(response.map(|body| counted(body, counter)))
    }

    async fn answer(
        &self,
        request: &mut Request,
        effect: Option<Effect>,
    ) -> Result<Response, Dropped> {
        match &effect {
            Some(Effect::Answer(failure)) => {
                let mut response = self.service.failure(&request.path, failure);
                if let Some(seconds) = failure.retry_after() {
                    set(&mut response, RETRY_AFTER, seconds.to_string());
                }
                return Ok(response);
            }
            Some(Effect::Page(status)) => return Ok(typed(*status, "text/html", PAGE)),
            Some(Effect::Redirect(to)) => {
                let mut response = empty(StatusCode::TEMPORARY_REDIRECT);
                set(&mut response, LOCATION, to);
                return Ok(response);
            }
            // What is sent in its place is sent by the connection.
            Some(Effect::Raw(_)) => return Ok(empty(StatusCode::OK)),
            Some(Effect::Refuse) => return Err(Dropped),
            Some(Effect::Hang) => std::future::pending().await,
            Some(Effect::Delay(time)) => tokio::time::sleep(*time).await,
            Some(Effect::Pace(pace)) => request.body.set_pace(*pace),
            Some(Effect::CutRequest(bytes)) => request.body.cut_after(*bytes),
            _ => {}
        }
        let response = self.service.answer(request).await?;
        Ok(match effect {
            Some(Effect::DropAnswer) => return Err(Dropped),
            Some(Effect::CutAnswer(bytes)) => {
                response.map(|body| ended_after(body, bytes, End::Dropped))
            }
            Some(Effect::Stall(bytes)) => response.map(|body| ended_after(body, bytes, End::Hung)),
            Some(Effect::Truncate(bytes)) => {
                let mut response = response.map(|body| ended_after(body, bytes, End::Clean));
                response.headers_mut().remove(CONTENT_LENGTH);
                response
            }
            Some(Effect::WrongDigest) => with_wrong_digest(response),
            Some(Effect::Pace(pace)) => response.map(|body| paced(body, pace)),
            Some(Effect::Corrupt(offset)) => response.map(|body| corrupted(body, offset)),
            _ => response,
        })
    }
}

fn with_wrong_digest(mut response: Response) -> Response {
    if response.headers().contains_key(CONTENT_DIGEST) {
        let other = Digest::sha256(PAGE.as_bytes());
        set(&mut response, CONTENT_DIGEST, other.to_string());
    }
    response
}
