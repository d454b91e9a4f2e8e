//! Requests for ranges: permitted, redirected, tried again.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT_ENCODING, LOCATION, RANGE, RETRY_AFTER};
use reqwest::{Response, StatusCode, Url};

use super::pin::Pin;
use super::{Config, Error};
use crate::content::Wait;
use crate::network::{Reach, Resolver, SharedResolver, http_client, parse_retry_after};
use crate::redact::{RedactedUrl, remember_address, remember_redirect};

/// The number of times that one request is sent elsewhere.
const MAX_REDIRECTS: usize = 5;

/// The longest address that a redirect leads to.
const MAX_LOCATION: usize = 16 << 10;

/// Asks for ranges of one object.
pub(super) struct Client {
    http: reqwest::Client,
    config: Config,
    url: Url,
    /// True if the object is on this machine, which may then send requests to other ports of it.
    local: bool,
}

impl Client {
    pub(super) fn new(config: Config, url: Url) -> Result<Self, Error> {
        remember_address(&url);
        let resolver = Resolver {
            allow_loopback: config.allow_loopback,
            trusted: std::collections::BTreeSet::new(),
        };
        let http = http_client()
            .user_agent(concat!("longshore/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(config.patience.connect)
            .dns_resolver(SharedResolver(Arc::new(resolver)))
            .build()
            .map_err(Error::Setup)?;
        let local = config.allow_loopback && Reach::of_url(&url) == Reach::Loopback;
        Ok(Self {
            http,
            config,
            url,
            local,
        })
    }

    /// The way in which the object is shown.
    pub(super) fn shown_url(&self) -> RedactedUrl {
        RedactedUrl::new(&self.url)
    }

    /// The answer to a request for `range`, which is not empty, of the object in the state `pin`.
    pub(super) async fn get(
        &self,
        range: &Range<u64>,
        pin: Option<&Pin>,
    ) -> Result<Response, Error> {
        let mut attempts = 0;
        loop {
            let error = match self.follow(range, pin).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            attempts += 1;
            if error.is_throttle() {
                self.config.tally.throttled();
            }
            if !error.is_retryable() {
                return Err(error);
            }
            let Some(wait) = self.wait(attempts, error.retry_after()) else {
                return Err(Error::Exhausted {
                    url: self.shown_url(),
                    attempts,
                    source: Box::new(error),
                });
            };
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                attempts,
                wait_ms = wait.as_millis(),
                "trying again"
            );
            self.config.tally.retried();
            tokio::time::sleep(wait).await;
        }
    }

    /// How long to wait before the next attempt, if there is to be one.
    fn wait(&self, attempts: u32, retry_after: Option<Duration>) -> Option<Duration> {
        if attempts >= self.config.attempts.get() {
            return None;
        }
        let patience = &self.config.patience;
        let doubled = patience
            .first_wait
            .saturating_mul(2_u32.saturating_pow(attempts - 1));
        let bound = doubled.min(patience.longest_wait);
        match retry_after {
            Some(asked) if asked > patience.longest_wait => None,
            Some(asked) => Some(asked + patience.first_wait.mul_f64(fastrand::f64())),
            None => Some(bound.mul_f64(fastrand::f64())),
        }
    }

    /// One attempt, which starts over at the object's own URL: those that it redirects to may
    /// expire.
    async fn follow(&self, range: &Range<u64>, pin: Option<&Pin>) -> Result<Response, Error> {
        let mut url = self.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            self.permit(&url)?;
            let answer = self.once(&url, range, pin).await?;
            let Some(next) = redirect(&answer)? else {
                return accept(answer);
            };
            url = next;
        }
        Err(Error::Redirects {
            url: self.shown_url(),
            limit: MAX_REDIRECTS,
        })
    }

    async fn once(
        &self,
        url: &Url,
        range: &Range<u64>,
        pin: Option<&Pin>,
    ) -> Result<Response, Error> {
        let last = range.end - 1;
        let mut request = self
            .http
            .get(url.clone())
            .header(RANGE, format!("bytes={}-{last}", range.start))
            .header(ACCEPT_ENCODING, "identity");
        if let Some((name, value)) = pin.map(Pin::condition) {
            request = request.header(name, value);
        }
        let after = self.config.patience.answer;
        let url = RedactedUrl::new(url);
        let wait = Wait::begin(|| format!("the answer to GET {url}"));
        let answered = tokio::time::timeout(after, request.send()).await;
        drop(wait);
        match answered {
            Ok(answered) => answered.map_err(|error| Error::Transport {
                url,
                source: error.without_url(),
            }),
            Err(_) => Err(Error::Timeout { url, after }),
        }
    }

