//! The data of the [OCI image](https://github.com/opencontainers/image-spec) and
//! [distribution](https://github.com/opencontainers/distribution-spec) specifications.
//!
//! Pure data: nothing here reads, writes or waits.

mod descriptor;
mod digest;
mod manifest;
mod media_type;
mod null;
mod other_manifest;
mod platform;
mod reference;

pub use descriptor::Descriptor;
pub use digest::{Algorithm, Digest, Digester, InvalidDigest};
pub use manifest::{
    ImageConfig, ImageIndex, ImageManifest, InvalidManifest, Manifest, RawManifest, RootFs,
};
pub use media_type::MediaType;
pub use other_manifest::OtherManifest;
pub use platform::{InvalidPlatform, Platform};
pub use reference::{InvalidReference, Reference, Repository, Tag};
