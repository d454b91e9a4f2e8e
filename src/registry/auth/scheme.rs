//! The ways in which registries ask for credentials.

use reqwest::Url;

use super::challenge::Challenge;

/// The way in which a registry wants to be told who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::registry) enum Scheme {
    /// Name and password in each request.
    Basic,
    /// A token that another server issues.
    Bearer {
        /// That server.
        realm: Url,
        /// The name that it gives this registry.
        service: Option<String>,
    },
}

impl Scheme {
    /// The way that the challenges name, with the scope that they ask for.
    pub(in crate::registry) fn choose(challenges: &[Challenge]) -> Option<(Self, Option<&str>)> {
        let bearer = challenges.iter().find_map(|challenge| {
            let realm = challenge.parameter("realm")?.parse().ok()?;
            let service = challenge.parameter("service").map(str::to_owned);
            (challenge.scheme == "bearer").then(|| {
                (
                    Self::Bearer { realm, service },
                    challenge.parameter("scope"),
                )
            })
        });
        bearer.or_else(|| {
            let basic = challenges.iter().any(|c| c.scheme == "basic");
            basic.then_some((Self::Basic, None))
        })
    }
}
