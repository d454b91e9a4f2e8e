//! The IAM actions behind a registry's own protocol, which asks ECR without the SDK.

/// The actions that pulling an image takes, on its repository, and mounting a layer from there.
pub const PULL_ACTIONS: &[&str] = &["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"];

/// The actions that pushing an image takes, on its repository: each blob and manifest is looked for
/// first.
pub const PUSH_ACTIONS: &[&str] = &[
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:CompleteLayerUpload",
    "ecr:GetDownloadUrlForLayer",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
];

/// The actions that the first pull through a pull-through cache takes beside [`PULL_ACTIONS`].
pub const IMPORT_ACTIONS: &[&str] = &["ecr:BatchImportUpstreamImage", "ecr:CreateRepository"];
