//! The images of an archive, as a user may choose among them.

use std::fmt;

use crate::oci::Digest;

/// The number of images that an error lists.
const LISTED: usize = 12;

/// One image that can be chosen.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    /// The names that the archive gives it.
    pub(super) names: Vec<String>,
    /// Digest of its manifest, or of its config where it has no manifest.
    pub(super) digest: Option<Digest>,
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.names.split_first(), &self.digest) {
            (None, None) => f.write_str("an image without a name"),
            (None, Some(digest)) => write!(f, "@{digest}"),
            (Some((first, [])), _) => f.write_str(first),
            (Some((first, more)), _) => write!(f, "{first} (and {} more names)", more.len()),
        }
    }
}

/// The images that an archive holds, as errors list them: a bounded number.
#[derive(Clone, Debug)]
pub struct Choices {
    listed: Vec<String>,
    more: usize,
}

impl Choices {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.listed.len() + self.more
    }

    pub(super) fn of(choices: &[Choice]) -> Self {
        let listed = choices
            .iter()
            .take(LISTED)
            .enumerate()
            .map(|(index, choice)| format!("#@{index} {choice}"))
            .collect();
        Self {
            listed,
            more: choices.len().saturating_sub(LISTED),
        }
    }
}

impl fmt::Display for Choices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.listed.join(", "))?;
        if self.more > 0 {
            write!(f, " and {} more", self.more)?;
        }
        Ok(())
    }
}
