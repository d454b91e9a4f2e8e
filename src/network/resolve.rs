//! Which addresses may be connected to.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::LookupFailed;

/// The place where an IP address or host name leads.
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
        match ip {
            IpAddr::V4(v4) => Self::of_v4(v4),
            IpAddr::V6(v6) => embedded_v4(v6).map_or_else(|| Self::of_v6(v6), Self::of_v4),
        }
    }

    fn of_v4(ip: Ipv4Addr) -> Self {
        // The whole of 0.0.0.0/8 is this host on this network (RFC 6890).
        if ip.is_loopback() || ip.octets()[0] == 0 {
            Self::Loopback
        } else if ip.is_link_local() || ip.is_multicast() || ip.is_broadcast() {
            Self::LinkLocal
        } else {
            Self::Beyond
        }
    }

    fn of_v6(ip: Ipv6Addr) -> Self {
        if ip.is_loopback() || ip.is_unspecified() {
            Self::Loopback
        } else if ip.is_unicast_link_local() || ip.is_multicast() || ip == EC2_METADATA {
            Self::LinkLocal
        } else {
            Self::Beyond
        }
    }

    /// The kind of a URL's host. Names are looked up by [`Resolver`].
    pub(crate) fn of_url(url: &Url) -> Self {
        url.host_str().map_or(Self::Beyond, Self::of_host)
    }

    /// The kind of a host, read as a URL's host is: `127.1`, `0x7f000001` and `2130706433` are
    /// addresses ([URL standard](https://url.spec.whatwg.org/#concept-ipv4-parser)).
    pub(crate) fn of_host(host: &str) -> Self {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(ip) = bare.parse() {
            return Self::of_ip(ip);
        }
        let url = Url::parse(&format!("https://{host}/")).ok();
        let host = url.as_ref().and_then(Url::host_str).unwrap_or(host);
        if let Ok(ip) = host.parse() {
            return Self::of_ip(ip);
        }
        let name = host.trim_end_matches('.');
        let last_label = name.rsplit('.').next().unwrap_or_default();
        if last_label.eq_ignore_ascii_case("localhost") {
            return Self::Loopback;
        }
        Self::Beyond
    }
}

/// The metadata service of EC2 over IPv6
/// ([IMDS](https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html)).
const EC2_METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// The IPv4 address that an IPv6 address leads to: mapped (`::ffff:0:0/96`), compatible (`::/96`),
/// translated (`64:ff9b::/96`, RFC 6052) or tunnelled (`2002::/16`, RFC 3056).
fn embedded_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let of = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some(of(high, low))
        }
        [0x2002, high, low, ..] => Some(of(high, low)),
        _ => None,
    }
}

/// Looks names up and drops addresses that must not be connected to, so that a name cannot lead where its
/// address could not.
#[derive(Debug)]
pub(crate) struct Resolver {
    /// True if names may lead to this machine.
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
            "127.1",
            "127.0.1",
            "0x7f000001",
            "0X7F.1",
            "2130706433",
            "0177.0.0.1",
            "017700000001",
            "0",
            "0.1.2.3",
            "１２７.0.0.1",
            "%31%32%37.0.0.1",
            "127.0.0.1.",
            "LOCALHOST.",
            "[::ffff:7f00:1]",
            "[::127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "[::]",
        ] {
            assert_eq!(Reach::of_host(host), Reach::Loopback, "{host}");
        }
        for host in [
            "169.254.169.254",
            "[fe80::1]",
            "::ffff:169.254.1.1",
            "2852039166",
            "0xa9fea9fe",
            "169.254.43518",
            "[64:ff9b::a9fe:a9fe]",
            "[fd00:ec2::254]",
            "255.255.255.255",
            "224.0.0.1",
        ] {
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

    proptest::proptest! {
        #[test]
        fn any_host_leads_where_its_url_connects_to(host in "[0-9a-fxX.]{1,16}|\\[[0-9a-f:.]{2,24}\\]") {
            let Ok(url) = Url::parse(&format!("https://{host}/")) else {
                Reach::of_host(&host);
                return Ok(());
            };
            let connects = match url.host_str().unwrap().trim_matches(['[', ']']).parse() {
                Ok(ip) => Reach::of_ip(ip),
                Err(_) => Reach::of_host(url.host_str().unwrap()),
            };
            proptest::prop_assert_eq!(Reach::of_host(&host), connects);
        }
    }
}