    /// Refuses addresses that are not to be read from.
    fn permit(&self, url: &Url) -> Result<(), Error> {
        let reach = Reach::of_url(url);
        if reach == Reach::LinkLocal || reach == Reach::Loopback && !self.local {
            return Err(Error::Local {
                host: url.host_str().unwrap_or_default().to_owned(),
            });
        }
        let plain_but_local = url.scheme() == "http" && reach == Reach::Loopback;
        if url.scheme() != "https" && !plain_but_local {
            return Err(Error::Insecure {
                url: RedactedUrl::new(url),
            });
        }
        if !self.config.hosts.allow(&authority(url)) {
            return Err(Error::Host {
                url: RedactedUrl::new(url),
            });
        }
        Ok(())
    }
}

/// The host, with its port if that is not the scheme's own.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// The place where an answer sends the request, if it does.
fn redirect(answer: &Response) -> Result<Option<Url>, Error> {
    let redirects = [
        StatusCode::MOVED_PERMANENTLY,
        StatusCode::FOUND,
        StatusCode::SEE_OTHER,
        StatusCode::TEMPORARY_REDIRECT,
        StatusCode::PERMANENT_REDIRECT,
    ];
    if !redirects.contains(&answer.status()) {
        return Ok(None);
    }
    let location = answer.headers().get(LOCATION);
    let location = location.filter(|text| text.len() <= MAX_LOCATION);
    let location = location.and_then(|text| answer.url().join(text.to_str().ok()?).ok());
    let location = location.inspect(remember_redirect);
    location.map(Some).ok_or_else(|| Error::Protocol {
        url: RedactedUrl::new(answer.url()),
        problem: "with a redirect that leads nowhere",
    })
}

/// An answer that is about the object, or the error that it is. That there is no such range of
/// the object is an answer.
fn accept(answer: Response) -> Result<Response, Error> {
    let status = answer.status();
    let url = RedactedUrl::new(answer.url());
    Err(match status {
        StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
            return Ok(answer);
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Error::Denied { url, status },
        StatusCode::NOT_FOUND | StatusCode::GONE => Error::NotFound { url, status },
        StatusCode::PRECONDITION_FAILED => Error::Changed { url },
        _ => {
            let retry_after = answer.headers().get(RETRY_AFTER);
            let retry_after = retry_after.and_then(|text| parse_retry_after(text.to_str().ok()?));
            Error::Status {
                url,
                status,
                retry_after,
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::Hosts;

    fn permits(object: &str, allow_loopback: bool, url: &str) -> Result<(), Error> {
        let config = Config {
            hosts: Hosts::All,
            allow_loopback,
            ..Config::default()
        };
        let client = Client::new(config, object.parse().unwrap()).unwrap();
        client.permit(&url.parse().unwrap())
    }

    #[test]
    fn the_web_cannot_send_requests_to_this_machine() {
        let object = "https://files.example/image.tar";
        for url in [
            "https://127.0.0.1/",
            "http://localhost:8080/",
            "https://169.254.169.254/latest",
            "https://[fe80::1]/",
        ] {
            for allow_loopback in [false, true] {
                let refused = permits(object, allow_loopback, url);
                assert!(matches!(refused, Err(Error::Local { .. })), "{url}");
            }
        }
        let plain = permits(object, true, "http://cdn.example/image.tar");
        assert!(matches!(plain, Err(Error::Insecure { .. })));
        assert!(permits(object, false, "https://cdn.example/image.tar").is_ok());
    }

    #[test]
    fn this_machine_is_read_from_only_where_that_is_allowed() {
        let object = "http://127.0.0.1:8000/image.tar";
        assert!(permits(object, true, object).is_ok());
        assert!(matches!(
            permits(object, false, object),
            Err(Error::Local { .. })
        ));
    }
}
