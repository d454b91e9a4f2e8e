//! The way in which the source and the destination are reached: the properties of both sides are
//! the same.

use crate::cloudformation::reader::Reader;
use crate::deploy::{Access, Credentials, Role};

/// Longest external ID that a trust policy can ask for.
const MAX_EXTERNAL_ID: usize = 1224;
/// Longest name or ARN of a secret.
const MAX_SECRET_NAME: usize = 2048;

/// The way in which tokens begin: those of GitHub, GitLab and Docker Hub, JSON Web Tokens, and the
/// IDs of AWS's access keys.
const TOKENS: [&str; 12] = [
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "dckr_pat_",
    "dckr_oat_",
    "eyJ",
    "AKIA",
    "ASIA",
];
/// Most digits that a name has in one place: those of a year.
const LONGEST_NUMBER: usize = 4;
/// Hex digits that the CDK adds to the name of a construct.
const HASH_OF_LOGICAL_ID: usize = 8;

/// The names of the properties that say how one side is reached.
pub(super) struct Side {
    pub(super) credentials: &'static str,
    pub(super) role: &'static str,
    pub(super) external_id: &'static str,
}

pub(super) const SOURCE: Side = Side {
    credentials: "SourceCredentials",
    role: "SourceRoleArn",
    external_id: "SourceExternalId",
};
pub(super) const DESTINATION: Side = Side {
    credentials: "DestinationCredentials",
    role: "DestinationRoleArn",
    external_id: "DestinationExternalId",
};

/// The way in which one side is reached.
pub(super) fn access(reader: &mut Reader<'_>, side: &Side) -> Access {
    Access {
        credentials: credentials(reader, side.credentials),
        role: role(reader, side.role, side.external_id),
    }
}

/// The name of a secret. What is no such name may be the secret itself and is not shown.
fn credentials(reader: &mut Reader<'_>, name: &str) -> Option<Credentials> {
    let text = reader.text(name)?;
    let word = |c: char| c.is_ascii_alphanumeric() || "/_+=.@-".contains(c);
    let is_name = text.len() <= MAX_SECRET_NAME
        && (text.chars().all(word)
            || text.starts_with("arn:") && text.chars().all(|c| word(c) || c == ':'));
    let is_name = is_name && !looks_like_a_token(&text);
    if !is_name {
        reader.problem(
            name,
            "expected the ARN or the name of a secret in Secrets Manager, not the credentials \
             themselves (where it is a name that looks like a token, give the secret's ARN)",
        );
    }
    is_name.then_some(Credentials::Stored(text))
}

/// Returns true if a text that could be a secret's name is rather a token that a registry has
/// issued.
fn looks_like_a_token(text: &str) -> bool {
    if text.starts_with("arn:") {
        return false;
    }
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric());
    TOKENS.iter().any(|token| text.starts_with(token)) || words.any(is_random)
}

/// Returns true if a word is long, and more of its letters and digits alternate than in words of
/// CamelCase with a year behind. Where a name is taken for a token all the same, its ARN is not.
fn is_random(word: &str) -> bool {
    let is_hash = |end: &str| {
        let is_hex = end.bytes().all(|byte| b"0123456789ABCDEF".contains(&byte));
        is_hex && !end.bytes().all(|byte| byte.is_ascii_digit())
    };
    let word = match word.len().checked_sub(HASH_OF_LOGICAL_ID) {
        Some(at) if is_hash(&word[at..]) => &word[..at],
        _ => word,
    };
    let kinds: Vec<Kind> = word.bytes().map(Kind::of).collect();
    let has = |kind| kinds.contains(&kind);
    let changes = kinds.windows(2).filter(|pair| pair[0] != pair[1]).count();
    if has(Kind::Small) && has(Kind::Capital) && has(Kind::Digit) {
        let runs = kinds.chunk_by(|one, next| one == next);
        let mut numbers = runs.filter(|run| run[0] == Kind::Digit);
        let is_long = |number: &[Kind]| number.len() > LONGEST_NUMBER;
        return word.len() >= 24 && (changes * 100 / word.len() > 42 || numbers.any(is_long));
    }
    has(Kind::Digit) && word.len() >= 32 && changes > 6
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Small,
    Capital,
    Digit,
}

impl Kind {
    fn of(byte: u8) -> Self {
        match byte {
            b'0'..=b'9' => Self::Digit,
            b'A'..=b'Z' => Self::Capital,
            _ => Self::Small,
        }
    }
}

/// A role to assume, from the properties with its ARN and its external ID.
pub(in crate::cloudformation) fn role(
    reader: &mut Reader<'_>,
    name: &str,
    external_id_name: &str,
) -> Option<Role> {
    let arn = reader.text(name);
    let external_id = reader.text(external_id_name);
    let Some(arn) = arn else {
        if external_id.is_some() {
            reader.problem(external_id_name, format_args!("it needs {name} beside it"));
        }
        return None;
    };
    if !is_role_arn(&arn) {
        reader.problem(
            name,
            format_args!("expected arn:aws:iam::<account>:role/<name>, got {arn:?}"),
        );
    }
    if external_id
        .as_ref()
        .is_some_and(|id| id.len() > MAX_EXTERNAL_ID)
    {
        reader.problem(
            external_id_name,
            format_args!("expected at most {MAX_EXTERNAL_ID} characters"),
        );
    }
    Some(Role {
        arn,
        external_id,
        purpose: String::new(),
    })
}

/// Returns true if `text` is a role's ARN, of whatever partition.
fn is_role_arn(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let ["arn", partition, "iam", "", account, resource] = parts.as_slice() else {
        return false;
    };
    partition.starts_with("aws")
        && account.len() == 12
        && account.bytes().all(|b| b.is_ascii_digit())
        && resource.len() > "role/".len()
        && resource.starts_with("role/")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_of_secrets_are_no_tokens() {
        for name in [
            "registry/login",
            "MyTeamRegistryCredentials2024Prod",
            "MyVeryLongTeamRegistryCredentialsName",
            "EcrAndS3RegistryCredentialsOfTeam",
            "StackRegistryCredentialsA1B2C3D4-xYz123AbC456",
            "arn:aws:secretsmanager:eu-west-1:1:secret:aB3dE5fG7hI9jK1lM3nO5pQ7-a1B2c3",
        ] {
            assert!(!looks_like_a_token(name), "{name}");
        }
        for token in [
            "ghp_short",
            "eyJhbGciOiJIUzI1NiJ9.e30.x",
            "prefix-aB3dE5fG7hI9jK1lM3nO5pQ7",
            "canaryTOKENabcdef0123456789",
            "CANARYtoken0123456789abcdefABCDEF",
            "4f1c9a7be02d8853c6a19e7f40bd2c5e9981aa07",
            "7QK2M9ZX4R8VJ1T6WN3B5YH0C8DLFGPAS2E4U6XQ",
        ] {
            assert!(looks_like_a_token(token), "{token}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged(text in "\\PC{0,60}") {
            let _ = looks_like_a_token(&text);
        }
    }
}
