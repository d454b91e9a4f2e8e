//! What to do where a registry refuses or is not reached: what its own words do not say.

use std::fmt;

use reqwest::{Method, StatusCode};

use super::repository_name::arn_of;
use crate::aws::{EcrHost, IMPORT_ACTIONS};
use crate::network::Trouble;
use crate::oci::Repository;
use crate::registry;

/// What to do about a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Advice {
    /// ECR does not let the role do this.
    Allow {
        /// The IAM action of the call.
        action: &'static str,
        /// The repository's ARN, or its name where that does not tell.
        resource: String,
        /// True if the call was to pull: what it pulls from may be a pull-through cache.
        pulls: bool,
    },
    /// ECR has no such image to pull.
    Import {
        /// The repository's ARN, or its name where that does not tell.
        resource: String,
    },
    /// ECR's layers are in a bucket, and that refuses.
    LayerBucket {
        /// ECR's region.
        region: String,
    },
    /// Another registry wants other credentials.
    Credentials {
        /// The repository.
        repository: String,
        /// True if the call was to pull.
        pulls: bool,
    },
    /// No connection to a host was made in time, or its name was not found, from within a Lambda.
    Endpoint {
        /// The host: the registry's, or that of its token server or of its layers.
        host: String,
        /// The region of the registry, if it is ECR.
        region: Option<String>,
    },
}

/// Returns true if this process is a Lambda: only there is a VPC to blame.
fn is_lambda() -> bool {
    std::env::var_os("AWS_LAMBDA_FUNCTION_NAME").is_some()
}

impl Advice {
    /// What to do about `error`, met when pulling from `repository` or pushing to it.
    pub(super) fn on(
        error: &registry::Error,
        repository: &Repository,
        pulls: bool,
    ) -> Option<Self> {
        let ecr = match EcrHost::parse(repository.registry()) {
            Some(EcrHost::Private(host)) => Some(host),
            _ => None,
        };
        let resource = || arn_of(repository).unwrap_or_else(|| repository.to_string());
        match error {
            registry::Error::Exhausted { source, .. } => Self::on(source, repository, pulls),
            registry::Error::TokenServer { source, .. } => match &**source {
                source if source.is_denied() => Some(Self::credentials(repository, pulls)),
                source => Self::on_connection(source, repository),
            },
            registry::Error::Response {
                method,
                url,
                status: StatusCode::FORBIDDEN,
                ..
            } if ecr.is_some() => Some(match action(method, &url.to_string()) {
                Some(action) => Self::Allow {
                    action,
                    resource: resource(),
                    pulls,
                },
                None => Self::LayerBucket {
                    region: ecr?.region,
                },
            }),
            // A cache has the layers of an image that it has.
            registry::Error::Response {
                status: StatusCode::NOT_FOUND,
                url,
                ..
            } if ecr.is_some() && pulls && url.to_string().contains("/manifests/") => {
                Some(Self::Import {
                    resource: resource(),
                })
            }
            registry::Error::Response {
                status: StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN,
                ..
            } if ecr.is_none() => Some(Self::credentials(repository, pulls)),
            error => Self::on_connection(error, repository),
        }
    }

    fn credentials(repository: &Repository, pulls: bool) -> Self {
        Self::Credentials {
            repository: repository.to_string(),
            pulls,
        }
    }

    /// What to do where no connection was made that a Lambda in a VPC may have no way for.
    fn on_connection(error: &registry::Error, repository: &Repository) -> Option<Self> {
        let url = match error {
            registry::Error::Exhausted { source, .. } => {
                return Self::on_connection(source, repository);
            }
            registry::Error::Transport { url, source, .. }
                if Trouble::of(source).may_be_no_route() =>
            {
                url
            }
            _ => return None,
        };
        if !is_lambda() {
            return None;
        }
        let host = EcrHost::parse(repository.registry());
        let private = host.filter(|host| *host != EcrHost::Public);
        Some(Self::Endpoint {
            host: url.host(),
            region: private.map(|host| host.region().to_owned()),
        })
    }
}

