//! Why no answer came over a connection.

use std::error::Error as StdError;
use std::fmt;
use std::io;

/// Why a connection gave no answer, as far as its error tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The server's certificate is not one to be trusted.
    Certificate(Distrust),
    /// The server does not speak TLS.
    NotTls,
    /// TLS was not agreed on for another reason.
    Tls,
    /// The server does not speak HTTP.
    NotHttp,
    /// The host's name has no address.
    NoSuchHost,
    /// Nothing listens there.
    Refused,
    /// The connection was not made in time.
    ConnectTimeout,
    /// Nothing more came of an answer that had begun.
    Stopped,
    /// The connection broke, or another reason.
    Broken,
}

/// Why a certificate is not to be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distrust {
    /// It is for other names.
    Name,
    /// It is not valid any more, or not yet.
    Expired,
    /// No authority that this machine knows has issued it.
    Issuer,
    /// Another reason.
    Other,
}

/// A host name whose address could not be looked up.
#[derive(Debug, thiserror::Error)]
#[error("cannot look up the address of {name}")]
pub(crate) struct LookupFailed {
    pub(super) name: String,
    #[source]
    pub(super) source: io::Error,
}

impl Trouble {
    /// The trouble behind an HTTP client's error.
    pub(crate) fn of(error: &reqwest::Error) -> Self {
        if let Some(known) = Self::within(error) {
            return known;
        }
        if error.is_connect() && error.is_timeout() {
            return Self::ConnectTimeout;
        }
        Self::Broken
    }

    /// The trouble behind an error or one of its causes. `None` where none of them tells any.
    pub(crate) fn within(error: &(dyn StdError + 'static)) -> Option<Self> {
        causes(error).find_map(Self::of_cause)
    }

    fn of_cause(error: &(dyn StdError + 'static)) -> Option<Self> {
        if error.is::<LookupFailed>() {
            return Some(Self::NoSuchHost);
        }
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(Self::of_tls(tls));
        }
        if let Some(http) = error.downcast_ref::<hyper::Error>() {
            return Self::of_http(http);
        }
        let io = error.downcast_ref::<io::Error>()?;
        // An I/O error does not give what it holds as its source, and may hold another one.
        let held = io.get_ref().and_then(|held| Self::within(held));
        held.or_else(|| match io.kind() {
            io::ErrorKind::ConnectionRefused => Some(Self::Refused),
            io::ErrorKind::TimedOut => Some(Self::ConnectTimeout),
            _ => None,
        })
    }

    /// The trouble that the error of an established connection tells.
    fn of_http(error: &hyper::Error) -> Option<Self> {
        if error.is_parse() {
            return Some(Self::NotHttp);
        }
        // A reason of the network's is more exact.
        let below = error.source().and_then(Self::within);
        below.or_else(|| (!error.is_user() && !error.is_timeout()).then_some(Self::Broken))
    }

    fn of_tls(error: &rustls::Error) -> Self {
        use rustls::{CertificateError, InvalidMessage};
        match error {
            rustls::Error::InvalidCertificate(error) => Self::Certificate(match error {
                CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. } => Distrust::Name,
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. } => Distrust::Expired,
                CertificateError::UnknownIssuer => Distrust::Issuer,
                _ => Distrust::Other,
            }),
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => Self::NotTls,
            _ => Self::Tls,
        }
    }

    /// Returns true if there may be no way to the host at all.
    pub(crate) fn may_be_no_route(self) -> bool {
        matches!(self, Self::NoSuchHost | Self::ConnectTimeout)
    }

    /// Returns true if the same connection may be made later.
    pub(crate) fn may_pass(self) -> bool {
        !matches!(self, Self::Certificate(_) | Self::NotTls)
    }
}

/// The advice, for people.
impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate(Distrust::Name) => {
                "its certificate is for another name: see that the host is right"
            }
            Self::Certificate(Distrust::Expired) => {
                "its certificate is not valid at this time: renew it"
            }
            Self::Certificate(Distrust::Issuer) => {
                "its certificate was issued by an authority that is not known here: a public one \
                 is needed, and no proxy that opens TLS"
            }
            Self::Certificate(Distrust::Other) => "its certificate is not to be trusted, as one that it signed itself: one of a public \
                 authority is needed",
            Self::NotTls => "it does not speak TLS on this port: see that the port is right",
            Self::Tls => "TLS failed",
            Self::NotHttp => "its answer is no HTTP: see that the port is right",
            Self::NoSuchHost => "its name has no address: see that the host is right",
            Self::Refused => "it refuses connections: see that the host and the port are right",
            Self::ConnectTimeout => "no connection was made in time",
            Self::Stopped => "its answer stopped in the middle",
            Self::Broken => "the connection broke",
        })
    }
}

fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use reqwest::dns::{Name, Resolve, Resolving};

    use super::*;

    /// Never finds an address.
    struct Silent;

    impl Resolve for Silent {
        fn resolve(&self, _: Name) -> Resolving {
            Box::pin(std::future::pending())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_takes_no_connection_is_told() {
        let client = reqwest::Client::builder()
            .dns_resolver(Arc::new(Silent))
            .connect_timeout(Duration::from_secs(5))
            .build()
            .unwrap();
        let error = client.get("https://host.example/").send().await;
        let trouble = Trouble::of(&error.unwrap_err());
        assert_eq!(trouble.to_string(), "no connection was made in time");
        assert!(trouble.may_be_no_route() && trouble.may_pass());
    }
}
