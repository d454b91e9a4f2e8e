//! ARNs: the names of AWS's resources.

use std::fmt;
use std::str::FromStr;

use super::Partition;

/// The name of a resource: `arn:partition:service:region:account:resource`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Arn {
    /// The partition's ID, such as `aws`.
    pub partition: String,
    /// The service, as IAM calls it, such as `ecr`.
    pub service: String,
    /// The region. Empty where names are global.
    pub region: String,
    /// The account's ID. Empty where names are global.
    pub account: String,
    /// The resource within the service, such as `repository/app`.
    pub resource: String,
}

impl Arn {
    /// An ECR repository.
    pub fn ecr_repository(region: &str, account: &str, name: &str) -> Self {
        Self {
            partition: Partition::of_region(region).id.to_owned(),
            service: "ecr".to_owned(),
            region: region.to_owned(),
            account: account.to_owned(),
            resource: format!("repository/{name}"),
        }
    }

    /// An S3 bucket. `bucket` is its name, or an access point's ARN, which stays as it is.
    pub fn s3_bucket(region: &str, bucket: &str) -> Self {
        bucket.parse().unwrap_or_else(|_| Self {
            partition: Partition::of_region(region).id.to_owned(),
            service: "s3".to_owned(),
            region: String::new(),
            account: String::new(),
            resource: bucket.to_owned(),
        })
    }

    /// An object in an S3 bucket, or behind an access point given by its ARN.
    pub fn s3_object(region: &str, bucket: &str, key: &str) -> Self {
        let mut arn = Self::s3_bucket(region, bucket);
        let between = if arn.account.is_empty() {
            "/"
        } else {
            "/object/"
        };
        arn.resource = format!("{}{between}{key}", arn.resource);
        arn
    }

    /// A secret of Secrets Manager by its name. The service appends six characters to the name.
    pub fn secret(region: &str, name: &str) -> Self {
        Self {
            partition: Partition::of_region(region).id.to_owned(),
            service: "secretsmanager".to_owned(),
            region: region.to_owned(),
            account: "*".to_owned(),
            resource: format!("secret:{name}-??????"),
        }
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            partition,
            service,
            region,
            account,
            resource,
        } = self;
        write!(f, "arn:{partition}:{service}:{region}:{account}:{resource}")
    }
}

/// A text that is no ARN.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no ARN: expected arn:partition:service:region:account:resource")]
pub struct InvalidArn(String);

impl FromStr for Arn {
    type Err = InvalidArn;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<_> = text.splitn(6, ':').collect();
        match parts[..] {
            ["arn", partition, service, region, account, resource]
                if !partition.is_empty() && !service.is_empty() && !resource.is_empty() =>
            {
                Ok(Self {
                    partition: partition.to_owned(),
                    service: service.to_owned(),
                    region: region.to_owned(),
                    account: account.to_owned(),
                    resource: resource.to_owned(),
                })
            }
            _ => Err(InvalidArn(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_resources_in_their_partition() {
        for (arn, text) in [
            (
                Arn::ecr_repository("eu-west-1", "123456789012", "team/app"),
                "arn:aws:ecr:eu-west-1:123456789012:repository/team/app",
            ),
            (
                Arn::ecr_repository("cn-north-1", "123456789012", "app"),
                "arn:aws-cn:ecr:cn-north-1:123456789012:repository/app",
            ),
            (
                Arn::s3_bucket("us-gov-west-1", "b"),
                "arn:aws-us-gov:s3:::b",
            ),
            (
                Arn::s3_object("us-east-1", "b", "k/é.tar"),
                "arn:aws:s3:::b/k/é.tar",
            ),
            (
                Arn::s3_object(
                    "us-east-1",
                    "arn:aws:s3:eu-west-1:123456789012:accesspoint/ap",
                    "k",
                ),
                "arn:aws:s3:eu-west-1:123456789012:accesspoint/ap/object/k",
            ),
            (
                Arn::secret("eu-west-1", "hub"),
                "arn:aws:secretsmanager:eu-west-1:*:secret:hub-??????",
            ),
        ] {
            assert_eq!(arn.to_string(), text);
        }
    }

    #[test]
    fn refuses_what_is_no_arn() {
        for text in [
            "",
            "arn",
            "arn:aws:s3:::",
            "arn:aws:s3",
            "urn:aws:s3:::b",
            "my-secret",
        ] {
            assert!(text.parse::<Arn>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_again(text in "\\PC{0,40}|arn:(aws)?:s3:[a-z]?:[0-9]?:[a-z:/]{0,5}") {
            if let Ok(arn) = text.parse::<Arn>() {
                prop_assert_eq!(arn.to_string(), text);
            }
        }
    }
}
