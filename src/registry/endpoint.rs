//! The place where a registry's requests go, and where its answers may send them.

use reqwest::Url;

use super::Error;
use super::config::Config;
use crate::network::Reach;
use crate::oci::Repository;
use crate::redact::RedactedUrl;

/// The host that serves Docker Hub's images.
const DOCKER_HUB_HOST: &str = "registry-1.docker.io";

/// The address of one registry.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    base: Url,
    /// True if this is a registry on this machine, which may send requests to other ports of it.
    local: bool,
    /// True if it may send requests to no other machine.
    stays_local: bool,
}

impl Endpoint {
    /// The address of `repository`'s registry.
    pub(super) fn of(repository: &Repository, config: &Config) -> Result<Self, Error> {
        let registry = repository.registry();
        if let Some(base) = config.overrides.base_url(registry) {
            let local = Reach::of_url(base) == Reach::Loopback;
            return Ok(Self {
                base: base.clone(),
                local,
                stays_local: config.stays_local,
            });
        }
        let host = repository.host();
        let (scheme, local) = match Reach::of_host(host) {
            Reach::Beyond if config.stays_local => {
                return Err(Error::Beyond {
                    host: host.to_owned(),
                });
            }
            Reach::Beyond => ("https", false),
            Reach::Loopback if config.allow_loopback => ("http", true),
            Reach::Loopback | Reach::LinkLocal => {
                return Err(Error::Local {
                    host: host.to_owned(),
                });
            }
        };
        let authority = match registry {
            "docker.io" => DOCKER_HUB_HOST,
            other => other,
        };
        let base = Url::parse(&format!("{scheme}://{authority}/")).map_err(|_| Error::Host {
            host: registry.to_owned(),
        })?;
        Ok(Self {
            base,
            local,
            stays_local: config.stays_local,
        })
    }

    /// The address of `path` under the API's root.
    pub(super) fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("/v2/{path}"));
        url
    }

    /// Returns true if `url` is at the registry itself: where its credentials may go.
    pub(super) fn is_origin_of(&self, url: &Url) -> bool {
        self.base.origin() == url.origin()
    }

    /// Returns true if `url` is on the registry's host, whatever the port.
    pub(super) fn is_at_host_of(&self, url: &Url) -> bool {
        self.base.host_str() == url.host_str()
    }

    /// A token server's address, with TLS where it is on the host of a registry that is reached
    /// with TLS: some registries behind a proxy do not know that they are.
    pub(super) fn secured(&self, realm: &Url) -> Url {
        let mut secured = realm.clone();
        if self.base.scheme() == "https" && realm.scheme() == "http" && self.is_at_host_of(realm) {
            // Both are schemes of the web, between which a URL can change.
            let _ = secured.set_scheme("https");
        }
        secured
    }

    /// Refuses addresses that this registry must not send requests to: without TLS, or on this
    /// machine or its link. A registry on this machine may name others there.
    pub(super) fn permit(&self, url: &Url) -> Result<(), Error> {
        if self.is_origin_of(url) {
            return Ok(());
        }
        let reach = Reach::of_url(url);
        if reach == Reach::LinkLocal || reach == Reach::Loopback && !self.local {
            return Err(Error::Local {
                host: url.host_str().unwrap_or_default().to_owned(),
            });
        }
        if self.stays_local && reach != Reach::Loopback {
            return Err(Error::Beyond {
                host: url.host_str().unwrap_or_default().to_owned(),
            });
        }
        let plain_but_local = url.scheme() == "http" && reach == Reach::Loopback;
        if url.scheme() != "https" && !plain_but_local {
            return Err(Error::Insecure {
                url: RedactedUrl::new(url),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Reference;

    fn endpoint(image: &str, config: &Config) -> Result<Endpoint, Error> {
        let reference: Reference = image.parse().unwrap();
        Endpoint::of(reference.repository(), config)
    }

    fn local() -> Config {
        Config {
            allow_loopback: true,
            ..Config::default()
        }
    }

    #[test]
    fn speaks_tls_except_to_this_machine() {
        let url =
            |image: &str, config: &Config| endpoint(image, config).unwrap().url("x").to_string();
        let config = Config::default();
        assert_eq!(url("nginx", &config), "https://registry-1.docker.io/v2/x");
        assert_eq!(
            url("r.example:5000/a", &config),
            "https://r.example:5000/v2/x"
        );
        assert_eq!(
            url("localhost:5000/a", &local()),
            "http://localhost:5000/v2/x"
        );
        assert_eq!(url("[::1]:5000/a", &local()), "http://[::1]:5000/v2/x");
    }

    #[test]
    fn a_token_server_on_the_registrys_host_is_asked_with_tls() {
        let endpoint = endpoint("r.example/a", &Config::default()).unwrap();
        for (realm, asked) in [
            ("http://r.example/token", "https://r.example/token"),
            (
                "http://r.example:8080/token",
                "https://r.example:8080/token",
            ),
            ("http://other.example/token", "http://other.example/token"),
        ] {
            assert_eq!(endpoint.secured(&realm.parse().unwrap()).as_str(), asked);
        }
    }

    #[test]
    fn refuses_this_machine_unless_allowed() {
        for image in [
            "localhost:5000/a",
            "127.0.0.1:5000/a",
            "[::1]:5000/a",
            "127.1:5000/a",
            "2130706433:5000/a",
            "0x7f000001:5000/a",
            "2852039166:80/a",
        ] {
            let error = endpoint(image, &Config::default()).unwrap_err();
            assert!(matches!(error, Error::Local { .. }), "{error}");
        }
        let metadata = endpoint("169.254.169.254/a", &local()).unwrap_err();
        assert!(matches!(metadata, Error::Local { .. }), "{metadata}");
    }

    #[test]
    fn follows_its_override() {
        let config = Config {
            overrides: "r.example=http://127.0.0.1:5000".parse().unwrap(),
            ..Config::default()
        };
        let endpoint = endpoint("r.example/a", &config).unwrap();
        assert_eq!(endpoint.url("x").as_str(), "http://127.0.0.1:5000/v2/x");
    }

    #[test]
    fn a_registry_beyond_cannot_send_requests_to_this_machine() {
        let public = endpoint("r.example/a", &local()).unwrap();
        let permits = |url: &str| public.permit(&url.parse().unwrap());
        assert!(permits("https://cdn.example/blob").is_ok());
        assert!(matches!(
            permits("http://cdn.example/blob"),
            Err(Error::Insecure { .. })
        ));
        for url in [
            "https://127.0.0.1/",
            "http://localhost:8080/",
            "https://169.254.169.254/latest",
            "https://[fe80::1]/",
        ] {
            assert!(matches!(permits(url), Err(Error::Local { .. })), "{url}");
        }
        let beside = endpoint("localhost:5000/a", &local()).unwrap();
        assert!(
            beside
                .permit(&"http://127.0.0.1:9000/x".parse().unwrap())
                .is_ok()
        );
        assert!(
            beside
                .permit(&"http://cdn.example/x".parse().unwrap())
                .is_err()
        );
    }
}
