//! The properties of `Custom::ECRMirror`.

use crate::cloudformation::property::{Property, optional, required};

/// The properties of `Custom::ECRMirror`, in the order in which a reference shows them.
pub const PROPERTIES: &[Property] = &[
    required(
        "StateMachineArn",
        "string",
        "The state machine that mirrors: the output `StateMachineArn` of the stack of `mirror.yaml`.",
    ),
    required(
        "Bucket",
        "string",
        "The bucket of that state machine: the output `Bucket` of the same stack.",
    ),
    required(
        "List",
        "map, or string",
        "The list of what is mirrored, as a map; or where it is, as `s3://bucket/key` of YAML or \
         JSON.",
    ),
    optional(
        "Wait",
        "boolean",
        "`true`",
        "Whether the stack waits for the end of the run, and fails with it. `false`: it goes on as \
         soon as the run has started, for mirrors that take longer than CloudFormation's hour.",
    ),
    optional(
        "RemovalPolicy",
        "`retain` or `delete`",
        "`retain`",
        "On Delete: `delete` removes the tags that this mirror wrote.",
    ),
    optional(
        "Refresh",
        "string",
        "",
        "Changing it mirrors the list again; it has no other effect.",
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
