//! Roles that are taken on for one side of a copy.

use crate::oci::Digest;

/// Longest session name that STS takes.
const MAX_SESSION: usize = 64;
/// Hex digits of the hash that a name ends in which is too long.
const HASH: usize = 8;

/// A role to take on, with the session name under which `CloudTrail` shows what was done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Role {
    pub(super) arn: String,
    pub(super) external_id: Option<String>,
    pub(super) session: String,
}

impl Role {
    /// The role `arn`. `purpose` tells an auditor who asked, such as `stack/LogicalId`: the
    /// session is called `longshore-<purpose>`, in the characters and the length that STS takes.
    /// A longer one ends in a hash, so that no two are called the same.
    pub fn new(arn: impl Into<String>, external_id: Option<String>, purpose: &str) -> Self {
        Self {
            arn: arn.into(),
            external_id,
            session: session(purpose),
        }
    }

    /// The role's ARN.
    pub fn arn(&self) -> &str {
        &self.arn
    }
}

fn session(purpose: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_=,.@+-".contains(c);
    let whole = format!("longshore-{purpose}");
    let mut session: String = whole
        .chars()
        .map(|c| if allowed(c) { c } else { '-' })
        .collect();
    if session.len() > MAX_SESSION {
        let hash = Digest::sha256(purpose.as_bytes());
        session.truncate(MAX_SESSION - HASH - 1);
        session = format!("{session}-{}", &hash.hex()[..HASH]);
    }
    session
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn session_names_the_stack() {
        let role = Role::new("arn:aws:iam::1:role/r", None, "my-stack/Image");
        assert_eq!(role.session, "longshore-my-stack-Image");
    }

    #[test]
    fn long_names_stay_apart() {
        let stack = "team-platform-production-shared-services-eu-west-1-images";
        let [one, other] = ["Api", "Web"].map(|resource| session(&format!("{stack}/{resource}")));
        assert!(
            one.starts_with("longshore-team-platform-production"),
            "{one}"
        );
        assert_eq!(one.len(), MAX_SESSION);
        assert_ne!(one, other);
    }

    proptest! {
        #[test]
        fn sts_takes_every_session_name(purpose in "\\PC{0,200}") {
            let session = Role::new("r", None, &purpose).session;
            prop_assert!((2..=64).contains(&session.len()));
            prop_assert!(session.bytes().all(|b| b.is_ascii_alphanumeric() || b"_=,.@+-".contains(&b)));
        }
    }
}
