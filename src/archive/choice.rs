//! The images of an archive, as a user may choose among them.

use std::fmt;

use super::Error;
use super::selector::Selector;
use crate::oci::Digest;

/// How many images an error lists.
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

    fn of(choices: &[Choice]) -> Self {
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

/// The position of the image that `selector` means, or of the only one.
pub(super) fn choose(choices: &[Choice], selector: Option<&Selector>) -> Result<usize, Error> {
    if choices.is_empty() {
        return Err(Error::Empty);
    }
    let Some(selector) = selector else {
        return match choices {
            [_] => Ok(0),
            _ => Err(Error::Ambiguous {
                choices: Choices::of(choices),
            }),
        };
    };
    let found = match selector {
        Selector::Index(index) => Some(*index).filter(|index| *index < choices.len()),
        Selector::Whole => None,
        Selector::Digest(digest) => choices
            .iter()
            .position(|choice| choice.digest.as_ref() == Some(digest)),
        Selector::Tag(_) => return choose_by_name(choices, selector),
    };
    found.ok_or_else(|| not_found(choices, selector))
}

fn choose_by_name(choices: &[Choice], selector: &Selector) -> Result<usize, Error> {
    let mut named = (0..choices.len()).filter(|index| {
        choices[*index]
            .names
            .iter()
            .any(|name| selector.names(name))
    });
    let first = named.next().ok_or_else(|| not_found(choices, selector))?;
    if named.next().is_some() {
        return Err(Error::Ambiguous {
            choices: Choices::of(choices),
        });
    }
    Ok(first)
}

fn not_found(choices: &[Choice], selector: &Selector) -> Error {
    Error::NotFound {
        wanted: selector.clone(),
        choices: Choices::of(choices),
    }
}
