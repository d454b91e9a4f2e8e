//! A resource that is as it was asked for.

use super::response::Attributes;

/// The way in which the physical ID of a Create that failed begins. A resource with such an ID was
/// never made.
pub(super) const FAILED_CREATE: &str = "failed-create/";

/// A resource that is as it was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Done {
    /// What the resource is called from now on.
    pub(super) physical_resource_id: String,
    /// What `Fn::GetAtt` finds.
    pub(super) attributes: Attributes,
}
