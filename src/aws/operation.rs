//! Every call that Longshore makes to AWS, and the permission that each needs.

use std::fmt;

use super::Partition;

/// A service of AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// Amazon ECR.
    Ecr,
    /// Amazon ECR Public.
    EcrPublic,
    /// Amazon S3.
    S3,
    /// AWS Secrets Manager.
    SecretsManager,
    /// AWS STS.
    Sts,
    /// AWS Lambda.
    Lambda,
    /// AWS Step Functions.
    StepFunctions,
}

impl Service {
    /// What a VPC without a way to the internet needs in order to reach the service.
    pub fn vpc_endpoint(self, region: &str) -> String {
        let name = match self {
            // There is no endpoint for it.
            Self::EcrPublic => return "a NAT gateway".to_owned(),
            Self::S3 => return format!("the gateway endpoint com.amazonaws.{region}.s3"),
            Self::Ecr => "ecr.api",
            Self::SecretsManager => "secretsmanager",
            Self::Sts => "sts",
            Self::Lambda => "lambda",
            Self::StepFunctions => "states",
        };
        let prefix = self.vpc_endpoint_prefix(Partition::of_region(region));
        format!("the endpoint {prefix}.{region}.{name}")
    }

    /// As the exceptions of the CDK's `InterfaceVpcEndpointAwsService` have it.
    fn vpc_endpoint_prefix(self, partition: &Partition) -> &'static str {
        match (self, partition.id) {
            (Self::Ecr, _) | (Self::Sts | Self::Lambda, "aws-cn") => partition.vpc_endpoint_prefix,
            _ => "com.amazonaws",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ecr => "ECR",
            Self::EcrPublic => "ECR Public",
            Self::S3 => "S3",
            Self::SecretsManager => "Secrets Manager",
            Self::Sts => "STS",
            Self::Lambda => "Lambda",
            Self::StepFunctions => "Step Functions",
        })
    }
}

/// A kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Reads an object of S3, whole or in part.
    GetObject,
    /// Reads a pinned version of an object of S3.
    GetObjectVersion,
    /// Tells whether an object of S3 is there.
    ListObjects,
    /// Writes an object of S3, whole or in parts.
    PutObject,
    /// Removes an object of S3.
    DeleteObject,
    /// Gives up an object of S3 that is written in parts.
    AbortMultipartUpload,
    /// Gets the token with which an ECR registry is asked.
    GetAuthorizationToken,
    /// Gets the token with which ECR Public is asked.
    GetPublicAuthorizationToken,
    /// Tells how an ECR repository is set up, or that it is not there.
    DescribeRepositories,
    /// Creates an ECR repository.
    CreateRepository,
    /// Reads the lifecycle policy of an ECR repository.
    GetLifecyclePolicy,
    /// Writes the lifecycle policy of an ECR repository.
    PutLifecyclePolicy,
    /// Reads the policy of an ECR repository.
    GetRepositoryPolicy,
    /// Writes the policy of an ECR repository.
    SetRepositoryPolicy,
    /// Removes the policy of an ECR repository.
    DeleteRepositoryPolicy,
    /// Tells the tags of an image in an ECR repository.
    DescribeImages,
    /// Removes an image, or a tag of one, from an ECR repository.
    BatchDeleteImage,
    /// Reads a secret.
    GetSecretValue,
    /// Takes on a role.
    AssumeRole,
    /// Tells the account that calls.
    GetCallerIdentity,
    /// Has a function of Lambda invoked.
    InvokeFunction,
    /// Starts an execution of a state machine.
    StartExecution,
    /// Tells which executions of a state machine run.
    ListExecutions,
    /// Stops an execution of a state machine.
    StopExecution,
}

