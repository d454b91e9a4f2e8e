//! Which addresses may be connected to.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::LookupFailed;

/// Where an IP address or host name leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// This machine.
    Loopback,
    /// This machine's link, where clouds serve credentials of machines.
    LinkLocal,
    /// Anywhere else.
    Beyond,
}

impl Reach {
    pub(crate) fn of_ip(ip: IpAddr) -> Self {
        let ip = ip.to_canonical();
        let link_local = match ip {
            IpAddr::V4(v4) => v4.is_link_local(),
            IpAddr::V6(v6) => v6.is_unicast_link_local(),
        };
        if ip.is_loopback() || ip.is_unspecified() {
            Self::Loopback
        } else if link_local {
            Self::LinkLocal
        } else {
            Self::Beyond
        }
    }

    /// What a URL's host says by itself. Names are looked up by [`Resolver`].
    pub(crate) fn of_host(host: &str) -> Self {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(ip) = bare.parse() {
            return Self::of_ip(ip);
        }
        let name = bare.trim_end_matches('.');
        let localhost = name
            .rsplit('.')
            .next()
            .is_some_and(|label| label.eq_ignore_ascii_case("localhost"));
        if localhost {
            Self::Loopback
        } else {
            Self::Beyond
        }
    }
}

/// Looks names up and drops addresses that must not be connected to, so that a name cannot lead where its
/// address could not.
#[derive(Debug)]
pub(crate) struct Resolver {
    /// Whether names may lead to this machine.
    pub(crate) allow_loopback: bool,
    /// Names that may lead anywhere: the user's own configuration has them.
    pub(crate) trusted: BTreeSet<String>,
}

/// A name that leads only to addresses that may not be connected to.
#[derive(Debug, thiserror::Error)]
#[error("{name} leads to a loopback or link-local address")]
pub(crate) struct LocalAddress {
    name: String,
}

impl Resolver {
    fn permits(&self, name: &str, ip: IpAddr) -> bool {
        match Reach::of_ip(ip) {
            Reach::Beyond => true,
            // Requests to this very name are refused or allowed before it is looked up.
            Reach::Loopback if Reach::of_host(name) == Reach::Loopback => true,
            Reach::Loopback => self.allow_loopback || self.trusted.contains(name),
            Reach::LinkLocal => self.trusted.contains(name),
        }
    }

    fn keep(&self, name: &str, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, LocalAddress> {
        let none_found = found.is_empty();
        let kept: Vec<_> = found
            .into_iter()
            .filter(|address| self.permits(name, address.ip()))
            .collect();
        if kept.is_empty() && !none_found {
            return Err(LocalAddress {
                name: name.to_owned(),
            });
        }
        Ok(kept)
    }
}

/// A [`Resolver`] as the HTTP client takes it.
pub(crate) struct SharedResolver(pub(crate) std::sync::Arc<Resolver>);

impl Resolve for SharedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = std::sync::Arc::clone(&self.0);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            let found = found.map_err(|source| LookupFailed {
                name: name.as_str().to_owned(),
                source,
            })?;
            let kept = resolver.keep(name.as_str(), found.collect())?;
            Ok(Box::new(kept.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_where_hosts_lead() {
        for host in [
            "localhost",
            "registry.localhost.",
            "127.0.0.1",
            "[::1]",
            "0.0.0.0",
            "::ffff:127.0.0.1",
        ] {
            assert_eq!(Reach::of_host(host), Reach::Loopback, "{host}");
        }
        for host in ["169.254.169.254", "[fe80::1]", "::ffff:169.254.1.1"] {
            assert_eq!(Reach::of_host(host), Reach::LinkLocal, "{host}");
        }
        for host in ["docker.io", "10.0.0.1", "localhost.example", "2001:db8::1"] {
            assert_eq!(Reach::of_host(host), Reach::Beyond, "{host}");
        }
    }

    #[test]
    fn drops_local_addresses_of_names() {
        let resolver = Resolver {
            allow_loopback: false,
            trusted: BTreeSet::from(["mirror".to_owned()]),
        };
        let addresses = |texts: &[&str]| texts.iter().map(|t| t.parse().unwrap()).collect();
        let kept = resolver.keep(
            "rebound.example",
            addresses(&["127.0.0.1:0", "192.0.2.1:0"]),
        );
        assert_eq!(kept.unwrap(), ["192.0.2.1:0".parse().unwrap()]);
        let refused = resolver.keep("rebound.example", addresses(&["169.254.169.254:0"]));
        assert!(refused.is_err());
        assert!(resolver.keep("mirror", addresses(&["127.0.0.1:0"])).is_ok());
    }
}
