//! The properties of `Custom::ECRPullPolicy`.

use crate::cloudformation::grants::{ACTIONS, ORGANIZATIONS, PRINCIPALS, SERVICES, STATEMENTS};
use crate::cloudformation::property::{Property, optional, required};

/// The properties of `Custom::ECRPullPolicy`, in the order in which a reference shows them.
pub const PROPERTIES: &[Property] = &[
    required(
        "Repository",
        "string",
        "The repository: its name, its ARN or its URI. A name alone is in the stack's region, and \
         in the account of `RoleArn` or else of the stack.",
    ),
    PRINCIPALS,
    SERVICES,
    ORGANIZATIONS,
    STATEMENTS,
    ACTIONS,
    optional(
        "RoleArn",
        "string",
        "the function's own role",
        "The role assumed to write the policy, such as one in the repository's account.",
    ),
    optional(
        "ExternalId",
        "string",
        "none",
        "The external ID that the role asks for.",
    ),
    optional(
        "ServiceToken",
        "string",
        "",
        "CloudFormation's own: the function that provides the resource.",
    ),
    optional(
        "ServiceTimeout",
        "number from 1 to 3600",
        "3600",
        "CloudFormation's own: how many seconds it waits for an answer.",
    ),
];
