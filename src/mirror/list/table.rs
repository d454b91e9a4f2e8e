//! The keys of a list: tables, from which they are checked and their reference is written.

use crate::cloudformation::{Property, optional, required};

/// The keys of the document.
pub const LIST: &[Property] = &[
    optional(
        "version",
        "`1`",
        "`1`",
        "The version of the list's own format.",
    ),
    optional(
        "defaults",
        "map",
        "none",
        "Any key of an entry but `source` and `type`, for the entries that do not have it.",
    ),
    optional(
        "registries",
        "map of hosts to maps",
        "none",
        "Limits and credentials of the registries of the sources.",
    ),
    optional(
        "prune",
        "map",
        "nothing is removed",
        "Removes tags that the mirror wrote and the list no longer gives.",
    ),
    optional(
        "toleratedFailurePercentage",
        "number from 0 to 100",
        "0",
        "The share of images that may fail in a run that still succeeds.",
    ),
    required("sync", "list of maps", "The entries: at least one."),
];

/// The keys of an entry.
pub const ENTRY: &[Property] = &[
    required(
        "source",
        "string",
        "An image with its tag or digest, or a repository. Without a registry it is Docker Hub's.",
    ),
    optional(
        "type",
        "`image` or `repository`",
        "by `source` and `tags`",
        "Checked against `source`. A `repository` without `tags` is taken with all its tags.",
    ),
    optional(
        "tags",
        "list of tags, or map with `allow`, `deny`, `semver`, `suffix`, `prereleases` and \
         `newest`",
        "none",
        "The tags of a repository: these, or those that pass a filter. An empty map is all tags.",
    ),
    optional(
        "destination",
        "string or map",
        "none",
        "One destination, as in `destinations`.",
    ),
    optional(
        "destinations",
        "list of strings, or of maps with `destination`, `registry`, `template`, `roleArn`, \
         `externalId` and `credentials`",
        "none",
        "Where the images go. A text is a registry, for which `template` holds, or \
         `<registry>/<repository>[:tag]`. Placeholders may be in it. Without a tag it is the \
         source's.",
    ),
    optional(
        "template",
        "string",
        "`{registry}/{repository}:{tag}`",
        "The destination's name where a destination gives its registry only.",
    ),
    optional(
        "platforms",
        "`all` or list of strings",
        "`all`",
        "`Platforms` of `Custom::ECRImage`.",
    ),
    optional(
        "attestations",
        "`keep` or `drop`",
        "`keep`",
        "`Attestations` of `Custom::ECRImage`.",
    ),
    optional(
        "referrers",
        "`none` or `copy`, or boolean",
        "`none`",
        "`Referrers` of `Custom::ECRImage`; `true` is `copy`.",
    ),
    optional(
        "createRepository",
        "boolean or map",
        "`false`",
        "`CreateRepository` of `Custom::ECRImage`.",
    ),
    optional(
        "pullAccess",
        "map",
        "none",
        "`PullAccess` of `Custom::ECRImage`.",
    ),
    optional(
        "sourceCredentials",
        "string",
        "those of the registry",
        "`SourceCredentials` of `Custom::ECRImage`.",
    ),
    optional(
        "sourceRoleArn",
        "string",
        "that of the registry",
        "`SourceRoleArn` of `Custom::ECRImage`.",
    ),
    optional(
        "sourceExternalId",
        "string",
        "that of the registry",
        "`SourceExternalId` of `Custom::ECRImage`.",
    ),
    optional(
        "maxConcurrency",
        "number from 1 to 32",
        "4 to 16",
        "`MaxConcurrency` of `Custom::ECRImage`: blobs of one image copied at once.",
    ),
    optional(
        "retry",
        "number from 1 to 20",
        "`6`",
        "`Retry` of `Custom::ECRImage`: attempts of each request.",
    ),
];

