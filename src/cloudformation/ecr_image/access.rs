//! How the source and the destination are reached: the properties of both sides are the same.

use crate::cloudformation::reader::Reader;
use crate::deploy::{Access, Credentials, Role};

/// Longest external ID that a trust policy can ask for.
const MAX_EXTERNAL_ID: usize = 1224;
/// Longest name or ARN of a secret.
const MAX_SECRET_NAME: usize = 2048;

/// How tokens begin: those of GitHub, GitLab and Docker Hub, JSON Web Tokens, and the IDs of AWS's
/// access keys.
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
/// A word of letters of both cases and digits that is so long is no name.
const LONGEST_WORD: usize = 24;

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

/// How one side is reached.
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
             themselves",
        );
    }
    is_name.then_some(Credentials::Stored(text))
}

/// Whether a text that could be a secret's name is rather a token that a registry has issued.
fn looks_like_a_token(text: &str) -> bool {
    let longest = text
        .split(|c: char| !c.is_ascii_alphanumeric())
        .max_by_key(|word| word.len())
        .unwrap_or_default();
    let has = |of: fn(&u8) -> bool| longest.as_bytes().iter().any(of);
    let is_random = longest.len() >= LONGEST_WORD
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_lowercase);
    !text.starts_with("arn:") && (is_random || TOKENS.iter().any(|token| text.starts_with(token)))
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

/// Whether `text` is a role's ARN, of whatever partition.
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
