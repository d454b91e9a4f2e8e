//! The way in which an embedded registry behaves.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::redact::Secret;

/// The settings that [`super::Registry::start`] takes. The default takes and gives everything that
/// the distribution specification knows; each member switches one thing.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own, and named where it is set"
)]
pub struct RegistryOptions {
    /// The address to listen at. Port 0 takes a free one.
    pub address: SocketAddr,
    /// The place where content is kept. Without one: in a temporary folder that goes with the
    /// registry.
    pub folder: Option<PathBuf>,
    /// Who is let in.
    pub auth: Auth,
    /// The registry ID (an account ID) with which errors are worded as ECR words them.
    pub account: Option<String>,
    /// True if a push to a repository that does not exist makes it. Otherwise only
    /// [`super::Registry::create_repository`] does, and pushes are refused with `NAME_UNKNOWN`.
    pub create_on_push: bool,
    /// True if a tag can be set only once, even to the same manifest.
    pub immutable_tags: bool,
    /// Which blobs can be mounted from another repository.
    pub mounts: Mounts,
    /// True if `PATCH` answers 201 instead of 202.
    pub patch_created: bool,
    /// True if the `Range` of an upload's answers stays at the end of the first chunk.
    pub sticky_range: bool,
    /// True if a `PATCH` without `Content-Range` means byte 0, and so fails in a session that has
    /// bytes already.
    pub unranged_patch_is_zero: bool,
    /// The smallest chunk of an upload but for its last, in bytes.
    pub min_chunk: Option<u64>,
    /// True if `min_chunk` is announced as `OCI-Chunk-Min-Length`.
    pub announce_min_chunk: bool,
    /// The longest body of a `PATCH` or `PUT` to an upload, in bytes; 413 above it.
    pub max_chunk: Option<u64>,
    /// True if a blob of no bytes is refused.
    pub refuse_empty_blobs: bool,
    /// The form of an upload's `Location`.
    pub locations: Locations,
    /// The referrers API.
    pub referrers: Referrers,
    /// True if a manifest with a `subject` is refused, as ECR is seen to do with some: 405.
    pub refuse_subjects: bool,
    /// True if manifests of unknown media types are taken, and indexes that list blobs.
    pub unknown_media_types: bool,
    /// True if a manifest is refused where blobs or manifests that it names are missing.
    pub check_references: bool,
    /// True if the answer to a pushed manifest has a `Location`.
    pub manifest_location: bool,
    /// The number of manifests a second that are taken; 429 above it.
    pub manifests_per_second: Option<usize>,
    /// `Retry-After` of such a 429, in seconds.
    pub retry_after: Option<u64>,
    /// True if blobs are served by redirect from another origin, which refuses requests that carry
    /// `Authorization`.
    pub redirect_blobs: bool,
    /// True if content can be deleted.
    pub deletes: bool,
    /// The longest page of tags, repositories and referrers.
    pub page_size: Option<usize>,
}

impl Default for RegistryOptions {
    fn default() -> Self {
        Self {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            folder: None,
            auth: Auth::None,
            account: None,
            create_on_push: true,
            immutable_tags: false,
            mounts: Mounts::Any,
            patch_created: false,
            sticky_range: false,
            unranged_patch_is_zero: false,
            min_chunk: None,
            announce_min_chunk: false,
            max_chunk: None,
            refuse_empty_blobs: false,
            locations: Locations::Relative,
            referrers: Referrers::Api,
            refuse_subjects: false,
            unknown_media_types: true,
            check_references: true,
            manifest_location: true,
            manifests_per_second: None,
            retry_after: None,
            redirect_blobs: false,
            deletes: true,
            page_size: None,
        }
    }
}

impl RegistryOptions {
    /// Behaves as Amazon ECR is seen to behave, with the password that ECR's user `AWS` is to
    /// give: see the repository aws/containers-roadmap on GitHub, issues 2831 (`PATCH`), 2860
    /// (mounts), 2783 (referrers), 2380 and 2179 (immutable tags).
    pub fn ecr(password: Secret) -> Self {
        Self {
            auth: Auth::Basic {
                user: "AWS".to_owned(),
                password,
            },
            account: Some("123456789012".to_owned()),
            create_on_push: false,
            mounts: Mounts::Never,
            patch_created: true,
            sticky_range: true,
            unranged_patch_is_zero: true,
            min_chunk: Some(5 << 20),
            refuse_empty_blobs: true,
            locations: Locations::Absolute,
            referrers: Referrers::NotAllowed,
            unknown_media_types: false,
            manifest_location: false,
            manifests_per_second: Some(10),
            redirect_blobs: true,
            ..Self::default()
        }
    }
}

/// Who an embedded registry lets in.
#[derive(Clone, Debug)]
pub enum Auth {
    /// Everyone.
    None,
    /// Those who give this user and password with each request.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: Secret,
    },
    /// Those who give a token of the registry's own token endpoint
    /// ([distribution, "Token authentication"](https://distribution.github.io/distribution/spec/auth/token/)).
    Bearer {
        /// The user who gets tokens for everything.
        user: String,
        /// The user's password.
        password: Secret,
        /// True if anyone gets tokens to pull.
        anonymous_pull: bool,
        /// The time that a token is good for.
        lifetime: Duration,
    },
}

/// Which blobs can be mounted from another repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mounts {
    /// Every blob there.
    Any,
    /// Those that a manifest there names.
    Referenced,
    /// None: every attempt opens an upload session instead.
    Never,
}

/// The form of an upload's `Location`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locations {
    /// A path.
    Relative,
    /// A whole URL.
    Absolute,
    /// A whole URL with a query, without which the session is not found.
    AbsoluteWithState,
}

/// The referrers API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Referrers {
    /// It is there.
    Api,
    /// It is not there: 404, as in registries that are older than it.
    Missing,
    /// It is refused: 405.
    NotAllowed,
}
