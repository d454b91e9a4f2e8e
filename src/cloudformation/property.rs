//! What a resource's properties are: one table a resource, from which they are checked and their
//! reference is written.

/// A property that a resource takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Property {
    /// Its name in the template.
    pub name: &'static str,
    /// True if a resource must have it.
    pub required: bool,
    /// What it is: `string`, `list of strings`, ….
    pub kind: &'static str,
    /// What its absence means.
    pub default: &'static str,
    /// What it means, in one or two sentences.
    pub doc: &'static str,
    /// True if it decides which image a source gives. Two events that do not differ in such a
    /// property mean the same image, and a rollback needs no more than that.
    pub decides_content: bool,
}

impl Property {
    /// The same property, which decides which image a source gives.
    pub(crate) const fn deciding_content(mut self) -> Self {
        self.decides_content = true;
        self
    }
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
        decides_content: false,
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
        decides_content: false,
    }
}
