//! What a resource's properties are: one table a resource, from which they are checked and their
//! reference is written.

/// A property that a resource takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Property {
    /// Its name in the template.
    pub name: &'static str,
    /// Whether a resource must have it.
    pub required: bool,
    /// What it is: `string`, `list of strings`, ….
    pub kind: &'static str,
    /// What its absence means.
    pub default: &'static str,
    /// What it means, in one or two sentences.
    pub doc: &'static str,
}

pub(crate) const fn required(
    name: &'static str,
    kind: &'static str,
    doc: &'static str,
) -> Property {
    Property {
        name,
        required: true,
        kind,
        default: "",
        doc,
    }
}

pub(crate) const fn optional(
    name: &'static str,
    kind: &'static str,
    default: &'static str,
    doc: &'static str,
) -> Property {
    Property {
        name,
        required: false,
        kind,
        default,
        doc,
    }
}
