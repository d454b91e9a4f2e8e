//! What else to look at: the ends of the sentences that errors are.

use super::Missing;
use super::operation::{Call, Operation, Service};

/// What else a denial can mean.
pub(super) fn of_denial(call: &Call) -> &'static str {
    if call.resource == "*" {
        return " in the role's policy";
    }
    if call.operation == Operation::CreateRepository {
        return " in the role's policy; in another account, that takes a role of that account";
    }
    match call.operation.service() {
        Service::S3 if call.operation.writes() => {
            " in the role's policy, and in the bucket's where it is another account's"
        }
        Service::S3 => {
            " in the role's policy, and in the bucket's where it is another account's; without \
             s3:ListBucket, S3 answers the same for an object that does not exist"
        }
        Service::SecretsManager => {
            " in the role's policy, and in the secret's where it is another account's"
        }
        Service::Ecr => {
            " in the role's policy, and in the repository's where it is another account's"
        }
        Service::EcrPublic | Service::Lambda | Service::StepFunctions | Service::Sts => {
            " in the role's policy"
        }
    }
}

/// What a trust policy may ask for.
pub(super) fn of_external_id(given: bool) -> &'static str {
    if given { " and the external ID" } else { "" }
}

/// The place to look for what is missing.
pub(super) fn of_missing(missing: Missing, call: &Call) -> String {
    match missing {
        Missing::Bucket if call.operation.writes() => {
            "; see that its name is right, and create it first: by `cdk bootstrap` if it is CDK's"
                .to_owned()
        }
        Missing::Bucket | Missing::Object => {
            "; see that its name is right and its upload comes first".to_owned()
        }
        Missing::Version | Missing::Policy | Missing::Image | Missing::Execution => String::new(),
        Missing::StateMachine => {
            "; give the output StateMachineArn of the stack of mirror.yaml".to_owned()
        }
        Missing::Repository => format!(" in {}; create it first{}", call.region, or_here(call)),
        Missing::Secret => format!(
            " in {}; a secret of another region is given by its ARN",
            call.region
        ),
    }
}

/// What else creates a repository: a policy has to have one.
fn or_here(call: &Call) -> &'static str {
    match call.operation {
        Operation::DescribeRepositories => ", or set CreateRepository",
        _ => "",
    }
}