impl Operation {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::GetObject,
        Self::GetObjectVersion,
        Self::ListObjects,
        Self::PutObject,
        Self::DeleteObject,
        Self::AbortMultipartUpload,
        Self::GetAuthorizationToken,
        Self::GetPublicAuthorizationToken,
        Self::DescribeRepositories,
        Self::CreateRepository,
        Self::GetLifecyclePolicy,
        Self::PutLifecyclePolicy,
        Self::GetRepositoryPolicy,
        Self::SetRepositoryPolicy,
        Self::DeleteRepositoryPolicy,
        Self::DescribeImages,
        Self::BatchDeleteImage,
        Self::GetSecretValue,
        Self::AssumeRole,
        Self::GetCallerIdentity,
        Self::InvokeFunction,
        Self::StartExecution,
        Self::ListExecutions,
        Self::StopExecution,
    ];

    /// The service that is called.
    pub fn service(self) -> Service {
        self.facts().0
    }

    /// The IAM action that allows it.
    pub fn action(self) -> &'static str {
        self.facts().1
    }

    /// Its name in the service's API, which IAM's action has too.
    pub(super) fn name(self) -> &'static str {
        let action = self.action();
        action.split_once(':').map_or(action, |(_, name)| name)
    }

    /// Returns true if it is part of writing an object of S3.
    pub(super) fn writes(self) -> bool {
        matches!(
            self,
            Self::ListObjects | Self::PutObject | Self::AbortMultipartUpload
        )
    }

    /// The way in which a sentence about it begins.
    fn verb(self) -> &'static str {
        self.facts().2
    }

    fn facts(self) -> (Service, &'static str, &'static str) {
        use Service::{Ecr, EcrPublic, Lambda, S3, SecretsManager, StepFunctions, Sts};
        match self {
            Self::GetObject => (S3, "s3:GetObject", "reading"),
            Self::GetObjectVersion => (S3, "s3:GetObjectVersion", "reading"),
            Self::ListObjects => (S3, "s3:ListBucket", "looking up"),
            Self::PutObject => (S3, "s3:PutObject", "writing"),
            Self::DeleteObject => (S3, "s3:DeleteObject", "removing"),
            Self::AbortMultipartUpload => (S3, "s3:AbortMultipartUpload", "giving up"),
            Self::GetAuthorizationToken => (Ecr, "ecr:GetAuthorizationToken", "logging in to"),
            Self::GetPublicAuthorizationToken => (
                EcrPublic,
                "ecr-public:GetAuthorizationToken",
                "logging in to",
            ),
            Self::DescribeRepositories => (Ecr, "ecr:DescribeRepositories", "looking up"),
            Self::CreateRepository => (Ecr, "ecr:CreateRepository", "creating"),
            Self::GetLifecyclePolicy => (
                Ecr,
                "ecr:GetLifecyclePolicy",
                "reading the lifecycle policy of",
            ),
            Self::PutLifecyclePolicy => (
                Ecr,
                "ecr:PutLifecyclePolicy",
                "writing the lifecycle policy of",
            ),
            Self::GetRepositoryPolicy => (Ecr, "ecr:GetRepositoryPolicy", "reading"),
            Self::SetRepositoryPolicy => (Ecr, "ecr:SetRepositoryPolicy", "writing"),
            Self::DeleteRepositoryPolicy => (Ecr, "ecr:DeleteRepositoryPolicy", "removing"),
            Self::DescribeImages => (Ecr, "ecr:DescribeImages", "looking up an image in"),
            Self::BatchDeleteImage => (Ecr, "ecr:BatchDeleteImage", "removing an image from"),
            Self::GetSecretValue => (SecretsManager, "secretsmanager:GetSecretValue", "reading"),
            Self::AssumeRole => (Sts, "sts:AssumeRole", "assuming"),
            Self::GetCallerIdentity => (Sts, "sts:GetCallerIdentity", "looking up"),
            Self::InvokeFunction => (Lambda, "lambda:InvokeFunction", "invoking"),
            Self::StartExecution => (StepFunctions, "states:StartExecution", "starting"),
            Self::ListExecutions => (
                StepFunctions,
                "states:ListExecutions",
                "listing the executions of",
            ),
            Self::StopExecution => (StepFunctions, "states:StopExecution", "stopping"),
        }
    }
}

/// One call: what is done to what. Shown as `reading s3://bucket/key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What is done.
    pub operation: Operation,
    /// To what, as people name it. No secret.
    pub target: String,
    /// To what, as IAM policies name it: an ARN or `*`.
    pub resource: String,
    /// The region that is called.
    pub region: String,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.operation.verb(), self.target)
    }
}

/// What a policy must allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// The IAM action, such as `s3:GetObject`.
    pub action: String,
    /// The resource's ARN, or `*`.
    pub resource: String,
}

impl Permission {
    /// What `call` needs.
    pub fn of(call: &Call) -> Self {
        Self {
            action: call.operation.action().to_owned(),
            resource: call.resource.clone(),
        }
    }

