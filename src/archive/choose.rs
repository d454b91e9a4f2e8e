//! Choosing one image of an archive.

use super::choice::{Choice, Choices};
use super::{Error, Selector};

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