/// The keys of a filter of tags.
pub const TAGS: &[Property] = &[
    optional(
        "allow",
        "list of regular expressions",
        "all",
        "A tag passes if one of them matches the whole tag.",
    ),
    optional(
        "deny",
        "list of regular expressions",
        "none",
        "A tag does not pass if one of them matches the whole tag.",
    ),
    optional(
        "semver",
        "string, or list of strings",
        "all",
        "A tag passes if its version is in one of these ranges.",
    ),
    optional(
        "suffix",
        "list of regular expressions",
        "with `semver`: versions without a suffix",
        "A version passes if one of them matches its whole suffix: `alpine` of `1.29-alpine`.",
    ),
    optional(
        "prereleases",
        "boolean",
        "`false`",
        "Lets versions such as `1.30.0-rc.1` pass.",
    ),
    optional(
        "newest",
        "number from 1 to 100000",
        "all",
        "The number of versions that pass of each variant: the newest.",
    ),
];

/// The keys of a destination.
pub const DESTINATION: &[Property] = &[
    optional(
        "destination",
        "string",
        "by `registry` and `template`",
        "`<registry>/<repository>[:tag]`, with placeholders.",
    ),
    optional(
        "registry",
        "string",
        "none",
        "The registry alone, for which `template` holds.",
    ),
    optional(
        "template",
        "string",
        "that of the entry",
        "The destination's name in this registry.",
    ),
    optional(
        "roleArn",
        "string",
        "the function's own role",
        "The role assumed for this destination.",
    ),
    optional(
        "externalId",
        "string",
        "none",
        "The external ID that the role asks for.",
    ),
    optional(
        "credentials",
        "string",
        "none",
        "ARN or name of a secret in Secrets Manager. ECR needs none.",
    ),
];

/// The keys of a registry in `registries`.
pub const REGISTRY: &[Property] = &[
    optional(
        "maxConcurrency",
        "number from 1 to 1000",
        "the mirror's",
        "Images that are copied from there at once.",
    ),
    optional(
        "requestsPerSecond",
        "number above 0",
        "no limit",
        "Requests to the registry, such as `0.5`.",
    ),
    optional(
        "credentials",
        "string",
        "none",
        "ARN or name of a secret in Secrets Manager.",
    ),
    optional(
        "roleArn",
        "string",
        "the function's own role",
        "The role assumed for the registry.",
    ),
    optional(
        "externalId",
        "string",
        "none",
        "The external ID that the role asks for.",
    ),
];

/// The keys of `prune`.
pub const PRUNE: &[Property] = &[required(
    "maxShare",
    "number from 1 to 100",
    "The largest share of the mirror's tags, in percent, that one run removes. Where it is more, \
     none is removed.",
)];

/// The keys of an entry that are properties of `Custom::ECRImage` by the same name.
pub(super) const PROPERTIES: &[&str] = &[
    "platforms",
    "attestations",
    "referrers",
    "createRepository",
    "pullAccess",
    "sourceCredentials",
    "sourceRoleArn",
    "sourceExternalId",
    "maxConcurrency",
    "retry",
];

/// Words of other tools, and what is said here in their place.
const FOREIGN: &[(&str, &str)] = &[
    ("target", "the key is destination"),
    ("platform", "the key is platforms"),
    ("semverRange", "the key is semver, within tags"),
    ("tagSets", "give an entry for each set of tags"),
    ("repos", "give an entry for each repository"),
    (
        "creds",
        "credentials are in Secrets Manager: name the secret in registries",
    ),
    ("images", "give an entry for each image in sync"),
    (
        "images-by-tag-regex",
        "give an entry with tags.allow for each repository in sync",
    ),
    (
        "images-by-semver",
        "give an entry with tags.semver for each repository in sync",
    ),
    ("interval", "the schedule is not in the list"),
    ("schedule", "the schedule is not in the list"),
    (
        "ratelimit",
        "give requestsPerSecond or maxConcurrency in registries",
    ),
    ("parallel", "give maxConcurrency in registries"),
    ("digestTags", "referrers: copy copies signatures too"),
    ("backup", "images are not renamed before they are replaced"),
    ("hooks", "there are none: a run sends events"),
    ("destinationRoleArn", "give roleArn in the destination"),
    (
        "destinationExternalId",
        "give externalId in the destination",
    ),
    (
        "destinationCredentials",
        "give credentials in the destination",
    ),
];

/// The answer to a word of another tool.
pub(super) fn foreign(name: &str) -> Option<&'static str> {
    let mut words = FOREIGN.iter();
    let found = words.find(|(word, _)| word.eq_ignore_ascii_case(name));
    found.map(|(_, instead)| *instead)
}
