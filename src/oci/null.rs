//! JSON's `null` where the specification has a value.

use serde::Deserialize;

/// Reads a JSON `null` as the default: Go programs write one for an empty map or list.
pub(super) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
