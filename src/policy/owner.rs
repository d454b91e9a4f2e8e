//! Whose a statement is: the Sids that one resource writes and recognises.

use crate::oci::Digest;

/// The prefix of every Sid of Longshore.
const PREFIX: &str = "Longshore";
/// Hex digits of the mark that every Sid of an owner ends in: 64 bits.
const MARK: usize = 16;
/// Longest part of a Sid that is taken from a name.
const MAX_NAME: usize = 64;

/// One writer of statements: a resource of a stack, or whoever runs a command.
///
/// Its Sids are `Longshore<name><label><mark>`. The name and the label are there for people; the
/// mark, a hash, says whose the statement is, so that a resource of the same name in another stack
/// is another owner. A Sid has letters and digits only
/// ([IAM, "Sid"](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_sid.html)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    name: String,
    mark: String,
}

impl Owner {
    /// The owner `name` within `scope`: a resource's logical ID within its stack's ID.
    pub fn new(scope: &str, name: &str) -> Self {
        let hash = Digest::sha256(format!("{scope}\n{name}").as_bytes());
        Self {
            name: letters_and_digits(name),
            mark: hash.hex()[..MARK].to_owned(),
        }
    }

    /// The owner's ID among all others.
    pub fn id(&self) -> String {
        self.sid("")
    }

    /// Returns true if the statement with this Sid is this owner's.
    pub fn owns(&self, sid: &str) -> bool {
        sid.starts_with(PREFIX) && sid.ends_with(&self.mark)
    }

    /// The Sid of a statement of this owner. Different labels have different Sids, as far as their
    /// first 64 letters and digits differ.
    pub(super) fn sid(&self, label: &str) -> String {
        let label = letters_and_digits(label);
        format!("{PREFIX}{}{label}{}", self.name, self.mark)
    }
}

fn letters_and_digits(text: &str) -> String {
    let allowed = text.chars().filter(char::is_ascii_alphanumeric);
    allowed.take(MAX_NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_its_own_statements_and_no_others() {
        let stack = "arn:aws:cloudformation:eu-west-1:123456789012:stack/app/0a1b";
        let owner = Owner::new(stack, "PullAccess");
        let sid = owner.sid("Principals");
        assert!(sid.starts_with("LongshorePullAccessPrincipals"), "{sid}");
        assert!(sid.bytes().all(|b| b.is_ascii_alphanumeric()), "{sid}");

        assert!(owner.owns(&sid));
        assert!(Owner::new(stack, "PullAccess").owns(&sid));
        assert!(!Owner::new(stack, "PullAccess2").owns(&sid));
        assert!(!Owner::new("another stack", "PullAccess").owns(&sid));
        assert!(!owner.owns("LongshorePullAccessPrincipals"));
        assert!(!owner.owns("AllowPull"));
    }

    #[test]
    fn writes_only_what_a_sid_may_have() {
        let sid = Owner::new("ops team", "a b/ü-c").sid("My Statement: ☃");
        assert!(sid.starts_with("LongshoreabcMyStatement"), "{sid}");
        assert!(sid.bytes().all(|b| b.is_ascii_alphanumeric()), "{sid}");
        assert!(Owner::new("", &"x".repeat(500)).sid(&"y".repeat(500)).len() < 200);
    }
}