/// The property of a resource that gives credentials, where a resource is what asks.
fn property(pulls: bool, in_lambda: bool) -> &'static str {
    match (in_lambda, pulls) {
        (false, _) => "",
        (true, true) => " (SourceCredentials)",
        (true, false) => " (DestinationCredentials)",
    }
}

/// The IAM action behind a call of the registry protocol
/// ([ECR repository policies](https://docs.aws.amazon.com/AmazonECR/latest/userguide/security_iam_id-based-policy-examples.html)).
/// `None`: a redirect has led elsewhere.
fn action(method: &Method, url: &str) -> Option<&'static str> {
    let (_, path) = url.split_once("/v2/")?;
    let uploads = path.contains("/blobs/uploads");
    Some(match *method {
        Method::POST if uploads => "ecr:InitiateLayerUpload",
        Method::PATCH if uploads => "ecr:UploadLayerPart",
        Method::PUT if uploads => "ecr:CompleteLayerUpload",
        Method::PUT => "ecr:PutImage",
        Method::HEAD if path.contains("/blobs/") => "ecr:BatchCheckLayerAvailability",
        _ if path.contains("/blobs/") => "ecr:GetDownloadUrlForLayer",
        _ if path.contains("/tags/list") => "ecr:ListImages",
        _ => "ecr:BatchGetImage",
    })
}