    /// What a service says is missing, where its message says so in the words that all services
    /// use, registries of ECR too. It knows better than any table: S3 names the key of KMS that
    /// it may not use.
    pub fn named_in(message: &str) -> Option<Self> {
        let (_, rest) = message.split_once("is not authorized to perform: ")?;
        let (action, rest) = rest.split_once(" on resource: ")?;
        let resource = rest
            .split_whitespace()
            .next()?
            .trim_matches(['"', '\'', '.', ',']);
        let (service, name) = action.split_once(':')?;
        let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        let is_action = service.bytes().all(is_word) && name.bytes().all(is_word);
        let is_resource = resource == "*" || resource.starts_with("arn:");
        (is_action && is_resource).then(|| Self {
            action: action.to_owned(),
            resource: resource.to_owned(),
        })
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.action, self.resource)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_a_service_says_is_missing() {
        let message = "User: arn:aws:sts::1:assumed-role/r/s is not authorized to perform: \
            kms:Decrypt on resource: arn:aws:kms:eu-west-1:1:key/abc because no identity-based policy";
        assert_eq!(
            Permission::named_in(message).unwrap().to_string(),
            "kms:Decrypt on arn:aws:kms:eu-west-1:1:key/abc"
        );
        let quoted = "User: x is not authorized to perform: s3:GetObject on resource: \"arn:aws:s3:::b/k\" because";
        assert_eq!(
            Permission::named_in(quoted).unwrap().resource,
            "arn:aws:s3:::b/k"
        );
        for message in [
            "Access Denied",
            "x is not authorized to perform: <b> on resource: y",
        ] {
            assert_eq!(Permission::named_in(message), None);
        }
    }

    #[test]
    fn vpc_endpoints_are_named_as_their_partition_does() {
        for (service, region, endpoint) in [
            (
                Service::Ecr,
                "eu-west-1",
                "the endpoint com.amazonaws.eu-west-1.ecr.api",
            ),
            (
                Service::Ecr,
                "us-gov-west-1",
                "the endpoint com.amazonaws.us-gov-west-1.ecr.api",
            ),
            (
                Service::Ecr,
                "cn-north-1",
                "the endpoint cn.com.amazonaws.cn-north-1.ecr.api",
            ),
            (
                Service::Sts,
                "cn-north-1",
                "the endpoint cn.com.amazonaws.cn-north-1.sts",
            ),
            (
                Service::Lambda,
                "cn-north-1",
                "the endpoint cn.com.amazonaws.cn-north-1.lambda",
            ),
            (
                Service::SecretsManager,
                "cn-north-1",
                "the endpoint com.amazonaws.cn-north-1.secretsmanager",
            ),
            (
                Service::S3,
                "cn-north-1",
                "the gateway endpoint com.amazonaws.cn-north-1.s3",
            ),
            (
                Service::Ecr,
                "us-iso-east-1",
                "the endpoint gov.ic.c2s.us-iso-east-1.ecr.api",
            ),
            (
                Service::Sts,
                "us-iso-east-1",
                "the endpoint com.amazonaws.us-iso-east-1.sts",
            ),
            (
                Service::Ecr,
                "us-isob-east-1",
                "the endpoint gov.sgov.sc2s.us-isob-east-1.ecr.api",
            ),
            (
                Service::Ecr,
                "us-isof-east-1",
                "the endpoint gov.ic.hci.csp.us-isof-east-1.ecr.api",
            ),
            (
                Service::Ecr,
                "eu-isoe-west-1",
                "the endpoint uk.adc-e.cloud.eu-isoe-west-1.ecr.api",
            ),
            (
                Service::Ecr,
                "eusc-de-east-1",
                "the endpoint eu.amazonaws.eusc-de-east-1.ecr.api",
            ),
            (Service::EcrPublic, "us-east-1", "a NAT gateway"),
        ] {
            assert_eq!(service.vpc_endpoint(region), endpoint);
        }
    }

    proptest! {
        #[test]
        fn any_message_is_read(text in "\\PC{0,30}( is not authorized to perform: \\PC{0,20} on resource: \\PC{0,20})?") {
            if let Some(permission) = Permission::named_in(&text) {
                prop_assert!(text.contains(&permission.action) && text.contains(&permission.resource));
            }
        }
    }

    #[test]
    fn every_operation_has_an_action_of_its_own() {
        let mut actions: Vec<_> = Operation::ALL
            .iter()
            .map(|operation| operation.action())
            .collect();
        actions.sort_unstable();
        let count = actions.len();
        actions.dedup();
        assert_eq!(actions.len(), count);
    }
}
