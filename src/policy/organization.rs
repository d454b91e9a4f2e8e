//! Organizations, and parts of them, by which anyone in them may pull.

use std::str::FromStr;

use super::InvalidGrant;

/// An organization of AWS Organizations, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Organization {
    /// An organization's ID: `o-a1b2c3d4e5`.
    Id(String),
    /// The path of an organizational unit: `o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/`. A path that
    /// ends in `*` is the unit and all below it
    /// ([IAM, "aws:PrincipalOrgPaths"](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalorgpaths)).
    Path(String),
}

impl FromStr for Organization {
    type Err = InvalidGrant;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidGrant::Organization(text.to_owned());
        let (id, path) = match text.split_once('/') {
            Some((id, path)) => (id, Some(path)),
            None => (text, None),
        };
        if !is_organization_id(id) {
            return Err(invalid());
        }
        match path {
            None => Ok(Self::Id(text.to_owned())),
            Some(path) if is_path(path) => Ok(Self::Path(text.to_owned())),
            Some(_) => Err(invalid()),
        }
    }
}

/// `o-` and 10 to 32 lowercase letters and digits
/// ([Organizations, "Organization"](https://docs.aws.amazon.com/organizations/latest/APIReference/API_Organization.html)).
fn is_organization_id(text: &str) -> bool {
    text.strip_prefix("o-").is_some_and(|id| {
        (10..=32).contains(&id.len())
            && id
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    })
}

/// Returns true if the text is a path after an organization's ID: a root and units, or `*`. A path
/// names a unit whole only where a `/` or a `*` ends it, since AWS compares it with paths that end
/// in `/`.
fn is_path(text: &str) -> bool {
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-/*?".contains(&b);
    let rooted = text.starts_with("r-") || text.starts_with('*');
    rooted && text.bytes().all(known) && text.ends_with(['/', '*'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_ids_and_paths() {
        let id: Organization = "o-a1b2c3d4e5".parse().unwrap();
        assert!(matches!(id, Organization::Id(_)));
        for path in [
            "o-a1b2c3d4e5/*",
            "o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/",
            "o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/*",
        ] {
            let read = path.parse::<Organization>().unwrap();
            assert_eq!(read, Organization::Path(path.to_owned()));
        }
        for text in [
            "",
            "*",
            "o-*",
            "o-*/r-ab12/",
            "o-short",
            "r-ab12",
            "o-a1b2c3d4e5/",
            "o-a1b2c3d4e5/r-ab12",
            "o-a1b2c3d4e5/ou-ab12-11111111/",
        ] {
            assert!(text.parse::<Organization>().is_err(), "{text}");
        }
    }
}