impl std::error::Error for Advice {}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let import = IMPORT_ACTIONS.join(" and ");
        match self {
            Self::Allow {
                action,
                resource,
                pulls,
            } => {
                write!(
                    f,
                    "ECR denies access: allow {action} on {resource} in the role's policy, and \
                     in the repository's where it is another account's"
                )?;
                if *pulls {
                    write!(
                        f,
                        "; the first pull through a cache takes {import} beside it"
                    )?;
                }
                Ok(())
            }
            Self::Import { resource } => write!(
                f,
                "if it is behind a pull-through cache, the first pull takes {import} on {resource}"
            ),
            Self::LayerBucket { region } => write!(
                f,
                "ECR's bucket of layers denies access: where S3 is reached by an endpoint of the \
                 VPC, let its policy allow s3:GetObject on \
                 arn:aws:s3:::prod-{region}-starport-layer-bucket/*"
            ),
            Self::Credentials { repository, pulls } => write!(
                f,
                "{repository} is for others: give credentials that may {} it{}",
                if *pulls { "pull from" } else { "push to" },
                property(*pulls, is_lambda())
            ),
            Self::Endpoint { host, region } => {
                write!(
                    f,
                    "{host} was not reached: a function in a VPC needs a way to it, such as \
                     a NAT gateway"
                )?;
                match region {
                    Some(region) => write!(
                        f,
                        " or the endpoints com.amazonaws.{region}.ecr.dkr, \
                         com.amazonaws.{region}.ecr.api and com.amazonaws.{region}.s3"
                    ),
                    None => Ok(()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::RedactedUrl;

    const ECR: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app";
    const ARN: &str = "arn:aws:ecr:eu-west-1:123456789012:repository/app";

    fn answered(method: Method, url: &str, status: u16) -> registry::Error {
        registry::Error::Response {
            method,
            url: RedactedUrl::new(&url.parse().unwrap()),
            status: StatusCode::from_u16(status).unwrap(),
            errors: Vec::new(),
            retry_after: None,
        }
    }

    fn advice(error: &registry::Error, repository: &str, pulls: bool) -> String {
        let reference: crate::oci::Reference = repository.parse().unwrap();
        let advice = Advice::on(error, reference.repository(), pulls);
        advice.map(|advice| advice.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_denial_names_the_action_and_the_repository() {
        for (method, path, action) in [
            (Method::HEAD, "manifests/1", "ecr:BatchGetImage"),
            (Method::GET, "manifests/1", "ecr:BatchGetImage"),
            (Method::GET, "tags/list?last=a", "ecr:ListImages"),
            (
                Method::HEAD,
                "blobs/sha256:0",
                "ecr:BatchCheckLayerAvailability",
            ),
            (Method::GET, "blobs/sha256:0", "ecr:GetDownloadUrlForLayer"),
            (Method::POST, "blobs/uploads/", "ecr:InitiateLayerUpload"),
            (Method::PATCH, "blobs/uploads/u", "ecr:UploadLayerPart"),
            (Method::PUT, "blobs/uploads/u", "ecr:CompleteLayerUpload"),
            (Method::PUT, "manifests/1", "ecr:PutImage"),
        ] {
            let denied = answered(method, &format!("https://h/v2/app/{path}"), 403);
            let text = advice(&denied, ECR, false);
            assert!(
                text.contains(&format!("allow {action} on {ARN} in")),
                "{text}"
            );
            assert!(!text.contains("cache"), "{text}");
        }
    }

    #[test]
    fn what_is_pulled_may_be_behind_a_cache() {
        let import = "ecr:BatchImportUpstreamImage and ecr:CreateRepository";
        for status in [403, 404] {
            let error = answered(Method::GET, "https://h/v2/app/manifests/1", status);
            let text = advice(&error, ECR, true);
            assert!(text.contains(import) && text.contains(ARN), "{text}");
        }
        let layer = answered(Method::GET, "https://h/v2/app/blobs/sha256:0", 404);
        assert_eq!(advice(&layer, ECR, true), "");
        let missing = answered(Method::GET, "https://h/v2/app/manifests/1", 404);
        assert_eq!(advice(&missing, ECR, false), "");
        assert_eq!(advice(&missing, "quay.io/app/app", true), "");
    }

    #[test]
    fn a_bucket_behind_an_endpoint_and_other_registries_have_their_own() {
        let bucket = answered(Method::GET, "https://b.s3.amazonaws.com/x", 403);
        let text = advice(&bucket, ECR, true);
        assert!(
            text.contains("prod-eu-west-1-starport-layer-bucket"),
            "{text}"
        );
        let denied = answered(Method::GET, "https://quay.io/v2/app/app/manifests/1", 401);
        let text = advice(&denied, "quay.io/app/app", true);
        assert!(text.contains("credentials that may pull from it"), "{text}");
    }

    #[test]
    fn a_lambda_is_told_the_property() {
        assert_eq!(property(true, true), " (SourceCredentials)");
        assert_eq!(property(false, true), " (DestinationCredentials)");
        assert_eq!(property(true, false), "");
    }

    #[test]
    fn a_token_server_that_denies_wants_other_credentials() {
        let denied = registry::Error::TokenServer {
            registry: "quay.io".to_owned(),
            source: Box::new(answered(Method::GET, "https://auth.quay.io/token", 401)),
        };
        let text = advice(&denied, "quay.io/app/app", true);
        assert!(text.contains("credentials that may pull from it"), "{text}");
        let missing = registry::Error::TokenServer {
            registry: "quay.io".to_owned(),
            source: Box::new(answered(Method::GET, "https://auth.quay.io/token", 404)),
        };
        assert_eq!(advice(&missing, "quay.io/app/app", true), "");
        assert!(!missing.is_not_found());
    }

    #[test]
    fn the_endpoints_of_a_vpc_are_those_of_the_region() {
        let endpoint = |region: Option<&str>| Advice::Endpoint {
            host: "host".to_owned(),
            region: region.map(str::to_owned),
        };
        let text = endpoint(Some("eu-west-1")).to_string();
        assert!(text.contains("com.amazonaws.eu-west-1.ecr.dkr"), "{text}");
        assert!(
            endpoint(None)
                .to_string()
                .ends_with("such as a NAT gateway")
        );
    }
}
