//! The properties of `Custom::ECRImage`.

use crate::cloudformation::property::{Property, optional, required};

/// The properties of `Custom::ECRImage`, in the order in which a reference shows them.
pub const PROPERTIES: &[Property] = &[
    required(
        "Source",
        "string",
        "`s3://bucket/key` (an archive; optional `?versionId=…`, optional `#selector`), \
         `https://host/path` (the same on a web server that the provider's `HttpsSourceHosts` \
         allows; presigned URLs as they are) or an image reference.",
    )
    .deciding_content(),
    optional(
        "Destination",
        "string",
        "the first of `Destinations`",
        "`<registry>/<repository>[:tag]`. Without a tag and without `Tags` the image is pushed by \
         digest only. Required where there are no `Destinations`.",
    ),
    optional(
        "Destinations",
        "list of strings, or of maps with `Destination`, `Tags`, `RoleArn`, `ExternalId` and \
         `Credentials`",
        "none",
        "More destinations of the same image, which is read once for all.",
    ),
    optional(
        "Tags",
        "list of strings",
        "none",
        "More tags for the same image, at each destination.",
    ),
    optional(
        "Platforms",
        "`all` or a list such as `[\"linux/amd64\"]`",
        "`all`",
        "`all` copies the source as it is, under its own digest. One platform is that image \
         itself; several are a new index with just these.",
    )
    .deciding_content(),
    optional(
        "PlatformTags",
        "map of platforms to tags",
        "none",
        "Tags for single platforms of an index.",
    ),
    optional(
        "Attestations",
        "`keep` or `drop`",
        "`keep`",
        "What becomes of BuildKit's attestation manifests inside an index.",
    )
    .deciding_content(),
    optional(
        "Referrers",
        "`none` or `copy`",
        "`none`",
        "What becomes of signatures, SBOMs and other manifests whose subject is the image.",
    ),
    optional(
        "Compression",
        "`gzip`, `gzip-small`, `zstd` or `none`",
        "`gzip`",
        "How layers that an archive holds uncompressed are compressed. Compressed layers stay as \
         they are.",
    )
    .deciding_content(),
    optional(
        "SourceCredentials",
        "string",
        "none",
        "ARN or name of a secret in Secrets Manager: `user:password`, or JSON with `username` and \
         `password`. ECR needs none.",
    ),
    optional(
        "DestinationCredentials",
        "string",
        "none",
        "The same for the destination.",
    ),
    optional(
        "SourceRoleArn",
        "string",
        "the function's own role",
        "The role assumed for the source.",
    ),
    optional(
        "SourceExternalId",
        "string",
        "none",
        "The external ID that the source's role asks for.",
    ),
    optional(
        "DestinationRoleArn",
        "string",
        "the function's own role",
        "The role assumed for the destination.",
    ),
    optional(
        "DestinationExternalId",
        "string",
        "none",
        "The external ID that the destination's role asks for.",
    ),
    optional(
        "CreateRepository",
        "`false`, `true`, or a map",
        "`false`",
        "Whether a destination repository that is missing is created, and how it is set up. One \
         that is there stays as it is.",
    ),
    optional(
        "PullAccess",
        "map",
        "none",
        "Who may pull from the destination, by the repository's policy: `Principals`, `Services`, \
         `Organizations`, `Statements` and `Actions`, as `Custom::ECRPullPolicy` has them.",
    ),
    optional(
        "RemovalPolicy",
        "`retain` or `delete`",
        "`retain`",
        "What becomes of the image on Delete or replacement. `delete` removes what this resource \
         pushed, unless a foreign tag points to it.",
    ),
    optional(
        "Refresh",
        "string",
        "none",
        "Any text. Changing it makes CloudFormation ask again, so that a moving tag is resolved \
         again.",
    )
    .deciding_content(),
    optional(
        "ReuseFrom",
        "list of image references",
        "none",
        "Images that share layers with this one, reached as the destination is. A layer that one \
         of them has is mounted or copied from there, not read from an archive. The destination's \
         own tags and this resource's image before are always looked at.",
    ),
    optional(
        "MaxConcurrency",
        "number from 1 to 32",
        "4 to 16",
        "Blobs copied at once. Without it, 4 of an archive; of an image in a registry 4 at first, \
         and up to 16 while that brings more bytes a second.",
    ),
    optional(
        "Retry",
        "number from 1 to 20",
        "`6`",
        "Attempts of each request to a registry.",
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
