//! The way in which a repository of ECR is named where its registry may go without saying.

use super::Role;
use crate::aws::{Arn, EcrHost, Partition};
use crate::oci::{InvalidReference, Reference, Repository};

/// The registry that a repository's name alone means: that of an account in a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    account: String,
    region: String,
}

impl Home {
    /// The registry in the region of a stack and in the account of `role`, or of the stack itself.
    /// `None` where the stack's ID does not tell.
    pub fn of_stack(stack_id: &str, role: Option<&Role>) -> Option<Self> {
        let stack: Arn = stack_id.parse().ok()?;
        let role: Option<Arn> = role.and_then(|role| role.arn.parse().ok());
        let home = Self {
            account: role.map_or(stack.account, |role| role.account),
            region: stack.region,
        };
        let whole = !home.account.is_empty() && !home.region.is_empty();
        whole.then_some(home)
    }
}

/// A text that names no repository of a private ECR registry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRepository {
    /// It is malformed.
    #[error("malformed repository {text:?}")]
    Malformed {
        /// The text as it was written.
        text: String,
        /// The fault.
        source: InvalidReference,
    },
    /// It is somewhere else than in a private registry of ECR.
    #[error(
        "{0:?} is no repository of a private ECR registry: expected its name, its ARN, or \
         <account>.dkr.ecr.<region>.amazonaws.com/<name>"
    )]
    Elsewhere(String),
    /// It is a name, and nothing says in which registry.
    #[error("{0:?} names no registry: expected the repository's ARN or URI")]
    Alone(String),
}

/// The repository that `text` names by its name within `home`, its ARN or its URI.
pub fn repository_named(text: &str, home: Option<&Home>) -> Result<Repository, InvalidRepository> {
    let text = text.trim();
    let elsewhere = || InvalidRepository::Elsewhere(text.to_owned());
    let uri = if text.starts_with("arn:") {
        let arn: Arn = text.parse().map_err(|_| elsewhere())?;
        let name = arn.resource.strip_prefix("repository/");
        let name = name
            .filter(|_| arn.service == "ecr")
            .ok_or_else(elsewhere)?;
        uri(&arn.account, &arn.region, name)
    } else if is_uri(text) {
        text.to_owned()
    } else {
        let home = home.ok_or_else(|| InvalidRepository::Alone(text.to_owned()))?;
        uri(&home.account, &home.region, text)
    };
    let reference: Reference = uri.parse().map_err(|source| InvalidRepository::Malformed {
        text: text.to_owned(),
        source,
    })?;
    let repository = reference.repository();
    if reference.tag().is_some() || reference.digest().is_some() || arn_of(repository).is_none() {
        return Err(elsewhere());
    }
    Ok(repository.clone())
}

/// The ARN of a repository of a private ECR registry. `None`: it is none, or its registry's name
/// does not tell the account.
pub fn arn_of(repository: &Repository) -> Option<String> {
    let host = EcrHost::parse(repository.registry())?;
    let arn = Arn::ecr_repository(host.region(), host.account()?, repository.name());
    Some(arn.to_string())
}

/// Returns true if a repository is in a private registry of ECR.
pub fn is_in_ecr(repository: &Repository) -> bool {
    let host = EcrHost::parse(repository.registry());
    host.is_some_and(|host| host != EcrHost::Public)
}

fn uri(account: &str, region: &str, name: &str) -> String {
    let suffix = Partition::of_region(region).dns_suffix;
    format!("{account}.dkr.ecr.{region}.{suffix}/{name}")
}

/// Names of ECR may have dots as hosts do, so that only a host of ECR or a scheme makes a URI.
fn is_uri(text: &str) -> bool {
    let host = text.trim_start_matches("docker://").split_once('/');
    host.is_some_and(|(host, _)| EcrHost::parse(host).is_some()) || text.contains("://")
}

#[cfg(test)]
mod tests {
    use super::*;

    const STACK: &str = "arn:aws:cloudformation:eu-west-1:123456789012:stack/web/1";

    fn named(text: &str) -> Result<String, InvalidRepository> {
        let home = Home::of_stack(STACK, None);
        Ok(arn_of(&repository_named(text, home.as_ref())?).unwrap())
    }

    #[test]
    fn a_repository_has_one_arn_however_it_is_named() {
        let arn = "arn:aws:ecr:eu-west-1:123456789012:repository/team/app";
        for text in [
            "team/app",
            arn,
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app",
            "123456789012.dkr-ecr.eu-west-1.on.aws/team/app",
        ] {
            assert_eq!(named(text).unwrap(), arn, "{text}");
        }
        assert_eq!(
            named("arn:aws-cn:ecr:cn-north-1:210987654321:repository/app").unwrap(),
            "arn:aws-cn:ecr:cn-north-1:210987654321:repository/app"
        );
        assert!(
            named("cdk.assets/app")
                .unwrap()
                .ends_with("/cdk.assets/app")
        );
    }

    #[test]
    fn a_name_alone_is_in_the_roles_account() {
        let role = Role {
            arn: "arn:aws:iam::210987654321:role/policies".to_owned(),
            external_id: None,
            purpose: String::new(),
        };
        let home = Home::of_stack(STACK, Some(&role));
        let repository = repository_named("app", home.as_ref()).unwrap();
        let expected = "arn:aws:ecr:eu-west-1:210987654321:repository/app";
        assert_eq!(arn_of(&repository).unwrap(), expected);
        assert_eq!(Home::of_stack("", Some(&role)), None);
        let error = repository_named("app", None).unwrap_err();
        assert!(matches!(error, InvalidRepository::Alone(_)), "{error}");
    }

    #[test]
    fn says_what_is_no_repository() {
        for text in [
            "Team/App",
            "app:1.0",
            "",
            "arn:aws:ecr:eu-west-1:123456789012:repository/",
            "arn:aws:s3:::bucket",
            "arn:aws:ecr:eu-west-1::repository/app",
            "public.ecr.aws/nginx/nginx",
            "docker://ghcr.io/app",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:1.0",
        ] {
            assert!(named(text).is_err(), "{text}: {:?}", named(text));
        }
    }
}
