//! Roles that are taken on for one side of a copy.

/// Longest session name that STS takes.
const MAX_SESSION: usize = 64;

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
    pub fn new(arn: impl Into<String>, external_id: Option<String>, purpose: &str) -> Self {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_=,.@+-".contains(c);
        let session = format!("longshore-{purpose}")
            .chars()
            .map(|c| if allowed(c) { c } else { '-' })
            .take(MAX_SESSION)
            .collect();
        Self {
            arn: arn.into(),
            external_id,
            session,
        }
    }

    /// The role's ARN.
    pub fn arn(&self) -> &str {
        &self.arn
    }
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

    proptest! {
        #[test]
        fn sts_takes_every_session_name(purpose in "\\PC{0,200}") {
            let session = Role::new("r", None, &purpose).session;
            prop_assert!((2..=64).contains(&session.len()));
            prop_assert!(session.bytes().all(|b| b.is_ascii_alphanumeric() || b"_=,.@+-".contains(&b)));
        }
    }
}
