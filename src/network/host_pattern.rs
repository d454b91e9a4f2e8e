//! Patterns of hosts.

use std::str::FromStr;

/// A pattern of hosts: a host, with its port if it has one, in which each `*` stands
/// for one or more characters other than a dot. A `*` so never reaches into the next label:
/// `*.example.com` is not `example.com.attacker.net`, nor `a.b.example.com`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern(String);

impl HostPattern {
    /// Returns true if `host` (with its port if it has one) matches. Letters of either case are the
    /// same.
    pub fn matches(&self, host: &str) -> bool {
        matches(self.0.as_bytes(), host.to_ascii_lowercase().as_bytes())
    }
}

fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let Some((&head, pattern_rest)) = pattern.split_first() else {
        return text.is_empty();
    };
    let Some((&first, text_rest)) = text.split_first() else {
        return false;
    };
    if head != b'*' {
        return head == first && matches(pattern_rest, text_rest);
    }
    first != b'.' && (matches(pattern_rest, text_rest) || matches(pattern, text_rest))
}

/// A text that is no pattern of hosts: it has characters that no host has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed host pattern {0:?}: expected letters, digits, '.', '-', ':' and '*'")]
pub struct InvalidHostPattern(String);

impl FromStr for HostPattern {
    type Err = InvalidHostPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let host_byte = |b: u8| b.is_ascii_alphanumeric() || b".-:*[]".contains(&b);
        if text.is_empty() || !text.bytes().all(host_byte) || text.contains("**") {
            return Err(InvalidHostPattern(text.to_owned()));
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_star_stays_within_a_label() {
        let pattern: HostPattern = "*.dkr.ecr.*.amazonaws.com".parse().unwrap();
        assert!(pattern.matches("123456789012.dkr.ecr.eu-west-1.amazonaws.com"));
        assert!(pattern.matches("123456789012.DKR.ecr.eu-west-1.amazonaws.com"));
        for other in [
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com.cn",
            "evil.com.123.dkr.ecr.eu-west-1.amazonaws.com",
            ".dkr.ecr.eu-west-1.amazonaws.com",
            "123456789012.dkr.ecr.a.b.amazonaws.com",
        ] {
            assert!(!pattern.matches(other), "{other}");
        }
        assert!(
            "registry:*"
                .parse::<HostPattern>()
                .unwrap()
                .matches("registry:5000")
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}", host in "[a-z.*]{0,12}") {
            if let Ok(pattern) = text.parse::<HostPattern>() {
                pattern.matches(&host);
            }
        }
    }
}
